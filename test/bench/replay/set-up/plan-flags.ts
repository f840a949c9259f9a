/** Which planner a command line names, and how workers start. */

import { readCurves } from "../../../../actors/planner/model/read-curves.ts";
import { type PlannerConfig, planGoals } from "../../../../actors/planner/pipeline/config.ts";
import { CONFIG_MAX_BYTES } from "../../../../actors/planner/pipeline/config-text.ts";
import {
  plannerConfigOf,
  readPlannerConfig,
} from "../../../../actors/planner/pipeline/read-config.ts";
import { loadRows, loadsOf } from "../../../../actors/planner/predict/interval-load.ts";
import { SeededRandom } from "../../../../runtime/simulation/random.ts";
import { limit, number, UsageError, whole } from "../flag-values.ts";
import type { PlannerKnown } from "../plan/planner-driver.ts";
import type { StartRules } from "../plan/virtual-pool.ts";
import type { PlanFlags } from "./plan-options.ts";
import { fileText } from "./trace-files.ts";
import type { Deployment } from "./world.ts";

/** As the settings of a cluster allow. */
const SECONDS_MOST = 86_400;
const NO_TRACE = "give load_predictor_warmup_trace the path of a trace, or leave it out";
const NO_FILE = `give --planner the path of a file, or one of ${planGoals.join(", ")}`;

export type PlannerSetUp = {
  readonly config: PlannerConfig;
  /** Of its `profile_results_dir`, and the load of its `load_predictor_warmup_trace`. */
  readonly known: PlannerKnown;
  /** Lines for people. */
  readonly warnings: readonly string[];
};

/** Undefined: there is no planner. Throws UsageError, PlannerConfigError and others with a code. */
export async function plannerSetUp(
  flags: PlanFlags,
  deployment: Deployment,
): Promise<PlannerSetUp | undefined> {
  const { planner } = flags;
  if (planner === "") {
    refuseWithout(flags);
    return undefined;
  }
  const { prefill, host_blocks } = deployment;
  if (host_blocks > 0 && whole("--workers-per-machine", flags["workers-per-machine"]) > 1) {
    throw new UsageError(
      "--planner starts each worker on a machine of its own: leave --workers-per-machine out",
    );
  }
  const written = writtenConfig(planner);
  const mode = modeOf(written.mode, prefill > 0);
  const { config, warnings } = plannerConfigOf({ ...written, mode, ...ownLimits(flags) });
  const curves = await readCurves(files, config.profile_results_dir);
  const warmup = config.load_predictor_warmup_trace;
  const interval_ms = 1_000 * config.throughput_adjustment_interval_seconds;
  const history = warmup === "" ? [] : loadsOf(loadRows(fileText(warmup, NO_TRACE)), interval_ms);
  return { config, known: { curves, history }, warnings };
}

const ofPlanner = [
  ...(["min-workers", "startup-seconds", "startup-spread-seconds"] as const),
  ...(["role-change-seconds", "cannot-start"] as const),
];

/** Without a planner these would change nothing, and nobody would know. */
function refuseWithout(flags: PlanFlags): void {
  const given = ofPlanner.find((flag) => flags[flag].length > 0);
  if (given === undefined) return;
  throw new UsageError(`--${given} is for a planner: give --planner sla too, or leave it out`);
}

const files = {
  read: (path: string) => Bun.file(path).bytes(),
  size_bytes: async (path: string) => {
    const file = Bun.file(path);
    return (await file.exists()) ? file.size : undefined;
  },
};

/** What the file says, or that it is one of the goals. */
function writtenConfig(planner: string): Partial<PlannerConfig> {
  const goal = planGoals.find((each) => each === planner);
  if (goal !== undefined) return { optimization_target: goal };
  const { config, given } = readPlannerConfig(fileText(planner, NO_FILE, CONFIG_MAX_BYTES));
  return Object.fromEntries(given.map((key) => [key, config[key]]));
}

function modeOf(
  written: PlannerConfig["mode"] | undefined,
  disaggregated: boolean,
): PlannerConfig["mode"] {
  const mode = disaggregated ? "disagg" : "agg";
  if (written === undefined) return mode;
  if ((written === "agg") !== disaggregated) return written;
  throw new UsageError(
    disaggregated
      ? "the planner's mode is agg: give --workers in place of --prefill and --decode"
      : `the planner's mode is ${written}: give --prefill and --decode in place of --workers`,
  );
}

/** What flags say in place of the file. */
function ownLimits(flags: PlanFlags): Partial<PlannerConfig> {
  const ttft_ms = limit("--ttft-ms", flags["ttft-ms"]);
  const itl_ms = limit("--itl-ms", flags["itl-ms"]);
  const least = flags["min-workers"] && number("--min-workers", flags["min-workers"]);
  const most = flags["max-workers"] && whole("--max-workers", flags["max-workers"]);
  return {
    ...(ttft_ms === undefined ? {} : { ttft_ms }),
    ...(itl_ms === undefined ? {} : { itl_ms }),
    ...(least === ""
      ? {}
      : { min_endpoint: least, prefill_min_endpoint: least, decode_min_endpoint: least }),
    ...(most === "" ? {} : { max_workers: most }),
  };
}

/** Throws UsageError. */
export function startRules(flags: PlanFlags): StartRules {
  const ms = (flag: (typeof ofPlanner)[number] & `${string}-seconds`, otherwise_s: number) =>
    1_000 * number(`--${flag}`, flags[flag] || `${otherwise_s}`, SECONDS_MOST);
  const startup_ms = ms("startup-seconds", 30);
  const spread_ms = ms("startup-spread-seconds", 0);
  const never = new Set(flags["cannot-start"].map((each) => whole("--cannot-start", each)));
  const random = new SeededRandom(number("--seed", flags.seed));
  return {
    startup_ms: (nth) => {
      const more_ms = spread_ms * (2 * random.unit() - 1);
      return never.has(nth) ? undefined : Math.max(0, startup_ms + more_ms);
    },
    role_change_ms: ms("role-change-seconds", 1),
  };
}
