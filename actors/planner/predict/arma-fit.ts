/**
 * The likeliest ARMA process of given orders. The search moves in partial correlations, each of
 * which may be any number between -1 and 1, so every point of it is stationary and invertible.
 */
import { type Arma, likelihood } from "./arma.ts";
import { leastSquares } from "./linear-system.ts";
import { type Descent, descentFrom, stepped } from "./minimize.ts";

/** An inverse root beyond it hardly fades: such a model explains noise by cycles that cancel. */
const LARGEST_ROOT = 0.99;
/** Of fewer differences, a straight line through all the values is not believed. */
const ENOUGH_FOR_LINE = 40;

export type FittedArma = Arma & {
  /** Akaike's criterion: what a model explains against how many numbers it has. */
  readonly aic: number;
};

export type ArmaOrder = { readonly p: number; readonly q: number; readonly with_mean: boolean };

/** A fit under way, as plain data; it is given the same series each time. */
export type ArmaFit = {
  readonly order: ArmaOrder;
  /** The series is the differences of another one. */
  readonly differenced: boolean;
  readonly descent: Descent;
};

export function begunFit(
  series: readonly number[],
  order: ArmaOrder,
  differenced: boolean,
): ArmaFit {
  const problem = problemOf(series, order, differenced);
  const guess = startOf(problem.scaled, order, problem.bound);
  return { order, differenced, descent: descentFrom(problem.cost, guess) };
}

/** Goes on until it is over, has made `most_steps`, or has cost `work` likelihoods or a few more. */
export function continuedFit(
  series: readonly number[],
  fit: ArmaFit,
  most_steps: number,
  work: number,
): { readonly fit: ArmaFit; readonly over: boolean; readonly work: number } {
  const { cost } = problemOf(series, fit.order, fit.differenced);
  let done = 0;
  const counted = (at: readonly number[]) => {
    done += 1;
    return cost(at);
  };
  let { descent } = fit;
  const over = () => descent.over || descent.steps >= most_steps;
  while (!over() && done < work) descent = stepped(counted, descent);
  return { fit: { ...fit, descent }, over: over(), work: done };
}

/** What the fit found; undefined: nothing whose past fades. */
export function fitted(series: readonly number[], fit: ArmaFit): FittedArma | undefined {
  const { order, differenced, descent } = fit;
  const { p, q, with_mean } = order;
  const { as_line, bound, scale, scaled } = problemOf(series, order, differenced);
  const ar = arOf(descent.at.slice(0, p));
  const ma = maOf(descent.at.slice(p), bound);
  const likely = likelihood(ar, ma, scaled, with_mean);
  // As pmdarima has it, a model with surprises in it is judged by these alone.
  const fading = as_line || fades(q > 0 ? ma.map((share) => -share) : ar);
  if (likely === undefined || !fading) return undefined;
  const parameters = p + q + Number(with_mean) + 1;
  const log_likelihood = likely.log_likelihood - series.length * Math.log(scale);
  const aic = 2 * parameters - 2 * log_likelihood;
  return { ar, ma, mean: likely.mean * scale, aic };
}

function problemOf(series: readonly number[], { p, with_mean }: ArmaOrder, differenced: boolean) {
  const scale = spreadOf(series);
  const scaled = series.map((value) => value / scale);
  // Differences of a straight line in noise have an inverse root of 1, which the bound stands for.
  const as_line = differenced && series.length >= ENOUGH_FOR_LINE;
  const bound = as_line ? LARGEST_ROOT : 1;
  const cost = (at: readonly number[]): number => {
    const found = likelihood(arOf(at.slice(0, p)), maOf(at.slice(p), bound), scaled, with_mean);
    return found === undefined ? Infinity : -found.log_likelihood / series.length;
  };
  return { scale, scaled, as_line, bound, cost };
}

function spreadOf(series: readonly number[]): number {
  const most = Math.max(...series.map(Math.abs));
  return most > 0 ? most : 1;
}

const correlationOf = (free: number): number => free / Math.sqrt(1 + free * free);
const freeOf = (correlation: number): number => correlation / Math.sqrt(1 - correlation ** 2);

const arOf = (free: readonly number[]): number[] => arOfCorrelations(free.map(correlationOf));
const maOf = (free: readonly number[], bound: number): number[] =>
  shrunk(arOf(free), bound).map((share) => -share);

/** All inverse roots of the process times `factor`. */
const shrunk = (ar: readonly number[], factor: number): number[] =>
  ar.map((share, i) => share * factor ** (i + 1));

/** By Levinson and Durbin. */
function arOfCorrelations(correlations: readonly number[]): number[] {
  let ar: number[] = [];
  for (const last of correlations) {
    const before = ar;
    ar = before.map((share, i) => share - last * before[before.length - 1 - i]!);
    ar.push(last);
  }
  return ar;
}

/** The way back; undefined: it is not stationary. */
function correlationsOf(ar: readonly number[]): readonly number[] | undefined {
  const correlations: number[] = [];
  let rest = [...ar];
  while (rest.length > 0) {
    const last = rest.at(-1) ?? 0;
    if (!(Math.abs(last) < 1)) return undefined;
    correlations.unshift(last);
    const before = rest;
    const count = before.length - 1;
    rest = before.slice(0, count).map((share, i) => {
      return (share + last * before[count - 1 - i]!) / (1 - last * last);
    });
  }
  return correlations;
}

const fades = (ar: readonly number[]): boolean =>
  correlationsOf(shrunk(ar, 1 / LARGEST_ROOT)) !== undefined;

/** Where the search starts, by Hannan and Rissanen: a long ar fit's surprises are regressors. */
function startOf(
  series: readonly number[],
  { p, q, with_mean }: ArmaOrder,
  bound: number,
): number[] {
  const long = 2 * q;
  const from = Math.max(long + q, p);
  const zeros = new Array<number>(p + q).fill(0);
  const lagged = (values: readonly number[], lag: number, first: number) =>
    Array.from({ length: values.length - first }, (_, i) => values[first + i - lag]!);
  if (series.length - from < 1) return zeros;
  const lags = Array.from({ length: long }, (_, i) => lagged(series, i + 1, long));
  const shares = q > 0 ? leastSquares(lags, series.slice(long)) : [];
  if (shares === undefined) return zeros;
  const surprises = series.map((value, at) =>
    at < long ? 0 : shares.reduce((left, share, i) => left - share * series[at - 1 - i]!, value),
  );
  const wanted = series.slice(from);
  const columns = [
    ...(with_mean ? [wanted.map(() => 1)] : []),
    ...Array.from({ length: p }, (_, i) => lagged(series, i + 1, from)),
    ...Array.from({ length: q }, (_, i) => lagged(surprises, i + 1, from)),
  ];
  const found = leastSquares(columns, wanted)?.slice(Number(with_mean));
  if (found === undefined) return zeros;
  const free = (ar: readonly number[]) =>
    (correlationsOf(ar) ?? ar.map(() => 0)).map(freeOf).map((v) => (Number.isFinite(v) ? v : 0));
  const ma = found.slice(p).map((share) => -share);
  return [...free(found.slice(0, p)), ...free(shrunk(ma, 1 / bound))];
}
