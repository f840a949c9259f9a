/**
 * Ordinary least squares with an intercept, for one or two features. Where the samples cannot tell
 * two features apart, the coefficients are the smallest that fit, as scikit-learn's
 * `LinearRegression` has them.
 */

export type Sample = {
  readonly x: readonly number[];
  /** What the pass took. */
  readonly ms: number;
};

export type LinearFit = {
  readonly intercept: number;
  readonly coefficients: readonly number[];
};

/** Sine squared of the angle between two features, below which they count as one. */
const PARALLEL = 1e-12;

/** Undefined: no samples. Throws nothing; features without spread get 0. */
export function leastSquares(samples: readonly Sample[]): LinearFit | undefined {
  const first = samples[0];
  if (first === undefined) return undefined;
  const mean_ms = mean(samples.map(({ ms }) => ms));
  const means = first.x.map((_, i) => mean(samples.map(({ x }) => x[i]!)));
  const columns = means.map((middle, i) => samples.map(({ x }) => x[i]! - middle));
  const rest = samples.map(({ ms }) => ms - mean_ms);
  const coefficients =
    columns.length === 1 ? [one(columns[0]!, rest)] : two(columns[0]!, columns[1]!, rest);
  const intercept = coefficients.reduce((sum, value, i) => sum - value * means[i]!, mean_ms);
  return { intercept, coefficients };
}

function one(u: readonly number[], y: readonly number[]): number {
  const uu = dot(u, u);
  return uu > 0 ? dot(u, y) / uu : 0;
}

function two(u: readonly number[], v: readonly number[], y: readonly number[]): number[] {
  const u_length = Math.sqrt(dot(u, u));
  const v_length = Math.sqrt(dot(v, v));
  if (u_length === 0 || v_length === 0) return [one(u, y), one(v, y)];
  const along = u.map((value) => value / u_length);
  const cosine = dot(along, v) / v_length;
  const uy = dot(along, y);
  const across = v.map((value, i) => value / v_length - cosine * along[i]!);
  const sine_squared = dot(across, across);
  if (sine_squared < PARALLEL) {
    // Every sample is a point of one line through both features: the shortest vector on it.
    const direction = [u_length, cosine * v_length] as const;
    const squared = direction[0] ** 2 + direction[1] ** 2;
    return direction.map((part) => (uy * part) / squared);
  }
  const v_part = dot(across, y) / sine_squared;
  return [(uy - cosine * v_part) / u_length, v_part / v_length];
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
