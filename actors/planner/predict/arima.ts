/**
 * ARIMA with automatic order, by the rules of NVIDIA Dynamo's planner: at least five values, equal
 * values are their own prediction, a model that is only differences is fitted once more to log1p of
 * the values, and where no model fits the last value is the prediction.
 *
 * Unlike there, the model is chosen anew as the series grows: by half, and every few dozen values
 * once the window is full. In between it stays and only reads on, so most values cost next to
 * nothing. A choice is made by `refine`, a little at a time, and until then the model before stays.
 */
import {
  type ArimaModel,
  areEqual,
  forecast,
  foundModel,
  type OrderSearch,
  orderSearch,
  searchedOn,
} from "./arima-order.ts";
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

const WINDOW = 200;
/** Values between two choices: a share of those of the last choice, of the window at most. */
const REGROWTH = 0.5;
const MOST_OF_WINDOW = 0.25;

type Chosen = {
  readonly model: ArimaModel;
  /** The model is one of log1p of the values. */
  readonly log1p: boolean;
};

export type ArimaState = {
  readonly kind: "arima";
  readonly series: Series;
  /** Missing: too few values, or no model fits. */
  readonly chosen?: Chosen;
  /** Values that are still to come before the next choice. */
  readonly until_choice: number;
  /** A choice is to be made. */
  readonly due?: true;
  /** The choice that is being made. */
  readonly choosing?: Choosing;
};

type Choosing = {
  readonly log1p: boolean;
  readonly search: OrderSearch;
  /** What was found before, if this search is a second one, in log1p. */
  readonly raw?: ArimaModel;
};

export function arimaPredictor(options: PredictorOptions): Predictor<ArimaState> {
  const { log1p, window = WINDOW } = options;
  const start: ArimaState = {
    ...{ kind: "arima", series: emptySeries, until_choice: MINIMUM_POINTS },
  };
  const untilChoice = (length: number) =>
    Math.max(1, Math.ceil(Math.min(length * REGROWTH, window * MOST_OF_WINDOW)));
  const refine = (state: ArimaState, work: number): ArimaState => {
    const { due, choosing, chosen, ...rest } = state;
    if (choosing !== undefined) return continuedChoice(state, choosing, work);
    if (due === undefined) return state;
    if (areEqual(state.series.values)) return rest;
    const search = orderSearch(state.series.values.map((value) => toModel(value, log1p)));
    return refine({ ...rest, ...(chosen && { chosen }), choosing: { log1p, search } }, work);
  };
  return {
    start,
    refine,
    add(state, value) {
      const counted = countedValue(state.series, value);
      if (counted === undefined) return state;
      const series = appended(state.series, counted, window);
      if (state.until_choice <= 1) {
        return { ...state, series, due: true, until_choice: untilChoice(series.values.length) };
      }
      return { ...state, series, until_choice: state.until_choice - 1 };
    },
    next({ series, chosen }, steps) {
      const last = lastOf(series);
      if (last === undefined) return undefined;
      if (chosen === undefined || areEqual(series.values)) return repeated(last, steps);
      const known = series.values.map((value) => toModel(value, chosen.log1p));
      return fromModel(forecast(chosen.model, known, steps), chosen.log1p, last);
    },
    warm(history) {
      const series = seriesOf(history, window);
      const { length } = series.values;
      const few = length < MINIMUM_POINTS;
      const until_choice = few ? MINIMUM_POINTS - length : untilChoice(length);
      const state: ArimaState = { kind: "arima", series, until_choice };
      const chosen = few ? state : refine({ ...state, due: true }, Infinity);
      return { ...chosen, series: asleep(series) };
    },
  };
}

/** A choice, carried on; the model that it finds is in the state once it is over. */
function continuedChoice(state: ArimaState, choosing: Choosing, work: number): ArimaState {
  const { search, over, work: done } = searchedOn(choosing.search, work);
  if (!over) return { ...state, choosing: { ...choosing, search } };
  const { choosing: _, chosen: __, ...rest } = state;
  const { log1p, raw } = choosing;
  const model = foundModel(search);
  if (raw !== undefined) {
    return { ...rest, chosen: model ? { model, log1p: true } : { model: raw, log1p: false } };
  }
  if (model === undefined) return rest;
  if (log1p || model.ar.length + model.ma.length > 0) return { ...rest, chosen: { model, log1p } };
  const logs = search.values.map((value) => toModel(value, true));
  const second: Choosing = { log1p: true, search: orderSearch(logs), raw: model };
  return continuedChoice({ ...state, choosing: second }, second, work - done);
}
