/**
 * A setting as its owner declares it. From this one record come its flag, its key in `--config`
 * YAML (the flag without dashes), its environment twins, its line in --help, its check, its place
 * in the owner's settings, and its line in --dump-config.
 */

type Common = {
  readonly name: string;
  /** Read in this order; TROUPE_<NAME> comes first and is not written here. */
  readonly env?: readonly string[];
  readonly help: string;
  /** Sources in which the setting has no meaning: a value there is reported and not read. */
  readonly not_in?: readonly ("environment" | "yaml")[];
};

export type Flag = Common &
  (
    | { readonly type: "text"; readonly default?: string }
    | {
        readonly type: "choice";
        readonly choices: readonly string[];
        readonly default?: string;
        /** Ends the refusal of another value: what may have been meant. */
        readonly hint?: string;
      }
    | {
        /** `number` may have a fraction. */
        readonly type: "whole" | "number" | "seconds";
        readonly min: number;
        readonly max: number;
        readonly default: number;
        /** Factor from the flag's unit to the setting's: 1000 from seconds to ms. Default 1. */
        readonly times?: number;
      }
    /** A size such as 512MB or 2GiB. A plain number counts bytes, and GB in names that end so. */
    | { readonly type: "bytes"; readonly default: number }
    | { readonly type: "switch" }
    /** May be given several times. */
    | { readonly type: "list"; readonly secret?: boolean }
  );

/** The settings of one owner, by their name in code. */
export type FlagGroup = Readonly<Record<string, Flag>>;

/** The value as given, in the flag's unit. */
export type FlagValue = string | number | boolean | readonly string[];

type SettingOf<One extends Flag> = One extends { readonly choices: readonly (infer Choice)[] }
  ? One extends { readonly default: string }
    ? Choice
    : Choice | ""
  : One extends { readonly type: "text" }
    ? string
    : One extends { readonly type: "switch" }
      ? boolean
      : One extends { readonly type: "list" }
        ? readonly string[]
        : One extends { readonly type: "whole" | "number" | "seconds" | "bytes" }
          ? number
          : FlagValue;

/** Without a value and a default a text or choice is "", a list [], a switch false. */
export type SettingsOf<Group extends FlagGroup> = {
  readonly [Key in keyof Group]: SettingOf<Group[Key]>;
};

export const portNumber = { type: "whole", min: 0, max: 65_535 } as const;

/** @param given the value of a flag by its name; undefined: its default holds */
export function settingsOf<Group extends FlagGroup>(
  group: Group,
  given: (name: string) => FlagValue | undefined,
): SettingsOf<Group> {
  const settings = Object.entries(group).map(([key, flag]) => [
    key,
    settingOf(flag, given(flag.name)),
  ]);
  return Object.fromEntries(settings) as SettingsOf<Group>;
}

function settingOf(flag: Flag, given: FlagValue | undefined): FlagValue {
  switch (flag.type) {
    case "text":
    case "choice":
      return given ?? flag.default ?? "";
    case "switch":
      return given ?? false;
    case "list":
      return given ?? [];
    case "bytes":
      return Number(given ?? flag.default);
    default:
      return Number(given ?? flag.default) * (flag.times ?? 1);
  }
}

export const defaultsOf = <Group extends FlagGroup>(group: Group): SettingsOf<Group> =>
  settingsOf(group, () => undefined);

/** The values that give these settings, by the names of the flags. */
export function givenFor<Group extends FlagGroup>(
  group: Group,
  settings: { readonly [Key in keyof Group]: FlagValue },
): Record<string, FlagValue> {
  const given: Record<string, FlagValue> = {};
  for (const [key, flag] of Object.entries(group)) {
    const value = settings[key as keyof Group];
    const times = "times" in flag ? (flag.times ?? 1) : 1;
    given[flag.name] = typeof value === "number" ? value / times : value;
  }
  return given;
}

const SIZE = /^(\d+(?:\.\d+)?) ?([kmgt]?)(i?)b?$/i;
const POWERS = ["", "k", "m", "g", "t"];

/** "512MB", "2GiB", "1.5 TB" or a plain number, in bytes; undefined: none of these. */
export function bytesOfSize(text: string): number | undefined {
  const [, number = "", unit = "", binary] = SIZE.exec(text.trim()) ?? [];
  if (number === "" || (binary && unit === "")) return undefined;
  return Math.floor(Number(number) * (binary ? 1024 : 1000) ** POWERS.indexOf(unit.toLowerCase()));
}
