/**
 * What processes have counted between two looks, process by process: counters begin anew with each
 * process, and one that counts less than before has begun anew. A process that did not answer is
 * measured from its last answer, when it answers again. Pure.
 */
import type { Counted, LoadFigures, Summed } from "../../../proto/index.ts";
import {
  type Buckets,
  hasBegunAnew,
  quantile,
  risen,
  type Sample,
  sumOf,
} from "../../inspector/inspector.ts";
import type { Tail } from "../pipeline/snapshot.ts";

/** One process at a look and at the one before. */
export type Interval = {
  readonly now: LoadFigures;
  /** Of a process that is new since then, an answer of zeros. */
  readonly before: LoadFigures;
  /** Between the two answers. */
  readonly interval_ms: number;
};

/** Processes that are older than the interval and were not heard of before are left out. */
export function intervalsOf(before: Sample, now: Sample, since_ms: number): readonly Interval[] {
  return [...now.values()].flatMap(({ said, at_ms }): Interval[] => {
    const earlier = before.get(said.node);
    if (earlier !== undefined) {
      return [{ now: said, before: earlier.said, interval_ms: at_ms - earlier.at_ms }];
    }
    if (said.up_ms > since_ms) return [];
    return [{ now: said, before: { ...said, models: [], workers: [] }, interval_ms: since_ms }];
  });
}

export type SummedRise = { readonly count: number; readonly sum: number };

export function summedRise(before: Summed | undefined, now: Summed | undefined): SummedRise {
  const [was, is] = [before ?? none, now ?? none];
  const anew = is.count < was.count;
  return anew ? is : { count: is.count - was.count, sum: is.sum - was.sum };
}

const none: SummedRise = { count: 0, sum: 0 };

/** Values of the interval by their buckets, and their sum. */
export type Spread = Buckets & { readonly sum: number };

export function spreadRise(
  before: Counted | undefined,
  now: Counted | undefined,
): Spread | undefined {
  const counted = risen(before, now);
  if (now === undefined || counted === undefined) return undefined;
  const was = before === undefined || hasBegunAnew(before, now) ? 0 : before.sum;
  return { ...counted, sum: now.sum - was };
}

/** Of other bounds than the first: left out, which only two releases side by side can have. */
export function addSpread(a: Spread | undefined, b: Spread | undefined): Spread | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const both = sumOf(a, b) ?? a;
  return both === a ? a : { ...both, sum: a.sum + b.sum };
}

export const countOf = (spread: Spread | undefined): number =>
  spread?.counts.reduce((sum, count) => sum + count, 0) ?? 0;

/** Seconds to ms. Undefined: there were no values. */
export function tailOf(spread: Spread | undefined): Tail | undefined {
  const count = countOf(spread);
  if (spread === undefined || count === 0) return undefined;
  const at = (share: number) => 1_000 * (quantile(spread, share) ?? 0);
  return { mean: (1_000 * spread.sum) / count, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Share of the values at most as large as `limit_s`, spread evenly in their bucket. */
export function shareWithin(spread: Spread | undefined, limit_s: number): number | undefined {
  const count = countOf(spread);
  if (spread === undefined || count === 0) return undefined;
  let within = 0;
  let from = 0;
  for (const [i, bound] of spread.bounds.entries()) {
    const here = spread.counts[i] ?? 0;
    if (limit_s >= bound) within += here;
    else {
      within += (here * Math.max(0, limit_s - from)) / (bound - from);
      break;
    }
    from = bound;
  }
  return within / count;
}
