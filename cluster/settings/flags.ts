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
import { kvFlags } from "../../actors/kv/flags.ts";
import { modelFlags } from "../../actors/model/flags.ts";
import { plannerFlags } from "../../actors/planner/flags.ts";
import { routerFlags } from "../../actors/router/flags.ts";
import { keepFlags, markFlags } from "../../actors/worker/flags.ts";
import type { Flag, FlagGroup } from "../../runtime/setting.ts";
import {
  commandFlags,
  cpuFlags,
  engineNameFlags,
  planeFlags,
  processCountFlags,
  processFlags,
  recordFlags,
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
  cpuFlags,
  routerFlags,
  plannerFlags,
  accessFlags,
  loraFlags,
  grpcFlags,
  traceFlags,
  stopFlags,
  timeFlags,
  answerFlags,
  planeFlags,
  keepFlags,
  hangupFlags,
  storeFlags,
  kvFlags,
  processFlags,
  recordFlags,
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

/** What `--help` writes above a group and those that follow it. */
const HEADINGS: ReadonlyMap<object, string> = new Map<object, string>([
  [addressFlags, "Where it listens"],
  [engineNameFlags, "Engine and models"],
  [workerCountFlags, "Processes"],
  [routerFlags, "Routing"],
  [plannerFlags, "Planner"],
  [accessFlags, "Keys, TLS and web pages"],
  [grpcFlags, "KServe and the request trace"],
  [stopFlags, "Time limits and answers"],
  [planeFlags, "Many machines"],
  [keepFlags, "What is kept"],
  [processFlags, "Logs and folders"],
  [engineFlags, "Engines"],
  [fieldFlags, "Requests and paths"],
  [inspectorFlags, "Inspector"],
  [commandFlags, "Settings and this command"],
]);

export const environmentTwin = (name: string) =>
  `TROUPE_${name.toUpperCase().replaceAll("-", "_")}`;

export function helpText(): string {
  const lines = sections.flatMap((section) => {
    const heading = HEADINGS.get(section);
    const entries = Object.values<Flag>(section).map(entryText);
    return heading === undefined ? entries : ["", heading, ...entries];
  });
  return [
    "bun run cluster [flags]",
    "",
    "Without a flag it serves the bundled model at http://127.0.0.1:8000/v1; /docs there lists all",
    "routes and fields, and http://127.0.0.1:8001 is the inspector's page. [VALUE] is the default.",
    "README.md and docs/operating.md say more.",
    ...lines,
    "",
    "Each flag has an environment twin: --drain-timeout is TROUPE_DRAIN_TIMEOUT. Names such as",
    "(DYN_HTTP_PORT) are those of NVIDIA Dynamo or vLLM for the same setting; they are read, too.",
    "A flag wins over the environment, the environment over --config, that over the default.",
  ].join("\n");
}

function entryText(flag: Flag): string {
  const value = flag.type === "switch" ? "" : flag.type === "choice" ? "" : " VALUE";
  const choices = flag.type === "choice" ? ` ${flag.choices.join("|")}` : "";
  const preset = "default" in flag && flag.default !== undefined ? ` [${flag.default}]` : "";
  const others = "env" in flag && flag.env !== undefined ? ` (${flag.env.join(", ")})` : "";
  return `  --${flag.name}${value}${choices}\n      ${flag.help}${preset}${others}`;
}
