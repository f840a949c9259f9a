/**
 * What the router's objectives are worth, over all traces of docs/routing.md: one line of figures
 * for each point of the trade-off between first tokens and whole answers, and for each objective.
 */
import { mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import { routerObjectives } from "../../../actors/router/policy/cost/objective.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import type { GoodputLimits } from "../goodput.ts";
import { KvReplayRouter } from "./replay-router.ts";
import { reportOf } from "./report.ts";
import { simulate } from "./simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "./synthetic.ts";
import type { TraceRequest } from "./trace.ts";

const BLOCK = 512;

export type FrontierCase = {
  readonly trace: readonly TraceRequest[];
  readonly workers: number;
  readonly blocks: number;
  readonly arrival_speedup: number;
};

/** Workers × blocks, speed-up. */
const conversations: readonly (readonly [number, number, number])[] = [
  [8, 2_000, 1],
  [8, 2_000, 3],
  [4, 2_000, 1],
  [16, 4_000, 4],
  [8, 20_000, 2],
  [8, 2_048, 4],
  [8, 2_048, 8],
];
const made_up: readonly string[] = [
  "groups=40,shared=0.6,isl=8000,rate=14",
  "turns=12,isl=2000,think_ms=5000,rate=1.2",
  "groups=0,isl=8000,rate=14",
  "groups=0,isl=8000,rate=30",
  "isl=60000,shared=0.5,rate=2,requests=2000",
  "isl=8000,rate=14,burst=64",
];

/** The tables of docs/routing.md. */
export function frontierCases(conversation: readonly TraceRequest[]): readonly FrontierCase[] {
  return [
    ...conversations.map(([workers, blocks, arrival_speedup]) => ({
      trace: conversation,
      workers,
      blocks,
      arrival_speedup,
    })),
    ...made_up.map((text) => ({
      trace: syntheticTrace(readSyntheticOptions(text), BLOCK),
      workers: 8,
      blocks: 2_048,
      arrival_speedup: 1,
    })),
  ];
}

/** From strict to easy; the goodput of a point is its mean over these. */
export const frontierLimits: readonly GoodputLimits[] = [
  { ttft_ms: 500, itl_ms: 25 },
  { ttft_ms: 1_000, itl_ms: 50 },
  { ttft_ms: 2_000, itl_ms: 100 },
];

export type FrontierPoint = { readonly name: string; readonly policy: KvPolicyOptions };

/** Late binding is the same in the whole sweep, so that one thing alone differs. */
export const frontierSweep: readonly FrontierPoint[] = [0, 0.25, 0.5, 0.6, 1].map((reach) => ({
  name: reach.toFixed(2),
  policy: { name: "adaptive", objective: "goodput", reach },
}));
export const frontierObjectives: readonly FrontierPoint[] = routerObjectives.map((objective) => ({
  name: objective,
  policy: { name: "adaptive", objective },
}));

/** Means over all cases: geometric of times in ms, arithmetic of shares. */
export type FrontierFigures = {
  readonly ttft_ms: number;
  readonly ttft_p99_ms: number;
  readonly e2e_ms: number;
  /** One a limit. */
  readonly goodput: readonly number[];
  /** One a case: share of prompt tokens found in a cache, mean TTFT, mean E2E. */
  readonly cases: readonly (readonly [reuse: number, ttft_ms: number, e2e_ms: number])[];
};

export function frontierFigures(
  cases: readonly FrontierCase[],
  policy: KvPolicyOptions,
): FrontierFigures {
  const reports = cases.map((each) => frontierReports(each, policy));
  const geometric = (of: (report: (typeof reports)[number][number]) => number) =>
    Math.exp(mean(reports.map(([first]) => Math.log(of(first!)))));
  return {
    ttft_ms: geometric((report) => report.ttft_ms.mean),
    ttft_p99_ms: geometric((report) => report.ttft_ms.p99),
    e2e_ms: geometric((report) => report.e2e_ms.mean),
    goodput: frontierLimits.map((_, i) => mean(reports.map((each) => each[i]!.goodput!.share))),
    cases: reports.map(([first]) => [first!.prefix_reuse, first!.ttft_ms.mean, first!.e2e_ms.mean]),
  };
}

/** One run, one report a limit. */
function frontierReports(
  { trace, workers, blocks, arrival_speedup }: FrontierCase,
  policy: KvPolicyOptions,
) {
  const mocker = mockerOptions({ block_size: BLOCK, num_gpu_blocks: blocks });
  const limits = {
    block_size: BLOCK,
    total_blocks: blocks,
    batch_tokens: mocker.max_num_batched_tokens,
  };
  const settings = {
    workers,
    mocker,
    timing: polynomialTiming,
    trace_block_size: BLOCK,
    arrival_speedup,
    lag_ms: 0,
    concurrency: 0,
  };
  const router = new KvReplayRouter(policy, workers, limits, new SeededRandom(1));
  const result = simulate(trace, settings, router);
  return frontierLimits.map((each) => reportOf(result, 0, each));
}

export const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
