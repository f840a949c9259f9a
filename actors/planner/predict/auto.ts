/**
 * The predictor that was best lately. Each candidate predicts every value before it comes; how far
 * off it was is kept as a mean that forgets, so the back-test rolls along with the series and costs
 * one prediction of each candidate a value, however long the series is.
 *
 * The measure is the mean absolute error, in the units of the series: it treats a value too many
 * and one too few alike, a single outlier does not rule it as it rules squares, and a series with
 * zeros does not break it as it breaks percentages.
 */
import { type Predictor, type PredictorName, refined } from "./predictor.ts";
import { appended, asleep, countedValue, emptySeries, lastOf, type Series } from "./series.ts";

/** Of the error's mean, what an older value keeps at each new one: half after 17 values. */
const KEPT = 0.96;

/** Another one is chosen only if its error is below this share of the chosen one's. */
const CLEARLY_LESS = 0.95;

/** Of a candidate that can be chosen: it was judged by six values. */
const ENOUGH_WEIGHT = 5;

/** `State` is plain data. */
export type Candidate<State> = {
  readonly name: PredictorName;
  readonly predictor: Predictor<State>;
};

export type Tried<State> = {
  readonly name: PredictorName;
  readonly state: State;
  /** Weighted sum of absolute errors. */
  readonly error: number;
  /** Sum of the weights. */
  readonly weight: number;
  /** Of values to come, each predicted `horizon` values before it; the oldest first. */
  readonly pending: readonly number[];
};

export type AutoState<State> = {
  readonly kind: "auto";
  /** Only the last value. */
  readonly series: Series;
  readonly tried: readonly Tried<State>[];
  readonly chosen: PredictorName;
  /** Of what is pending. */
  readonly horizon: number;
};

/** `horizon`: how many steps ahead the predictions are judged, from 1 on. */
export function autoPredictor<State>(
  candidates: readonly [Candidate<State>, ...Candidate<State>[]],
  horizon: number,
): Predictor<AutoState<State>> {
  const start: AutoState<State> = {
    kind: "auto",
    series: emptySeries,
    tried: candidates.map(({ name, predictor }) => ({
      ...{ name, state: predictor.start, error: 0, weight: 0, pending: [] },
    })),
    chosen: candidates[0].name,
    horizon,
  };
  const predictorOf = (name: PredictorName) =>
    (candidates.find((candidate) => candidate.name === name) ?? candidates[0]).predictor;

  const judged = (before: Tried<State>, value: number): Tried<State> => {
    const predictor = predictorOf(before.name);
    const due = before.pending.length < horizon ? undefined : before.pending[0];
    const state = predictor.add(before.state, value);
    const ahead = predictor.next(state, horizon)?.at(-1) ?? value;
    return {
      name: before.name,
      state,
      error: due === undefined ? before.error : KEPT * before.error + Math.abs(due - value),
      weight: due === undefined ? before.weight : KEPT * before.weight + 1,
      pending: [...before.pending, ahead].slice(-horizon),
    };
  };

  const add = (state: AutoState<State>, value: number): AutoState<State> => {
    const counted = countedValue(state.series, value);
    if (counted === undefined) return state;
    // What was predicted for another time says nothing of this one.
    const same = state.horizon === horizon;
    const tried = state.tried.map((candidate) =>
      judged(same ? candidate : { ...candidate, pending: [] }, counted),
    );
    return {
      kind: "auto",
      series: appended(state.series, counted, 1),
      tried,
      chosen: bestOf(tried, state.chosen),
      horizon,
    };
  };

  const refine = (state: AutoState<State>, work: number): AutoState<State> => {
    for (const [at, candidate] of state.tried.entries()) {
      const better = predictorOf(candidate.name).refine?.(candidate.state, work);
      if (better === undefined || better === candidate.state) continue;
      return { ...state, tried: state.tried.with(at, { ...candidate, state: better }) };
    }
    return state;
  };

  const predictor: Predictor<AutoState<State>> = {
    start,
    add,
    refine,
    next(state, steps) {
      if (lastOf(state.series) === undefined) return undefined;
      const chosen = state.tried.find(({ name }) => name === state.chosen);
      return chosen && predictorOf(chosen.name).next(chosen.state, steps);
    },
    warm(history) {
      const state = history
        .slice(-WARM_VALUES)
        .reduce((before, value) => refined(predictor, add(before, value)), start);
      return { ...state, series: asleep(state.series) };
    },
  };
  return predictor;
}

/** A longer history is warm-up for the candidates' windows, which are shorter. */
const WARM_VALUES = 500;

function bestOf<State>(tried: readonly Tried<State>[], chosen: PredictorName): PredictorName {
  const errorOf = ({ error, weight }: Tried<State>) =>
    weight < ENOUGH_WEIGHT ? Infinity : error / weight;
  const now = tried.find(({ name }) => name === chosen);
  const best = tried.reduce((a, b) => (errorOf(b) < errorOf(a) ? b : a));
  return now === undefined || errorOf(best) < CLEARLY_LESS * errorOf(now) ? best.name : chosen;
}
