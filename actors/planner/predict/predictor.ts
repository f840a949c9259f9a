/**
 * A predictor of one series: a value each interval in, the values of the next intervals out. Its
 * state is plain data that survives JSON, so that it comes back from the journal after a crash.
 */

export const predictorNames = ["constant", "arima", "kalman", "prophet", "auto"] as const;
export type PredictorName = (typeof predictorNames)[number];

export type PredictorOptions = {
  /** Between two values. */
  readonly interval_ms: number;
  /** Values are predicted as log1p. */
  readonly log1p: boolean;
  /** Values that are kept, the oldest go first; undefined: 200 for arima, 50 for prophet. */
  readonly window?: number;
  /** Steps ahead by which `auto` judges, from 1 on; undefined: 1. */
  readonly horizon?: number;
};

/** All functions are pure: they change nothing that they are given. */
export interface Predictor<State> {
  readonly start: State;
  /** Numbers that are not finite, or negative, count as 0. Leading zeros are skipped. */
  add(state: State, value: number): State;
  /**
   * Makes the state better by about so much work, in likelihoods of a model; its predictions stay
   * the ones before until it is done. The same state: nothing is left to be done.
   */
  refine?(state: State, work: number): State;
  /** The next `steps` values, finite and at least 0 each; undefined: nothing was added yet. */
  next(state: State, steps: number): readonly number[] | undefined;
  /** The state after a history; the zeros that then come first are skipped once more. */
  warm(history: readonly number[]): State;
}

/** A state of which all the work is done that `add` left over. */
export function refined<State>(predictor: Predictor<State>, state: State): State {
  const next = predictor.refine?.(state, Infinity) ?? state;
  return next === state ? state : refined(predictor, next);
}
