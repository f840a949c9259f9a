/** The next values are the last one. */
import type { Predictor } from "./predictor.ts";
import {
  appended,
  asleep,
  countedValue,
  emptySeries,
  lastOf,
  repeated,
  type Series,
  seriesOf,
} from "./series.ts";

export type ConstantState = { readonly kind: "constant"; readonly series: Series };

export const constantPredictor: Predictor<ConstantState> = {
  start: { kind: "constant", series: emptySeries },
  add(state, value) {
    const counted = countedValue(state.series, value);
    return counted === undefined
      ? state
      : { kind: "constant", series: appended(state.series, counted, 1) };
  },
  next(state, steps) {
    const last = lastOf(state.series);
    return last === undefined ? undefined : repeated(last, steps);
  },
  warm: (history) => ({ kind: "constant", series: asleep(seriesOf(history, 1)) }),
};
