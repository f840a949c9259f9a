/**
 * Every setting of `bun run cluster` in one table, joined from what each owner declares. Help text,
 * parsing and `--dump-config` are made from it.
 */
import { type EngineName, engineKind, engineNames, engines } from "../../actors/engine/engines.ts";
import { engineFlags, sharingFlags } from "../../actors/engine/flags.ts";
import {
  accessFlags,
  addressFlags,
  answerFlags,
  fieldFlags,
  grpcFlags,
  hangupFlags,
  loraFlags,
  parserFlags,
  pathFlags,
  storeFlags,
  timeFlags,
  traceFlags,
} from "../../actors/frontend/flags.ts";
import { inspectorFlags } from "../../actors/inspector/flags.ts";
import { modelFlags } from "../../actors/model/flags.ts";
import { routerFlags } from "../../actors/router/flags.ts";
import { keepFlags, markFlags } from "../../actors/worker/flags.ts";
import type { Flag, FlagGroup } from "../../runtime/setting.ts";
import {
  commandFlags,
  engineNameFlags,
  planeFlags,
  processCountFlags,
  processFlags,
  stopFlags,
  workerCountFlags,
} from "./cluster-flags.ts";

const ofEngines = (shares_process: boolean) =>
  engineNames
    .filter((name) => engineKind(name).shares_process === shares_process)
    .map((name): (typeof engines)[EngineName]["flags"] => engines[name].flags);

/** In the order of --help. Engines of their own process stand before what is for the others. */
const sections = [
  addressFlags,
  engineNameFlags,
  modelFlags,
  parserFlags,
  workerCountFlags,
  markFlags,
  processCountFlags,
  routerFlags,
  accessFlags,
  grpcFlags,
  traceFlags,
  stopFlags,
  timeFlags,
  answerFlags,
  planeFlags,
  keepFlags,
  hangupFlags,
  storeFlags,
  loraFlags,
  processFlags,
  engineFlags,
  ...ofEngines(false),
  sharingFlags,
  ...ofEngines(true),
  fieldFlags,
  pathFlags,
  inspectorFlags,
  commandFlags,
] as const;

type NamesIn<Group> = Group extends FlagGroup ? Group[keyof Group]["name"] : never;
export type FlagName = NamesIn<(typeof sections)[number]>;

export const flags: readonly (Flag & { readonly name: FlagName })[] = sections.flatMap(
  (section) => Object.values(section) as (Flag & { readonly name: FlagName })[],
);

export const environmentTwin = (name: string) =>
  `TROUPE_${name.toUpperCase().replaceAll("-", "_")}`;

export function helpText(): string {
  const lines = flags.map((flag) => {
    const value = flag.type === "switch" ? "" : flag.type === "choice" ? "" : " VALUE";
    const choices = flag.type === "choice" ? ` ${flag.choices.join("|")}` : "";
    const preset = "default" in flag && flag.default !== undefined ? ` [${flag.default}]` : "";
    return `  --${flag.name}${value}${choices}\n      ${flag.help}${preset}`;
  });
  return [
    "bun run cluster [flags]",
    "",
    ...lines,
    "",
    "Each flag has an environment twin: --drain-timeout is TROUPE_DRAIN_TIMEOUT.",
    "A flag wins over the environment, the environment over --config, that over the default.",
  ].join("\n");
}
