/**
 * Samples of passes that a regression is fitted to: 64, kept apart in 16 buckets of equal width
 * over the range of each feature (4 × 4 for two). When there are too many, the oldest of the
 * fullest bucket goes, so that long traffic of one kind does not push out what is known of others.
 * After Dynamo's `core/perf_model/base.py` (1.x).
 */
import type { Sample } from "./least-squares.ts";

export const SAMPLES_MAX = 64;
/** A square number, so that two features have buckets of one count. */
const BUCKETS = 16;

/** Plain data that survives JSON; the oldest sample first. */
export type SampleStore = {
  readonly samples: readonly Sample[];
  /** Of each feature, the least and the largest that were ever seen. */
  readonly low: readonly number[];
  readonly high: readonly number[];
};

export const noSamples: SampleStore = { samples: [], low: [], high: [] };

/** Samples that are not finite, or took no time, are left out. */
export function addSamples(store: SampleStore, more: readonly Sample[]): SampleStore {
  const samples = [...store.samples];
  let { low, high } = store;
  const counts = new Map<number, number>();
  const count = () => {
    counts.clear();
    for (const { x } of samples) grow(counts, bucketOf(x, low, high), 1);
  };
  count();
  for (const sample of more) {
    const { x, ms } = sample;
    if (!(ms > 0 && Number.isFinite(ms) && x.every(Number.isFinite))) continue;
    if (low.length === 0) [low, high] = [x, x];
    if (x.some((value, i) => value < low[i]! || value > high[i]!)) {
      low = low.map((value, i) => Math.min(value, x[i]!));
      high = high.map((value, i) => Math.max(value, x[i]!));
      count();
    }
    samples.push(sample);
    grow(counts, bucketOf(x, low, high), 1);
    if (samples.length > SAMPLES_MAX) {
      const fullest = Math.max(...counts.values());
      // Of buckets that are equally full, the one with the oldest sample.
      const index = samples.findIndex(({ x }) => counts.get(bucketOf(x, low, high)) === fullest);
      grow(counts, bucketOf(samples[index]!.x, low, high), -1);
      samples.splice(index, 1);
    }
  }
  return { samples, low, high };
}

function grow(counts: Map<number, number>, bucket: number, by: number): void {
  counts.set(bucket, (counts.get(bucket) ?? 0) + by);
}

function bucketOf(x: readonly number[], low: readonly number[], high: readonly number[]): number {
  const per_axis = x.length === 1 ? BUCKETS : Math.sqrt(BUCKETS);
  let bucket = 0;
  for (let i = 0; i < x.length; i++) {
    const width = high[i]! - low[i]!;
    const place = width > 0 ? Math.floor(((x[i]! - low[i]!) / width) * per_axis) : 0;
    bucket = bucket * per_axis + Math.min(place, per_axis - 1);
  }
  return bucket;
}
