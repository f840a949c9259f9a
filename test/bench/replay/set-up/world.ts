/** What a trace is replayed on: engines, tiers and a router, by the flags of a command line. */
import {
  linkSpeeds,
  type MockerOptions,
  mockerOptions,
} from "../../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../../actors/engine/mocker/timing.ts";
import {
  isRouterObjective,
  type RouterObjective,
  routerObjectives,
} from "../../../../actors/router/policy/cost/objective.ts";
import {
  isKvPolicyName,
  type KvPolicyName,
  type KvPolicyOptions,
  kvPolicyNames,
} from "../../../../actors/router/policy/kv-policies.ts";
import {
  isLoadMode,
  loadModes,
  type RouterMode,
} from "../../../../actors/router/policy/load-modes.ts";
import {
  type ConditionalMode,
  conditionalModes,
} from "../../../../actors/router/policy/pairs/conditional.ts";
import type { QueueOrder } from "../../../../actors/router/policy/route-queue.ts";
import { SeededRandom } from "../../../../runtime/simulation/random.ts";
import { number, positive, UsageError, whole, wholeOr0 } from "../flag-values.ts";
import { KvReplayRouter, PlainReplayRouter, type ReplayRouter } from "../replay-router.ts";
import type { ReplaySettings } from "../simulate.ts";
import { D2H, H2D, type WorldFlags } from "./flags.ts";
import type { TraceSource } from "./trace-source.ts";

/** KV cache of Dynamo's default mocker: 16,384 blocks of 64 tokens. */
const CACHE_TOKENS = 1_048_576;
const DISK_LATENCY_MS = 0.1;
/** Without being told. */
const WORKERS = "4";
/** Each of them is simulated. */
export const WORKERS_MOST = 4_096;
const SPEEDUP_MOST = 1e9;
const LAG_MOST_MS = 3_600_000;
const CONCURRENCY_MOST = 1_000_000;

/** What differs between two replays of one trace. */
export type Deployment = {
  /** In all. */
  readonly workers: number;
  /** How many of them only compute prompts for the others. */
  readonly prefill: number;
  readonly mode: Exclude<RouterMode, "direct">;
  readonly policy: KvPolicyName;
  readonly objective: RouterObjective;
  /** Blocks a machine; 0: none. */
  readonly host_blocks: number;
  readonly disk_blocks: number;
};

export type World = {
  readonly mocker: MockerOptions;
  readonly settings: (deployment: Deployment) => ReplaySettings;
  /** A new one, whose draws begin anew. */
  readonly router: (deployment: Deployment) => ReplayRouter;
};

/** Throws UsageError. */
export function deploymentOf(flags: WorldFlags): Deployment {
  const prefill = prefillOf(flags);
  const disk_blocks = number("--kv-disk-blocks", flags["kv-disk-blocks"]);
  const host_blocks = number("--kv-host-blocks", flags["kv-host-blocks"]);
  if (host_blocks === 0 && disk_blocks > 0) {
    throw new UsageError("--kv-disk-blocks needs --kv-host-blocks: blocks go to a disk from there");
  }
  if (host_blocks > 0) whole("--kv-host-blocks", flags["kv-host-blocks"]);
  return {
    workers:
      prefill > 0
        ? prefill + whole("--decode", flags.decode, WORKERS_MOST)
        : whole("--workers", flags.workers || WORKERS, WORKERS_MOST),
    prefill,
    ...{ mode: modeOf(flags), policy: policyOf(flags), objective: objectiveOf(flags) },
    ...{ host_blocks, disk_blocks },
  };
}

/** Throws UsageError. */
export function worldOf(flags: WorldFlags, source: TraceSource): World {
  const { block_size, trace_block_size } = source;
  const given_blocks = flags["num-blocks"];
  const default_blocks = Math.max(1, Math.floor(CACHE_TOKENS / block_size));
  const mocker = mockerOptions({
    block_size,
    num_gpu_blocks: given_blocks ? whole("--num-blocks", given_blocks) : default_blocks,
    max_num_seqs: whole("--max-num-seqs", flags["max-num-seqs"]),
    max_num_batched_tokens: whole("--max-num-batched-tokens", flags["max-num-batched-tokens"]),
    aic_nextn: number("--aic-nextn", flags["aic-nextn"]),
    aic_nextn_accept_rates: flags["aic-nextn-accept-rates"],
    kv_bytes_per_token: number("--kv-bytes-per-token", flags["kv-bytes-per-token"]),
    d2h_bandwidth_gbps: number(`--${D2H}`, flags[D2H]),
    h2d_bandwidth_gbps: number(`--${H2D}`, flags[H2D]),
  });
  const seed = number("--seed", flags.seed);
  const common = {
    ...{ mocker, timing: polynomialTiming, trace_block_size },
    arrival_speedup: positive("--arrival-speedup", flags["arrival-speedup"], SPEEDUP_MOST),
    lag_ms: number("--event-lag-ms", flags["event-lag-ms"], LAG_MOST_MS),
    concurrency: wholeOr0("--concurrency", flags.concurrency, CONCURRENCY_MOST),
  };
  const tiers = tiersOf(flags, mocker);
  const policy = kvOptions(flags);
  const limits = {
    block_size,
    total_blocks: mocker.num_gpu_blocks,
    batch_tokens: mocker.max_num_batched_tokens,
  };
  return {
    mocker,
    settings: ({ workers, prefill, host_blocks, disk_blocks }) => ({
      ...{ ...common, workers, prefill },
      ...(host_blocks === 0 ? {} : { tiers: { ...tiers, host_blocks, disk_blocks } }),
    }),
    router: ({ workers, prefill, mode, policy: name, objective }) => {
      const random = new SeededRandom(seed);
      if (mode !== "kv") return new PlainReplayRouter(mode, workers, random);
      return new KvReplayRouter({ ...policy, name, objective }, workers, limits, random, prefill);
    },
  };
}

/** Workers that only compute prompts; 0: each answers what it computes. */
function prefillOf(flags: WorldFlags): number {
  const prefill = number("--prefill", flags.prefill);
  const decode = number("--decode", flags.decode);
  if (prefill === 0 && decode === 0) return 0;
  if (prefill === 0 || decode === 0) {
    throw new UsageError("--prefill and --decode go together: give both, from 1 on");
  }
  if (flags.workers !== "") {
    throw new UsageError("--prefill and --decode say how many workers there are: no --workers");
  }
  if (flags["router-mode"] !== "kv") {
    throw new UsageError("--prefill is planned by --router-mode kv: leave the other mode out");
  }
  return whole("--prefill", flags.prefill, WORKERS_MOST);
}

function modeOf(flags: WorldFlags): Deployment["mode"] {
  const mode = flags["router-mode"];
  if (mode === "kv" || (isLoadMode(mode) && mode !== "direct")) return mode;
  throw new UsageError(`--router-mode ${mode}: use kv or one of ${loadModes.join(", ")}`);
}

function policyOf(flags: WorldFlags): KvPolicyName {
  const name = flags["router-policy"];
  if (isKvPolicyName(name)) return name;
  throw new UsageError(`--router-policy ${name}: use one of ${kvPolicyNames.join(", ")}`);
}

function objectiveOf(flags: WorldFlags): RouterObjective {
  const objective = flags["router-objective"];
  if (isRouterObjective(objective)) return objective;
  const known = routerObjectives.join(", ");
  throw new UsageError(`--router-objective ${objective}: use one of ${known}`);
}

function conditionalOf(text: string): ConditionalMode {
  const found = conditionalModes.find((mode) => mode === text);
  if (found !== undefined) return found;
  const known = conditionalModes.join(", ");
  throw new UsageError(`--router-conditional-disagg ${text}: use one of ${known}`);
}

function tiersOf(flags: WorldFlags, mocker: MockerOptions) {
  const gbps = number("--kv-disk-bandwidth-gbps", flags["kv-disk-bandwidth-gbps"]);
  return {
    block_bytes: mocker.block_size * mocker.kv_bytes_per_token,
    ...linkSpeeds(mocker),
    disk: { bytes_per_ms: gbps * 1e6, latency_ms: DISK_LATENCY_MS },
    workers_per_machine: whole(
      ...(["--workers-per-machine", flags["workers-per-machine"], WORKERS_MOST] as const),
    ),
  };
}

/** What policies of the kv mode have beside their name and objective. */
function kvOptions(flags: WorldFlags): Omit<KvPolicyOptions, "name" | "objective"> {
  const numbers = Object.fromEntries(
    flags["router-option"].map((option) => {
      const [key = "", value = ""] = option.split("=");
      return [key, number(`--router-option ${key}`, value)];
    }),
  );
  const threshold = flags["router-queue-threshold"];
  const order = orderOf(flags["router-queue-policy"]);
  if (order === undefined && flags["router-queue-policy"] !== "") {
    throw new UsageError(
      `--router-queue-policy ${flags["router-queue-policy"]}: use shortest, fcfs or wspt`,
    );
  }
  const { ageing_ms, reach, hold_passes, patience, ...costs } = numbers;
  return {
    ...(reach === undefined ? {} : { reach }),
    ...(hold_passes === undefined ? {} : { hold_passes }),
    ...(patience === undefined ? {} : { patience }),
    adaptive: costs,
    dynamo: costs,
    conditional: { mode: conditionalOf(flags["router-conditional-disagg"]) },
    temperature: number("--router-temperature", flags["router-temperature"]),
    ...(threshold === "" ? {} : { queue_threshold: number("--router-queue-threshold", threshold) }),
    queue: {
      ...(order === undefined ? {} : { order }),
      ...(ageing_ms === undefined ? {} : { ageing_ms }),
    },
  };
}

function orderOf(text: string): QueueOrder | undefined {
  return text === "shortest" || text === "fcfs" || text === "wspt" ? text : undefined;
}
