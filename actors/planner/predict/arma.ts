/**
 * ARMA processes: x(t) = Σ ar(i) x(t-i) + e(t) + Σ ma(j) e(t-j), around a mean. How likely a series
 * is under one, exactly, and what comes next, by the innovations algorithm (Brockwell and Davis,
 * Time Series: Theory and Methods, §5.3): each value's best prediction from those before it.
 */
import { solved } from "./linear-system.ts";

export type Arma = {
  readonly ar: readonly number[];
  readonly ma: readonly number[];
  readonly mean: number;
};

/** Once the past is known this well, all of it is taken to be known. */
const SETTLED = 1e-9;

export type Likelihood = {
  readonly log_likelihood: number;
  /** The likeliest one; 0 where the process has none. */
  readonly mean: number;
};

/** With the likeliest variance and, if wanted, mean; undefined: no such stationary process. */
export function likelihood(
  ar: readonly number[],
  ma: readonly number[],
  series: readonly number[],
  with_mean: boolean,
): Likelihood | undefined {
  const rows = new Innovations(ar, ma);
  if (!rows.stationary) return undefined;
  const count = series.length;
  const of_series = rows.surprises(Float64Array.from(series));
  const of_mean = with_mean ? rows.surprises(new Float64Array(count).fill(1)) : undefined;
  let shared = 0;
  let own = 0;
  let logs = 0;
  for (let at = 0; at < count; at++) {
    const scale = rows.scaleAt(at);
    if (!(scale > 0)) return undefined;
    if (scale !== 1) logs += Math.log(scale);
    if (of_mean === undefined) continue;
    shared += (of_series[at]! * of_mean[at]!) / scale;
    own += (of_mean[at]! * of_mean[at]!) / scale;
  }
  const mean = own > 0 ? shared / own : 0;
  let squares = 0;
  for (let at = 0; at < count; at++) {
    const surprise = of_series[at]! - mean * (of_mean?.[at] ?? 0);
    squares += (surprise * surprise) / rows.scaleAt(at);
  }
  const variance = Math.max(squares / count, Number.MIN_VALUE);
  const log_likelihood = -0.5 * (count * (Math.log(2 * Math.PI * variance) + 1) + logs);
  return Number.isFinite(log_likelihood) ? { log_likelihood, mean } : undefined;
}

/** The `steps` values after the series. */
export function continued(arma: Arma, series: readonly number[], steps: number): number[] {
  const rows = new Innovations(arma.ar, arma.ma);
  const count = series.length;
  const values = new Float64Array(count + steps);
  for (let at = 0; at < count; at++) values[at] = series[at]! - arma.mean;
  const surprises = new Float64Array(count + steps);
  for (let at = 0; at < count + steps; at++) {
    const predicted = rows.predicted(at, values, surprises);
    if (at < count) surprises[at] = values[at]! - predicted;
    else values[at] = predicted;
  }
  return Array.from(values.subarray(count), (value) => value + arma.mean);
}

/** Rows of the algorithm, one a time: how much of each earlier surprise is in a prediction. */
class Innovations {
  readonly #ar: readonly number[];
  readonly #ma: readonly number[];
  /** max(p, q): from this row on only `ma` and `ar` are in a prediction. */
  readonly #span: number;
  readonly #covariances: readonly number[] | undefined;
  readonly #rows: Float64Array[] = [];
  readonly #scales: number[] = [];
  /** Rows from this one on are the same; Infinity: not yet. */
  #settled = Infinity;

  constructor(ar: readonly number[], ma: readonly number[]) {
    this.#ar = ar;
    this.#ma = ma;
    this.#span = Math.max(ar.length, ma.length);
    this.#covariances = covariances(ar, ma, 2 * this.#span);
  }

  get stationary(): boolean {
    return (this.#covariances?.[0] ?? 0) > 0;
  }

  /** Of the prediction's error; 1 is the variance of a surprise once the past is known. */
  scaleAt(at: number): number {
    if (at > this.#settled) return 1;
    this.#fill(at);
    return this.#scales[at]!;
  }

  predicted(at: number, values: Float64Array, surprises: Float64Array): number {
    this.#fill(at);
    const row = this.#rows[Math.min(at, this.#settled)]!;
    let sum = 0;
    const reach = at < this.#span ? at : this.#ma.length;
    for (let lag = 1; lag <= reach; lag++) sum += row[lag]! * surprises[at - lag]!;
    if (at < this.#span) return sum;
    for (let lag = 1; lag <= this.#ar.length; lag++) sum += this.#ar[lag - 1]! * values[at - lag]!;
    return sum;
  }

  /** Of each value, what those before it did not foretell. */
  surprises(values: Float64Array): Float64Array {
    const count = values.length;
    const surprises = new Float64Array(count);
    let at = 0;
    for (; at < count && at <= this.#settled; at++) {
      surprises[at] = values[at]! - this.predicted(at, values, surprises);
    }
    // Most values come here: nothing changes any more from one to the next.
    const ar = Float64Array.from(this.#ar);
    const ma = Float64Array.from(this.#ma);
    for (; at < count; at++) {
      let rest = values[at]!;
      for (let lag = 0; lag < ar.length; lag++) rest -= ar[lag]! * values[at - 1 - lag]!;
      for (let lag = 0; lag < ma.length; lag++) rest -= ma[lag]! * surprises[at - 1 - lag]!;
      surprises[at] = rest;
    }
    return surprises;
  }

  #fill(at: number): void {
    for (let row = this.#rows.length; row <= at && row <= this.#settled; row++) this.#add(row);
  }

  #add(at: number): void {
    const row = new Float64Array(this.#span + 1);
    const reach = at < this.#span ? at : this.#ma.length;
    for (let k = at - reach; k < at; k++) {
      let sum = this.#product(at, k);
      const earlier = this.#rows[k]!;
      const from = Math.max(at - reach, k < this.#span ? 0 : k - this.#ma.length);
      for (let j = from; j < k; j++) sum -= earlier[k - j]! * row[at - j]! * this.#scales[j]!;
      row[at - k] = sum / this.#scales[k]!;
    }
    let scale = this.#product(at, at);
    for (let j = at - reach; j < at; j++) scale -= row[at - j]! ** 2 * this.#scales[j]!;
    this.#rows.push(row);
    this.#scales.push(scale);
    if (at > 2 * this.#span && Math.abs(scale - 1) < SETTLED) this.#settled = at;
  }

  /** Expected product of the values at `late` and `early` after the ar part is taken out. */
  #product(late: number, early: number): number {
    const gamma = this.#covariances!;
    const lag = late - early;
    if (late < this.#span) return gamma[lag]!;
    if (early < this.#span) {
      if (late >= 2 * this.#span) return 0;
      return this.#ar.reduce(
        (sum, share, i) => sum - share * gamma[Math.abs(i + 1 - lag)]!,
        gamma[lag]!,
      );
    }
    let sum = lag === 0 ? 1 : (this.#ma[lag - 1] ?? 0);
    for (let j = 1; j + lag <= this.#ma.length; j++)
      sum += this.#ma[j - 1]! * this.#ma[j + lag - 1]!;
    return sum;
  }
}

/** Of lags 0 to `most`, for surprises of variance 1; undefined: not stationary. */
function covariances(
  ar: readonly number[],
  ma: readonly number[],
  most: number,
): readonly number[] | undefined {
  const p = ar.length;
  const q = ma.length;
  const ma_at = (lag: number) => (lag === 0 ? 1 : (ma[lag - 1] ?? 0));
  // What a surprise still adds after so many steps.
  const echo: number[] = [];
  for (let step = 0; step <= q; step++) {
    echo.push(ar.reduce((sum, share, i) => sum + share * (echo[step - 1 - i] ?? 0), ma_at(step)));
  }
  const right = Array.from({ length: Math.max(p, most) + 1 }, (_, lag) => {
    let sum = 0;
    for (let j = lag; j <= q; j++) sum += ma_at(j) * echo[j - lag]!;
    return sum;
  });
  const matrix = Array.from({ length: p + 1 }, (_, lag) => {
    const row = new Array<number>(p + 1).fill(0);
    row[lag]! += 1;
    for (const [i, share] of ar.entries()) row[Math.abs(lag - 1 - i)]! -= share;
    return row;
  });
  const gamma = solved(matrix, right.slice(0, p + 1));
  if (gamma === undefined) return undefined;
  const all = [...gamma];
  for (let lag = p + 1; lag <= most; lag++) {
    all.push(ar.reduce((sum, share, i) => sum + share * all[lag - 1 - i]!, right[lag]!));
  }
  return all;
}
