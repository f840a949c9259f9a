import { describe, expect, test } from "bun:test";
import { kalmanPredictor } from "../../../../actors/planner/predict/kalman.ts";
import { expectWithin, options, type ReferenceRow } from "./reference.ts";
import table from "./tables/kalman.json" with { type: "json" };

const rows: readonly ReferenceRow[] = table;
const kalman = kalmanPredictor(options);

describe("kalman predicts as statsmodels' filter does", () => {
  test.each(rows.map((row) => [row.series, row] as const))("%s", (_, { values, next }) => {
    const state = values.reduce((before, value) => kalman.add(before, value), kalman.start);
    expectWithin(kalman.next(state, next.length), next, 1e-6);
  });
});

test("below five values kalman predicts the last one", () => {
  const four = [10, 20, 30, 40].reduce((state, value) => kalman.add(state, value), kalman.start);
  expect(kalman.next(four, 2)).toEqual([40, 40]);
  const [fifth = 0] = kalman.next(kalman.add(four, 50), 1) ?? [];
  expect(fifth).toBeGreaterThan(55);
});

test("kalman with log1p follows growth by a factor", () => {
  const doubling = Array.from({ length: 12 }, (_, i) => 2 ** i - 1);
  const log = kalmanPredictor({ ...options, log1p: true });
  const state = doubling.reduce((before, value) => log.add(before, value), log.start);
  const [next = 0] = log.next(state, 1) ?? [];
  expect(Math.abs(next / (2 ** 12 - 1) - 1)).toBeLessThan(0.1);
});
