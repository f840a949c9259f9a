/** The settings of a planner: how many workers a cluster has, decided while it runs. */
import type { SettingsOf } from "../../runtime/setting.ts";
import { plannerDoorFlags } from "./outside/flags.ts";
import { planGoals } from "./pipeline/config.ts";

export const plannerFlags = {
  /** "": there is none. */
  planner: {
    name: "planner",
    type: "choice",
    choices: planGoals,
    help: "start and retire workers while the cluster runs, for this goal: sla holds --ttft-ms and --itl-ms; the others keep load between thresholds",
  },
  ttft_ms: {
    name: "ttft-ms",
    type: "number",
    min: 0.001,
    max: 1e9,
    default: 500,
    help: "planner sla: time to the first token, in ms",
  },
  itl_ms: {
    name: "itl-ms",
    type: "number",
    min: 0.001,
    max: 1e9,
    default: 50,
    help: "planner sla: time between two tokens, in ms",
  },
  min_workers: {
    name: "min-workers",
    type: "whole",
    min: 0,
    max: 4096,
    default: 1,
    help: "planner: workers of each role at least; 0: an idle model has none, and its requests wait while one starts",
  },
  max_workers: {
    name: "max-workers",
    type: "whole",
    min: 1,
    max: 4096,
    default: 8,
    help: "planner: workers of each role at most",
  },
  /** Empty: none. */
  config: {
    name: "planner-config",
    type: "text",
    help: "planner: YAML or JSON file with NVIDIA Dynamo's names (docs/planner.md); flags win over it",
  },
  advisory: {
    name: "planner-advisory",
    type: "switch",
    help: "planner: decide and tell, and change nothing",
  },
  prometheus_port: plannerDoorFlags.prometheus_port,
  prometheus_host: plannerDoorFlags.prometheus_host,
  min_endpoints_port: plannerDoorFlags.min_endpoints_port,
} as const;

export type PlannerFlagSettings = SettingsOf<typeof plannerFlags>;

/** Of a planner that there is. */
export type PlannerSettings = PlannerFlagSettings & {
  /** Text of the file; empty: there is none. */
  readonly config_text: string;
  /** Names of the flags that somebody gave: these win over the file. */
  readonly given: readonly string[];
};
