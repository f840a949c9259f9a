/** The value below which the share `q` of the samples lies (nearest rank). */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (samples: readonly number[]) => quantile(samples, 0.5);

/** The standard error of the median, out of the median distance to it: outliers count little. */
export function errorOfMedian(samples: readonly number[]): number {
  const middle = median(samples);
  const spread = 1.4826 * median(samples.map((sample) => Math.abs(sample - middle)));
  return (1.2533 * spread) / Math.sqrt(samples.length);
}

export const rounded = (value: number, digits = 2) => Number(value.toFixed(digits));
