/** Predictors by their names. */
import { type ArimaState, arimaPredictor } from "./arima.ts";
import { type AutoState, autoPredictor } from "./auto.ts";
import { type ConstantState, constantPredictor } from "./constant.ts";
import { type KalmanState, kalmanPredictor } from "./kalman.ts";
import type { Predictor, PredictorName, PredictorOptions } from "./predictor.ts";
import { type ProphetState, prophetPredictor } from "./prophet.ts";

type SingleState = ConstantState | KalmanState | ArimaState | ProphetState;
export type PredictorState = SingleState | AutoState<SingleState>;

/** A state that another predictor made counts as none: a configuration may change. */
export function predictorFor(
  name: PredictorName,
  options: PredictorOptions,
): Predictor<PredictorState> {
  if (name !== "auto") return anyOf<PredictorState, SingleState>(singleFor(name, options));
  // The first is the choice until another one has proved better.
  const candidates = [
    ...[candidate("kalman", options), candidate("constant", options)],
    ...[candidate("arima", options), candidate("prophet", options)],
  ] as const;
  return anyOf<PredictorState, AutoState<SingleState>>(
    autoPredictor<SingleState>(candidates, options.horizon ?? 1),
  );
}

const candidate = (name: Exclude<PredictorName, "auto">, options: PredictorOptions) => ({
  ...{ name, predictor: singleFor(name, options) },
});

function singleFor(
  name: Exclude<PredictorName, "auto">,
  options: PredictorOptions,
): Predictor<SingleState> {
  switch (name) {
    case "constant":
      return anyOf<SingleState, ConstantState>(constantPredictor);
    case "kalman":
      return anyOf<SingleState, KalmanState>(kalmanPredictor(options));
    case "arima":
      return anyOf<SingleState, ArimaState>(arimaPredictor(options));
    case "prophet":
      return anyOf<SingleState, ProphetState>(prophetPredictor(options));
  }
}

/** A predictor of one kind of state as one of several kinds. */
function anyOf<State extends { readonly kind: string }, Own extends State>(
  predictor: Predictor<Own>,
): Predictor<State> {
  const own = (state: State): Own =>
    state.kind === predictor.start.kind ? (state as Own) : predictor.start;
  return {
    start: predictor.start,
    add: (state, value) => predictor.add(own(state), value),
    refine: (state, work) => predictor.refine?.(own(state), work) ?? state,
    next: (state, steps) => predictor.next(own(state), steps),
    warm: (history) => predictor.warm(history),
  };
}
