/** Histograms by their buckets: sums, and what share of the values lies below which bound. Pure. */

import type { Counted } from "../../../proto/index.ts";

/** `counts[i]`: values above `bounds[i - 1]` and at most `bounds[i]`; one more above all bounds. */
export type Buckets = { readonly bounds: readonly number[]; readonly counts: readonly number[] };

/** Histograms of other bounds are not added: the first one's stay. */
export function sumOf(a: Buckets | undefined, b: Buckets | undefined): Buckets | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const alike =
    a.counts.length === b.counts.length && a.bounds.every((bound, i) => bound === b.bounds[i]);
  if (!alike) return a;
  return { bounds: a.bounds, counts: a.counts.map((count, i) => count + b.counts[i]!) };
}

/**
 * As Prometheus' histogram_quantile: values are spread evenly in their bucket. What lies above all
 * bounds counts as the largest bound.
 * @returns undefined when there are no values
 */
export function quantile(buckets: Buckets | undefined, share: number): number | undefined {
  if (buckets === undefined) return undefined;
  const { bounds, counts } = buckets;
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (!(all > 0)) return undefined;
  const wanted = share * all;
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const count = counts[i] ?? 0;
    if (below + count >= wanted && count > 0) {
      const from = i === 0 ? 0 : bounds[i - 1]!;
      return from + (bound - from) * Math.max(0, (wanted - below) / count);
    }
    below += count;
  }
  return bounds.at(-1);
}

/** Of a counter; less than before: it has begun anew. */
export const rise = (before = 0, now = 0): number => (now >= before ? now - before : now);

/** Undefined: nothing is counted. */
export function risen(before: Counted | undefined, now: Counted | undefined): Buckets | undefined {
  if (now === undefined) return undefined;
  const { bounds, counts } = now;
  if (hasBegunAnew(before, now)) return { bounds, counts: [...counts] };
  return { bounds, counts: counts.map((count, i) => rise(before?.counts[i], count)) };
}

/** Not one bucket alone begins anew. */
export const hasBegunAnew = (before: Counted | undefined, { counts }: Counted): boolean =>
  counts.some((count, i) => count < (before?.counts[i] ?? 0));
