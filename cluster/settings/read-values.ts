/**
 * Flags, environment and YAML → values by the name of their flag. An empty value is an error in all
 * three, because it comes from a variable that was not filled in. A YAML key without a value is
 * absent.
 */
import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { bytesOfSize, type Flag, type FlagValue } from "../../runtime/setting.ts";
import { isServiceLink } from "./environment-names.ts";
import { environmentTwin, type FlagName, flags } from "./flags.ts";
import { nearestName } from "./nearest-name.ts";
import { SettingsError } from "./settings-error.ts";

export type Values = Partial<Record<FlagName, FlagValue>>;

const specs = new Map<string, Flag>(flags.map((flag) => [flag.name, flag]));

/** `--name value`, `--name=value`; switches take no value. Throws SettingsError. */
export function parseFlags(args: readonly string[]): Values {
  const values: Record<string, FlagValue> = {};
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? "";
    if (!arg.startsWith("--")) {
      throw new SettingsError(`"${arg}" is not a flag; see --help`);
    }
    const equals = arg.indexOf("=");
    const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
    const spec = specs.get(name);
    if (spec === undefined)
      throw new SettingsError(`unknown flag --${name}${didYouMean(name, "--")}`);
    if (spec.type === "switch" && equals < 0) {
      values[name] = true;
      continue;
    }
    const text = equals < 0 ? args[++index] : arg.slice(equals + 1);
    if (text === undefined) throw new SettingsError(`--${name} needs a value: ${spec.help}`);
    take(values, spec, text, `--${name}`);
  }
  return values;
}

/** Throws SettingsError. */
export function parseEnvironment(env: Readonly<Record<string, string | undefined>>): Values {
  const values: Record<string, FlagValue> = {};
  for (const flag of flags) {
    if (flag.not_in?.includes("environment")) continue;
    const name = givenName(flag, env);
    if (name === undefined) continue;
    const text = env[name] ?? "";
    if (flag.type === "list" && text.trim() !== "") {
      for (const item of text.split(",")) take(values, flag, item.trim(), name);
    }
    // Dynamo's DYN_LOG may hold targets ("info,hyper=warn"), which say nothing to us.
    else if (name === "DYN_LOG" && !/^(debug|info|warn|error)$/.test(text)) continue;
    else take(values, flag, flag.type === "bytes" ? sizeText(name, text) : text, name);
  }
  return values;
}

/** Dynamo's names of sizes say their unit. */
const sizeText = (name: string, text: string) =>
  name.endsWith("_GB") && /^[\d.]+$/.test(text.trim()) ? `${text.trim()}GB` : text;

/** Our own name comes first. Empty values of another program's names are ignored. */
function givenName(
  flag: Flag,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const twin = environmentTwin(flag.name);
  const own = env[twin];
  if (own !== undefined && !isServiceLink(twin, own)) return twin;
  return flag.env?.find((name) => (env[name] ?? "").trim() !== "");
}

/** Texts stay as they are written: a key 0123 is not the number 123. Throws SettingsError. */
export function parseConfig(yaml: string, file: string): Values {
  const document = parseDocument(yaml);
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw new SettingsError(`${file} is not valid YAML: ${wrong.message.split("\n")[0]}`);
  }
  const top = document.contents;
  if (top === null || (isScalar(top) && top.value === null)) return {};
  if (!isMap<Node, Node | null>(top)) {
    throw new SettingsError(`${file} must be a YAML mapping of setting names to values`);
  }
  const resolved = (node: Node | null | undefined) =>
    isAlias(node) ? node.resolve(document) : node;
  const values: Record<string, FlagValue> = {};
  const seen = new Set<string>();
  for (const { key, value } of top.items) {
    const written = scalarText(resolved(key)) ?? "";
    const name = written.replaceAll("_", "-");
    const spec = specs.get(name);
    if (spec === undefined) {
      throw new SettingsError(`${file}: unknown setting "${written}"${didYouMean(name)}`);
    }
    const origin = `${file}: ${written}`;
    if (spec.not_in?.includes("yaml")) {
      throw new SettingsError(`${origin} is for the command line: leave it out of the file`);
    }
    const node = resolved(value);
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) continue;
    if (seen.has(name)) throw new SettingsError(`${origin} is there twice`);
    seen.add(name);
    const items = isSeq<Node>(node) ? node.items.map(resolved) : [node];
    if (items.length === 0) throw isEmpty(origin);
    if (items.length > 1 && spec.type !== "list") {
      throw new SettingsError(`${file}: "${written}" takes one value`);
    }
    for (const item of items) {
      if (item === null || !isScalar(item)) {
        throw new SettingsError(`${origin} takes a plain value or a list of them`);
      }
      take(values, spec, scalarText(item) ?? "", origin);
    }
  }
  return values;
}

/** The scalar's text as in the file, without quotes and escapes; undefined: no scalar. */
function scalarText(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined;
  return node.source ?? String(node.value);
}

function didYouMean(name: string, dashes = ""): string {
  const near = nearestName(name, specs.keys());
  return near === undefined ? "" : `; did you mean ${dashes}${near}?`;
}

const isEmpty = (origin: string) =>
  new SettingsError(`${origin} is empty: give it a value, or leave it out`);

function take(values: Record<string, FlagValue>, spec: Flag, text: string, origin: string): void {
  if (text.trim() === "") throw isEmpty(origin);
  if (spec.type === "list") {
    const before = values[spec.name];
    values[spec.name] = [...(Array.isArray(before) ? before : []), text];
  } else if (spec.type === "switch") {
    if (!/^(true|false|1|0|yes|no)$/i.test(text)) {
      throw new SettingsError(`${origin} is a switch: give true or false, not "${text}"`);
    }
    values[spec.name] = /^(true|1|yes)$/i.test(text);
  } else if (spec.type === "choice") {
    if (!spec.choices.includes(text)) {
      const hint = spec.hint === undefined ? "" : `; ${spec.hint}`;
      throw new SettingsError(
        `${origin} is one of ${spec.choices.join(", ")}, not "${text}"${hint}`,
      );
    }
    values[spec.name] = text;
  } else if (spec.type === "whole" || spec.type === "seconds" || spec.type === "number") {
    const number = Number(text.replace(/s$/, ""));
    const whole = spec.type !== "whole" || Number.isInteger(number);
    if (!whole || !(number >= spec.min && number <= spec.max)) {
      const kind = { whole: "a whole number", number: "a number", seconds: "seconds" }[spec.type];
      throw new SettingsError(
        `${origin} is ${kind} from ${spec.min} to ${spec.max}, not "${text}"`,
      );
    }
    values[spec.name] = number;
  } else if (spec.type === "bytes") {
    const bytes = bytesOfSize(text);
    if (bytes === undefined || !Number.isSafeInteger(bytes)) {
      throw new SettingsError(`${origin} is a size such as 512MB or 2GiB, not "${text}"`);
    }
    values[spec.name] = bytes;
  } else {
    values[spec.name] = text;
  }
}
