/**
 * What every predictor does with a series, by the rules of NVIDIA Dynamo's planner
 * (components/src/dynamo/planner/core/load/predictors.py): idle time before the first load says
 * nothing about the load, so zeros are skipped until a value above zero comes.
 */

export type Series = {
  /** The newest last. */
  readonly values: readonly number[];
  /** False: zeros are skipped until something comes. */
  readonly awake: boolean;
};

export const emptySeries: Series = { values: [], awake: false };

/** Below this many values a model is not fitted, and the last value is the prediction. */
export const MINIMUM_POINTS = 5;

/** No load is higher; squares of it are still finite. */
const MOST = 1e15;

/** The value as it counts; undefined: it is skipped. */
export function countedValue(series: Series, value: number): number | undefined {
  const counted = Number.isFinite(value) && value > 0 ? Math.min(value, MOST) : 0;
  return counted === 0 && !series.awake ? undefined : counted;
}

/** With a counted value at its end, and the oldest gone where there are more than `window`. */
export function appended(series: Series, value: number, window: number): Series {
  return { values: [...series.values, value].slice(-window), awake: true };
}

/** The whole history at once, as if its values had been added one after another. */
export function seriesOf(history: readonly number[], window: number): Series {
  const counted = history.map((value) => countedValue({ values: [], awake: true }, value) ?? 0);
  const first = counted.findIndex((value) => value > 0);
  return { values: first < 0 ? [] : counted.slice(first).slice(-window), awake: first >= 0 };
}

/** After a warm-up the idle time before the first live load is skipped too. */
export const asleep = (series: Series): Series => ({ ...series, awake: false });

export const lastOf = (series: Series): number | undefined => series.values.at(-1);

export const repeated = (value: number, steps: number): readonly number[] =>
  new Array<number>(steps).fill(value);

export const toModel = (value: number, log1p: boolean): number =>
  log1p ? Math.log1p(value) : value;

/** Predictions in the units of the series, at least 0; what is not finite becomes `last`. */
export function fromModel(
  predicted: readonly number[],
  log1p: boolean,
  last: number,
): readonly number[] {
  return predicted.map((value) => {
    const real = log1p ? Math.expm1(value) : value;
    return Number.isFinite(real) ? Math.max(0, real) : last;
  });
}
