/**
 * A curve through the series as Prophet draws it (Taylor and Letham, Forecasting at Scale, 2018): a
 * straight trend that bends at changepoints, and a day and a week as sums of waves. It is fitted
 * anew for each prediction, to the most probable curve, with Prophet's own default priors.
 */
import { roundedToEven } from "../rounded-to-even.ts";
import { solved } from "./linear-system.ts";
import type { Predictor, PredictorOptions } from "./predictor.ts";
import {
  appended,
  asleep,
  countedValue,
  emptySeries,
  fromModel,
  lastOf,
  MINIMUM_POINTS,
  repeated,
  type Series,
  seriesOf,
  toModel,
} from "./series.ts";

const WINDOW = 50;
const DAY_MS = 86_400_000;
/** A wave is fitted where the window holds two of its periods. */
const PERIODS_NEEDED = 2;
const PERIODS = [
  { period_ms: 7 * DAY_MS, waves: 3 },
  { period_ms: DAY_MS, waves: 4 },
] as const;
/** Bends lie evenly in the first part of the window: the newest values do not bend the trend. */
const MOST_CHANGEPOINTS = 25;
const CHANGEPOINT_RANGE = 0.8;
/** Spreads of the priors: of slope and offset, of a bend (Laplace), of a wave, of the noise. */
const TREND_SPREAD = 5;
const BEND_SPREAD = 0.05;
const WAVE_SPREAD = 10;
const NOISE_SPREAD = 0.5;

const MOST_ROUNDS = 60;
const SETTLED = 1e-5;
/** A bend below this counts as none; its pull to zero stays finite. */
const LEAST_BEND = 1e-8;

export type ProphetState = { readonly kind: "prophet"; readonly series: Series };

export function prophetPredictor(options: PredictorOptions): Predictor<ProphetState> {
  const { log1p, interval_ms, window = WINDOW } = options;
  return {
    start: { kind: "prophet", series: emptySeries },
    add(state, value) {
      const counted = countedValue(state.series, value);
      if (counted === undefined) return state;
      return { kind: "prophet", series: appended(state.series, counted, window) };
    },
    next({ series }, steps) {
      const last = lastOf(series);
      if (last === undefined) return undefined;
      const { values } = series;
      if (values.length < MINIMUM_POINTS || values.every((value) => value === last)) {
        return repeated(last, steps);
      }
      const known = values.map((value) => toModel(value, log1p));
      const curve = curveThrough(known, interval_ms);
      if (curve === undefined) return repeated(last, steps);
      const ahead = Array.from({ length: steps }, (_, i) => curve(values.length + i));
      return fromModel(ahead, log1p, last);
    },
    warm: (history) => ({ kind: "prophet", series: asleep(seriesOf(history, window)) }),
  };
}

/** The fitted curve by position, 0 for the first value; undefined: no fit. */
function curveThrough(
  values: readonly number[],
  interval_ms: number,
): ((at: number) => number) | undefined {
  const scale = Math.max(...values.map(Math.abs));
  const features = featuresFor(values.length, interval_ms);
  const rows = values.map((_, at) => features.at(at));
  const scaled = values.map((value) => value / scale);
  const weights = mostProbable(rows, scaled, features.bends);
  if (weights === undefined) return undefined;
  return (at) => scale * dot(features.at(at), weights);
}

type Features = {
  /** Of a position: 1, the time, the time since each changepoint, then the waves. */
  at(position: number): readonly number[];
  /** How many changepoints there are. */
  readonly bends: number;
};

/** Time runs from 0 to 1 over the window. */
function featuresFor(count: number, interval_ms: number): Features {
  const reach = Math.floor(count * CHANGEPOINT_RANGE);
  const bends = Math.min(MOST_CHANGEPOINTS, reach - 1);
  const changepoints = Array.from({ length: bends }, (_, i) => {
    return roundedToEven(((i + 1) * (reach - 1)) / bends) / (count - 1);
  });
  const span_ms = (count - 1) * interval_ms;
  const seasons = PERIODS.filter(({ period_ms }) => {
    return span_ms >= PERIODS_NEEDED * period_ms && interval_ms < period_ms;
  });
  return {
    bends,
    at(position) {
      const time = position / (count - 1);
      const waves = seasons.flatMap(({ period_ms, waves }) =>
        Array.from({ length: 2 * waves }, (_, i) => {
          const turns = ((1 + Math.floor(i / 2)) * position * interval_ms) / period_ms;
          const angle = 2 * Math.PI * turns;
          return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
        }),
      );
      return [1, time, ...changepoints.map((point) => Math.max(0, time - point)), ...waves];
    },
  };
}

/**
 * The weights of highest probability, given the priors. A bend's prior has a corner at zero: each
 * round replaces it by the parabola that touches it at the bend of the round before, and takes the
 * likeliest noise for the curve so far; both make the curve more probable each time.
 */
function mostProbable(
  rows: readonly (readonly number[])[],
  values: readonly number[],
  bends: number,
): readonly number[] | undefined {
  const width = rows[0]?.length ?? 0;
  const products = Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
  );
  const wanted = Array.from({ length: width }, (_, i) =>
    rows.reduce((sum, row, at) => sum + row[i]! * values[at]!, 0),
  );
  let weights: readonly number[] = new Array<number>(width).fill(0);
  let bend_sizes = new Array<number>(bends).fill(BEND_SPREAD);
  let variance = NOISE_SPREAD ** 2;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const pull = (i: number): number => {
      if (i < 2) return 1 / TREND_SPREAD ** 2;
      if (i >= 2 + bends) return 1 / WAVE_SPREAD ** 2;
      return 1 / (BEND_SPREAD * Math.max(LEAST_BEND, bend_sizes[i - 2]!));
    };
    const matrix = products.map((row, i) =>
      row.map((product, j) => product + (i === j ? variance * pull(i) : 0)),
    );
    const found = solved(matrix, wanted);
    if (found === undefined) return undefined;
    const moved = Math.max(...found.map((weight, i) => Math.abs(weight - weights[i]!)));
    weights = found;
    bend_sizes = found.slice(2, 2 + bends).map(Math.abs);
    const squares = rows.reduce((sum, row, at) => sum + (values[at]! - dot(row, found)) ** 2, 0);
    variance = likeliestVariance(squares, rows.length);
    if (moved < SETTLED) break;
  }
  return weights;
}

/** Where count·log σ + squares / 2σ² + σ² / 2·NOISE_SPREAD² is least. */
function likeliestVariance(squares: number, count: number): number {
  const prior = 1 / NOISE_SPREAD ** 2;
  const variance = (-count + Math.sqrt(count * count + 4 * prior * squares)) / (2 * prior);
  return Math.max(1e-12, variance);
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);
