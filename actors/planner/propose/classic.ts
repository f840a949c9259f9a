/**
 * Dynamo's classic planner (0.5, `utils/planner_core.py`): a profile's curves say what a worker
 * does, and correction factors say how far the cluster is from them.
 *
 *   Cp = TTFT / TTFT of the curve at the mean prompt         Cd = ITL / ITL of the curve
 *   prefill = requests · ISL / interval · min(1, Cp) / throughput of a GPU at ISL / its GPUs
 *   decode  = requests · OSL / interval / throughput of a GPU where ITL ≤ limit / Cd / its GPUs
 *
 * It adjusts once in `throughput_adjustment_interval_seconds` by the means since the last time, and
 * the numbers hold until the next. A figure that is missing although requests came skips the
 * adjustment; that none came is a figure.
 */
import { type ClassicCurves, classicCurves } from "../model/classic-curves.ts";
import type { Curves } from "../model/curves.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Prediction, Proposal, ReasonName } from "../pipeline/decision.ts";
import { gpusOf, leastOf, rolesOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot, Traffic } from "../pipeline/snapshot.ts";
import type { ProposeStage } from "../pipeline/stages.ts";
import { countRole } from "./count-role.ts";
import { isDue } from "./current.ts";
import { contextOf } from "./engine-rates.ts";
import { figure } from "./throughput-loop.ts";

/** Sums over the ticks of an interval; plain data. */
type Observed = {
  readonly interval_ms: number;
  /** False: in one of the ticks nobody counted, or a mean was missing. */
  readonly whole: boolean;
  readonly started: number;
  readonly ended: number;
  /** Means times what they are means of. */
  readonly isl: number;
  readonly osl: number;
  readonly ttft_ms: number;
  readonly itl_ms: number;
  readonly duration_ms: number;
};

export type Corrections = { readonly prefill: number; readonly decode: number };

export type ClassicMemory = {
  readonly at_ms: number | null;
  readonly observed: Observed;
  readonly corrections: Corrections;
  readonly proposals: readonly Proposal[];
};

const nothing: Observed = {
  interval_ms: 0,
  whole: true,
  started: 0,
  ended: 0,
  isl: 0,
  osl: 0,
  ttft_ms: 0,
  itl_ms: 0,
  duration_ms: 0,
};

export function classicStage(curves: Curves | undefined): ProposeStage<ClassicMemory> {
  const known = curves && classicCurves(curves);
  return {
    name: "classic",
    start: {
      at_ms: null,
      observed: nothing,
      corrections: { prefill: 1, decode: 1 },
      proposals: [],
    },
    propose({ config, snapshot, prediction, memory }) {
      const observed = withTick(memory.observed, snapshot);
      const decided = memory.proposals.some(({ wanted }) => wanted !== undefined);
      const interval_s = config.throughput_adjustment_interval_seconds;
      if (decided && !isDue(memory.at_ms, snapshot, interval_s)) {
        return { result: memory.proposals, memory: { ...memory, observed } };
      }
      const corrections = correctionsOf(config, known, observed, snapshot) ?? memory.corrections;
      const fresh = adjust(config, known, observed, corrections, prediction);
      const proposals = fresh.map((proposal) => {
        const last = memory.proposals.find(({ role }) => role === proposal.role);
        return { ...proposal, wanted: proposal.wanted ?? last?.wanted };
      });
      const at_ms = snapshot.at_ms;
      return { result: proposals, memory: { at_ms, observed: nothing, corrections, proposals } };
    },
  };
}

function withTick(observed: Observed, { interval_ms, traffic }: PlanSnapshot): Observed {
  const longer = { ...observed, interval_ms: observed.interval_ms + interval_ms };
  if (traffic === undefined) return { ...longer, whole: false };
  const { started, ended } = traffic;
  const more = (sum: number, mean: number | undefined, of: number) => sum + (mean ?? 0) * of;
  return {
    interval_ms: longer.interval_ms,
    whole: observed.whole && !lacks(traffic),
    started: observed.started + started,
    ended: observed.ended + ended,
    isl: more(observed.isl, traffic.isl, started),
    osl: more(observed.osl, traffic.osl, ended),
    ttft_ms: more(observed.ttft_ms, traffic.ttft_ms?.mean, ended),
    itl_ms: more(observed.itl_ms, traffic.itl_ms?.mean, ended),
    duration_ms: more(observed.duration_ms, traffic.duration_ms?.mean, ended),
  };
}

function lacks({ started, ended, isl, osl, ttft_ms, itl_ms, duration_ms }: Traffic): boolean {
  const of_ended = [osl, ttft_ms?.mean, itl_ms?.mean, duration_ms?.mean];
  const missing = (mean: number | undefined) => mean === undefined || !Number.isFinite(mean);
  return (started > 0 && missing(isl)) || (ended > 0 && of_ended.some(missing));
}

/** Undefined: they stay as they were, since nothing was measured against the curves. */
export function correctionsOf(
  { no_correction, mode }: PlannerConfig,
  curves: ClassicCurves | undefined,
  observed: Observed,
  snapshot: PlanSnapshot,
): Corrections | undefined {
  if (no_correction) return { prefill: 1, decode: 1 };
  const { started, ended, whole, interval_ms } = observed;
  if (curves === undefined || !whole || started === 0 || ended === 0) return undefined;
  const isl = observed.isl / started;
  const osl = observed.osl / ended;
  const role = mode === "agg" ? "aggregated" : "decode";
  const workers = Math.max(1, countRole(snapshot, role).serving.length);
  // Little's law: what one worker has at a time.
  const concurrency = ((started / workers) * (observed.duration_ms / ended)) / interval_ms;
  const prefill = observed.ttft_ms / ended / curves.ttftMs(isl);
  const decode = observed.itl_ms / ended / curves.itlMs(concurrency, contextOf({ isl, osl }));
  return { prefill: factor(prefill), decode: factor(decode) };
}

function factor(value: number): number {
  return Number.isFinite(value) ? value : 1;
}

function adjust(
  config: PlannerConfig,
  curves: ClassicCurves | undefined,
  observed: Observed,
  corrections: Corrections,
  prediction: Prediction,
): readonly Proposal[] {
  const roles = rolesOf(config);
  const all = (reason: ReasonName, why: string) =>
    roles.map((role) => proposal(role, undefined, reason, why));
  if (!config.enable_throughput_scaling) return all("disabled", "The throughput loop is off.");
  if (!observed.whole) {
    return all("no_traffic_data", "A figure of the last interval is missing: nothing changes.");
  }
  const { requests, isl, osl, failure } = prediction;
  if (requests === undefined && failure === undefined) {
    return all("no_traffic_data", "Too few requests were counted yet.");
  }
  if (requests === 0) {
    const why = "No request is expected: the minimum is enough.";
    return roles.map((role) => proposal(role, leastOf(config, role), "no_traffic", why));
  }
  if (failure !== undefined || requests === undefined || !isl || !osl) {
    const why = failure?.why ?? "The lengths of the next interval's requests are not known.";
    return all("predict_failed", why);
  }
  if (curves === undefined) {
    const why = "The classic planner needs curves: profile_results_dir names none.";
    return all("model_not_ready", why);
  }
  const load = { requests, isl, osl, interval_ms: prediction.interval_ms };
  const gpus = {
    prefill: prefillGpus(curves, load, corrections),
    decode: decodeGpus(curves, load, config.itl_ms, corrections),
  };
  return roles.map((role) => {
    // An aggregated worker does the one beside the other.
    const needed = role === "aggregated" ? gpus.prefill + gpus.decode : gpus[role];
    if (!Number.isFinite(needed)) {
      return proposal(role, undefined, "model_not_ready", "The curves have a throughput of 0.");
    }
    const count = Math.max(Math.ceil(needed / gpusOf(config, role)), leastOf(config, role));
    const why =
      `${figure(requests)} requests of ${figure(isl)} + ${figure(osl)} tokens are work for ` +
      `${figure(needed)} GPUs (corrections ${figure(corrections.prefill)} and ` +
      `${figure(corrections.decode)}): ${count}.`;
    return proposal(role, count, "scale", why);
  });
}

type Load = {
  readonly requests: number;
  readonly isl: number;
  readonly osl: number;
  /** What the requests come in. */
  readonly interval_ms: number;
};

/** GPUs that compute the prompts; a TTFT better than the curve's, as of a cache, needs fewer. */
export function prefillGpus(
  curves: ClassicCurves,
  { requests, isl, interval_ms }: Load,
  corrections: Corrections,
): number {
  const tokens_per_s = ((requests * isl) / interval_ms) * 1_000;
  return (tokens_per_s * Math.min(1, corrections.prefill)) / curves.prefillThroughput(isl);
}

/** GPUs that draw the answers, as full as the corrected limit allows. */
export function decodeGpus(
  curves: ClassicCurves,
  { requests, isl, osl, interval_ms }: Load,
  itl_ms: number,
  corrections: Corrections,
): number {
  const limit_ms = corrections.decode > 0 ? itl_ms / corrections.decode : itl_ms;
  const { thpt_per_gpu } = curves.bestDecode(limit_ms, contextOf({ isl, osl }));
  const tokens_per_s = ((requests * osl) / interval_ms) * 1_000;
  return tokens_per_s / thpt_per_gpu;
}

function proposal(
  role: PlanRole,
  wanted: number | undefined,
  reason: ReasonName,
  why: string,
): Proposal {
  return { loop: "throughput", role, wanted, floor: false, reason, why };
}
