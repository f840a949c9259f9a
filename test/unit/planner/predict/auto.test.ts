import { describe, expect, test } from "bun:test";
import { autoPredictor } from "../../../../actors/planner/predict/auto.ts";
import {
  type Predictor,
  type PredictorName,
  refined,
} from "../../../../actors/planner/predict/predictor.ts";
import { predictorFor } from "../../../../actors/planner/predict/predictor-for.ts";
import { seeded } from "../../../support/constraint/random-text.ts";
import { options } from "./reference.ts";

type Told = { readonly last: number };

/** Predicts the last value, `ahead` more a step. */
const drifting = (ahead: number): Predictor<Told> => ({
  start: { last: 0 },
  add: (_, value) => ({ last: value }),
  next: ({ last }, steps) => Array.from({ length: steps }, (_, i) => last + ahead * (i + 1)),
  warm: (history) => ({ last: history.at(-1) ?? 0 }),
});

const auto = (horizon: number) =>
  autoPredictor<Told>(
    [
      { name: "constant", predictor: drifting(0) },
      { name: "kalman", predictor: drifting(2) },
    ],
    horizon,
  );

const line = (from: number, count: number, step: number) =>
  Array.from({ length: count }, (_, i) => from + i * step);

test("auto predicts by the candidate that was least off", () => {
  const predictor = auto(1);
  const flat = line(10, 6, 0).reduce(
    (state, value) => predictor.add(state, value),
    predictor.start,
  );
  expect(flat.chosen).toBe("constant");
  const rising = line(12, 12, 2).reduce((state, value) => predictor.add(state, value), flat);
  expect(rising.chosen).toBe("kalman");
  expect(predictor.next(rising, 2)).toEqual([36, 38]);
});

test("auto judges as far ahead as its horizon", () => {
  // Up and down by turns: two steps ahead the last value is right, one step ahead it never is.
  const turns = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 10 : 12));
  const errors = [1, 2].map((horizon) => {
    const predictor = auto(horizon);
    const state = turns.reduce((before, value) => predictor.add(before, value), predictor.start);
    return state.tried.map(({ error, weight }) => error / weight);
  });
  expect(errors[0]?.[0]).toBeCloseTo(2, 9);
  expect(errors[1]?.[0]).toBe(0);
  expect(errors[1]?.[1]).toBeCloseTo(4, 9);
});

test("auto forgets what it predicted for another horizon", () => {
  const near = auto(1);
  const rising = line(0, 9, 2).reduce((state, value) => near.add(state, value), near.start);
  const far = auto(3);
  const later = line(18, 6, 2).reduce((state, value) => far.add(state, value), rising);
  // The constant one is off by 2 one step ahead, and by 6 three steps ahead.
  const weights = later.tried.map(({ weight }) => weight);
  expect(weights[0]).toBeCloseTo(weights[1] ?? 0, 9);
  expect(later.tried[1]?.error).toBe(0);
  const judged_far = later.tried[0]?.error ?? 0;
  const near_error = rising.tried[0]?.error ?? 0;
  expect(judged_far).toBeCloseTo(0.96 ** 3 * near_error + 6 * (1 + 0.96 + 0.96 ** 2), 9);
});

test("auto stays with its choice unless another one is clearly better", () => {
  const predictor = auto(1);
  // The constant one is off by 1, the drifting one by 1 as well.
  const rising = line(1, 30, 1).reduce(
    (state, value) => predictor.add(state, value),
    predictor.start,
  );
  expect(rising.chosen).toBe("constant");
});

describe("auto is about as good as the best of its candidates, three steps ahead", () => {
  const draw = seeded(7);
  const noise = () => draw() - 0.5;
  const series = {
    wave: Array.from({ length: 150 }, (_, i) => 200 + 150 * Math.sin(i / 5) + 20 * noise()),
    line: Array.from({ length: 120 }, (_, i) => 40 + 3 * i + 10 * noise()),
    burst: Array.from({ length: 120 }, (_, i) => (i >= 70 && i < 80 ? 500 : 50) + 8 * noise()),
    level: Array.from({ length: 120 }, () => 100 + 60 * noise()),
  };
  const names = ["constant", "kalman", "arima", "prophet"] as const;

  test.each(Object.entries(series))("%s", (_, values) => {
    const best = Math.min(...names.map((name) => errorOf(name, values)));
    expect(errorOf("auto", values)).toBeLessThan(1.5 * best);
  });
});

const AHEAD = 3;

/** Mean absolute error of the predictions of a series' values, each made three steps before. */
function errorOf(name: PredictorName, values: readonly number[]): number {
  const predictor = predictorFor(name, { ...options, horizon: AHEAD });
  let state = predictor.start;
  const errors = values.map((value, at) => {
    state = refined(predictor, predictor.add(state, value));
    const actual = values[at + AHEAD] ?? Number.NaN;
    return Math.abs((predictor.next(state, AHEAD)?.at(-1) ?? 0) - actual);
  });
  const judged = errors.slice(10, -AHEAD);
  return judged.reduce((sum, error) => sum + error, 0) / judged.length;
}
