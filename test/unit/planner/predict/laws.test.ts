import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { predictorFor } from "../../../../actors/planner/predict/predictor-for.ts";
import { options } from "./reference.ts";

const named = (["constant", "kalman", "arima", "prophet", "auto"] as const).flatMap((name) => [
  { title: name, predictor: predictorFor(name, { ...options, horizon: 2 }) },
  { title: `${name}, log1p`, predictor: predictorFor(name, { ...options, log1p: true }) },
]);

const load = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 1e6, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0, 1, 40) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, -5, 1e308, 1e-300) },
);
const loads = fc.array(load, { maxLength: 40 });

describe.each(named)("$title", ({ predictor }) => {
  const after = (values: readonly number[], start = predictor.start) =>
    values.reduce((state, value) => {
      const added = predictor.add(state, value);
      return predictor.refine?.(added, 100) ?? added;
    }, start);

  test("never predicts less than 0 or no number", () => {
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 8 }), (values, steps) => {
        const predicted = predictor.next(after(values), steps);
        if (predicted === undefined) {
          expect(values.every((value) => !(Number.isFinite(value) && value > 0))).toBe(true);
          return;
        }
        expect(predicted).toHaveLength(steps);
        expect(predicted.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test("its state survives JSON and the same state gives the same answer", () => {
    fc.assert(
      fc.property(loads, loads, (before, later) => {
        const state = after(before);
        const restored = JSON.parse(JSON.stringify(state)) as typeof state;
        expect(predictor.next(restored, 3)).toEqual(predictor.next(state, 3));
        expect(predictor.next(after(later, restored), 3)).toEqual(
          predictor.next(after(later, state), 3),
        );
      }),
      { numRuns: 15 },
    );
  });

  test("skips zeros before the first load, also after a warm-up", () => {
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 20 }), (history, idle) => {
        const zeros = new Array<number>(idle).fill(0);
        expect(after(zeros)).toEqual(predictor.start);
        const warm = predictor.warm(history);
        expect(after(zeros, warm)).toEqual(warm);
      }),
      { numRuns: 15 },
    );
  });

  test("zeros after a load count", () => {
    const busy = after([50, 50, 50, 50, 50, 50]);
    const idle = after(new Array<number>(60).fill(0), busy);
    expect(predictor.next(idle, 1)?.[0]).toBeLessThan(1);
  });
});
