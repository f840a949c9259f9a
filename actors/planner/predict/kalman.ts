/**
 * A Kalman filter over a level and its trend (a local linear trend), with the constants of NVIDIA
 * Dynamo's planner. Its state is five numbers, whatever the length of the series.
 *
 *   state x = [level, trend]   F = [[1, 1], [0, 1]]   H = [1, 0]
 *   start   x = [first value, 0], P = 1000 I          Q = diag(1.0, 0.1)   R = 10
 */
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
  toModel,
} from "./series.ts";

const START_VARIANCE = 1000;
const LEVEL_NOISE = 1;
const TREND_NOISE = 0.1;
const MEASURE_NOISE = 10;

/** After the newest value; the variances are the upper triangle of P. */
type Filter = {
  readonly level: number;
  readonly trend: number;
  readonly level_variance: number;
  readonly covariance: number;
  readonly trend_variance: number;
};

export type KalmanState = {
  readonly kind: "kalman";
  /** Only the last value. */
  readonly series: Series;
  /** Values that the filter has seen. */
  readonly count: number;
  readonly filter?: Filter;
};

export function kalmanPredictor({ log1p }: PredictorOptions): Predictor<KalmanState> {
  const start: KalmanState = { kind: "kalman", series: emptySeries, count: 0 };
  const add = (state: KalmanState, value: number): KalmanState => {
    const counted = countedValue(state.series, value);
    if (counted === undefined) return state;
    const measured = toModel(counted, log1p);
    return {
      kind: "kalman",
      series: appended(state.series, counted, 1),
      count: state.count + 1,
      filter: state.filter === undefined ? firstOf(measured) : filtered(state.filter, measured),
    };
  };
  return {
    start,
    add,
    next({ series, count, filter }, steps) {
      const last = lastOf(series);
      if (last === undefined) return undefined;
      if (filter === undefined || count < MINIMUM_POINTS) return repeated(last, steps);
      const line = Array.from({ length: steps }, (_, i) => filter.level + (i + 1) * filter.trend);
      return fromModel(line, log1p, last);
    },
    warm(history) {
      const state = history.reduce(add, start);
      return { ...state, series: asleep(state.series) };
    },
  };
}

const firstOf = (measured: number): Filter => ({
  level: measured,
  trend: 0,
  level_variance: START_VARIANCE,
  covariance: 0,
  trend_variance: START_VARIANCE,
});

/** One step of time, then one measurement. */
function filtered(before: Filter, measured: number): Filter {
  const level = before.level + before.trend;
  const level_variance =
    before.level_variance + 2 * before.covariance + before.trend_variance + LEVEL_NOISE;
  const covariance = before.covariance + before.trend_variance;
  const trend_variance = before.trend_variance + TREND_NOISE;
  const variance = level_variance + MEASURE_NOISE;
  const level_gain = level_variance / variance;
  const trend_gain = covariance / variance;
  const surprise = measured - level;
  return {
    level: level + level_gain * surprise,
    trend: before.trend + trend_gain * surprise,
    level_variance: (1 - level_gain) * level_variance,
    covariance: (1 - level_gain) * covariance,
    trend_variance: trend_variance - trend_gain * covariance,
  };
}
