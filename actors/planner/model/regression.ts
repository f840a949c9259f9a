/**
 * Live regression: what a pass takes, learned from the sums that workers report. As a linear cost
 * holds for sums too, the mean pass of a worker's interval is one sample.
 *
 *   prefill      ms = a + b · prompt tokens
 *   decode       ms = a + b · requests + c · KV tokens        (b below 0 counts as 0)
 *   aggregated   ms = a + b · prompt tokens + c · KV tokens
 *
 * Another coefficient below 0 says that more work takes less time: then there is no model until
 * more samples came. After Dynamo's `core/perf_model/{base,prefill,decode,agg}.py` (1.x).
 */
import type { PassFigures, PlanRole, PlanSnapshot, WorkerView } from "../pipeline/snapshot.ts";
import { type LinearFit, leastSquares, type Sample } from "./least-squares.ts";
import type { Pass, PassModel } from "./pass-model.ts";
import { addSamples, noSamples, type SampleStore } from "./samples.ts";

/** Plain data that survives JSON. */
export type Regression = SampleStore & {
  /** Means of the last interval that had any; 0: none had. */
  readonly mean_context: number;
  readonly mean_prefill_tokens: number;
  readonly mean_requests: number;
  /** The most KV tokens that were seen in use at one worker. */
  readonly kv_tokens_max: number;
};

export type Regressions = Readonly<Partial<Record<PlanRole, Regression>>>;

export const noRegression: Regression = {
  ...noSamples,
  mean_context: 0,
  mean_prefill_tokens: 0,
  mean_requests: 0,
  kv_tokens_max: 0,
};

/** Least time of a pass: a line that is drawn below 0 means nothing. */
const PASS_MS_MIN = 1e-3;

const features: Readonly<Record<PlanRole, readonly (keyof Pass)[]>> = {
  prefill: ["prefill_tokens"],
  decode: ["requests", "kv_tokens"],
  aggregated: ["prefill_tokens", "kv_tokens"],
};

/** Adds what the workers of these roles did in the interval. */
export function learn(
  known: Regressions,
  snapshot: PlanSnapshot,
  roles: readonly PlanRole[],
): Regressions {
  const learned: Partial<Record<PlanRole, Regression>> = { ...known };
  const accepted = Math.max(1, snapshot.traffic?.accept_length ?? 1);
  for (const role of roles) {
    const passes = snapshot.workers
      .filter((worker) => worker.role === role && worker.state !== "starting" && worker.reports)
      .flatMap((worker) => meanPass(worker, snapshot.limits.max_kv_tokens, accepted) ?? []);
    learned[role] = learnPasses(known[role] ?? noRegression, role, passes);
  }
  return learned;
}

/** The mean pass of an interval. */
export type MeasuredPass = Pass & { readonly passes: number; readonly ms: number };

/** Adds passes that were measured, each as one sample. */
export function learnPasses(
  before: Regression,
  role: PlanRole,
  passes: readonly MeasuredPass[],
): Regression {
  const store = addSamples(
    before,
    passes.map((pass): Sample => ({ x: features[role].map((name) => pass[name]), ms: pass.ms })),
  );
  const count = sum(passes, ({ passes }) => passes);
  const requests = sum(passes, (pass) => pass.requests * pass.passes);
  const kv_tokens = sum(passes, (pass) => pass.kv_tokens * pass.passes);
  const prefill_tokens = sum(passes, (pass) => pass.prefill_tokens * pass.passes);
  return {
    ...store,
    mean_context: requests > 0 ? kv_tokens / requests : before.mean_context,
    mean_prefill_tokens: count > 0 ? prefill_tokens / count : before.mean_prefill_tokens,
    mean_requests: count > 0 ? requests / count : before.mean_requests,
    kv_tokens_max: passes.reduce(
      (most, pass) => Math.max(most, pass.kv_tokens),
      before.kv_tokens_max,
    ),
  };
}

/** @param accepted tokens that a pass makes for one answer */
function meanPass(
  worker: WorkerView,
  max_kv_tokens: number,
  accepted: number,
): MeasuredPass | undefined {
  const figures = worker.passes;
  if (figures === undefined || !(figures.busy_ms > 0)) return undefined;
  const passes = passCount(worker.role, figures);
  if (passes === 0) return undefined;
  const kv_total = worker.kv_total_tokens > 0 ? worker.kv_total_tokens : max_kv_tokens;
  return {
    passes,
    ms: figures.busy_ms / passes,
    prefill_tokens: figures.prefill_tokens / passes,
    requests: figures.decode_tokens / passes / accepted,
    kv_tokens: (figures.decode_share * kv_total) / passes,
  };
}

/**
 * Passes of the interval. An aggregated engine draws tokens in nearly each of its passes, those
 * with prompt tokens too, and so the larger count is that of all.
 */
function passCount(role: PlanRole, figures: PassFigures): number {
  if (role === "prefill") return figures.prefill_passes;
  if (role === "decode") return figures.decode_passes;
  return Math.max(figures.prefill_passes, figures.decode_passes);
}

/** Undefined: fewer samples than `samples_min`, or a line that cannot be. */
export function regressionModel(
  regression: Regression | undefined,
  role: PlanRole,
  samples_min: number,
): PassModel | undefined {
  if (regression === undefined || regression.samples.length < Math.max(1, samples_min)) {
    return undefined;
  }
  const fit = plausible(leastSquares(regression.samples), role);
  if (fit === undefined) return undefined;
  const [a, b] = features[role];
  const first = fit.coefficients[0]!;
  const second = fit.coefficients[1] ?? 0;
  return {
    passMs(pass) {
      const ms = fit.intercept + first * pass[a!] + (b === undefined ? 0 : second * pass[b]);
      return Math.max(PASS_MS_MIN, ms);
    },
  };
}

function plausible(fit: LinearFit | undefined, role: PlanRole): LinearFit | undefined {
  if (fit === undefined) return undefined;
  const clipped = fit.coefficients.map((value, i) =>
    // Requests and KV tokens grow together, and noise tips the weaker of the two below 0.
    features[role][i] === "requests" ? Math.max(0, value) : value,
  );
  return clipped.every((value) => value >= 0) ? { ...fit, coefficients: clipped } : undefined;
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
