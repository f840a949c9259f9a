/** Numbers whose logarithms are spread evenly around that of the median: times and lengths are. */
import type { Tail } from "../pipeline/snapshot.ts";

/** Standard deviations from the middle to the 95th of a hundred. */
export const Z95 = 1.645;

/** Of numbers whose logarithms are spread evenly around that of the median. */
export function shareWithin(limit: number, median: number, sigma: number): number {
  if (median <= 0) return 1;
  return normalShare(Math.log(limit / median) / Math.max(0.05, sigma));
}

/** Share of a normal distribution below z (Abramowitz and Stegun 26.2.17; error below 1e-7). */
export function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const above = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return z >= 0 ? 1 - above : above;
}

/** The standard deviations from the middle below which a share of a normal distribution lies. */
function normalPoint(share: number): number {
  let [low, high] = [-4, 4];
  for (let step = 0; step < 30; step++) {
    const z = (low + high) / 2;
    if (normalShare(z) < share) low = z;
    else high = z;
  }
  return (low + high) / 2;
}

/** Of a normal distribution, the middles of so many equal parts. */
export const middles = (parts: number): readonly number[] =>
  Array.from({ length: parts }, (_, i) => normalPoint((i + 0.5) / parts));

const PARTS = middles(100);

/** Of what has no size, as of one token or one millisecond. */
export const logOf = (size: number): number => Math.log(Math.max(1, size));

/** A hundred numbers whose logarithms are spread evenly around that of the median, `log`. */
export function spreadOut(log: number, sigma: number): readonly number[] {
  return PARTS.map((z) => Math.exp(log + sigma * z));
}

/** Standard deviation of the logarithms of `count` numbers. */
export function sigmaOf({ p50, p95 }: Pick<Tail, "p50" | "p95">, count: number): number {
  // The 95th of a hundred is the largest of a few, which lies farther out.
  const at = (rank: number) => normalPoint((rank - 0.375) / (count + 0.25));
  const [low, high] = [Math.floor(0.5 * count) + 1, Math.floor(0.95 * count) + 1];
  const apart = count >= 3 ? at(high) - at(low) : Z95;
  return Math.log(Math.max(1.01, p95 / Math.max(1e-9, p50))) / apart;
}
