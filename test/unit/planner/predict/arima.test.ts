import { describe, expect, test } from "bun:test";
import { arimaPredictor } from "../../../../actors/planner/predict/arima.ts";
import { refined } from "../../../../actors/planner/predict/predictor.ts";
import { expectWithin, options, type ReferenceRow } from "./reference.ts";
import table from "./tables/arima.json" with { type: "json" };

const rows: readonly ReferenceRow[] = table;
const arima = arimaPredictor(options);

describe("arima predicts as pmdarima's auto_arima does", () => {
  test.each(rows.map((row) => [row.series, row] as const))("%s", (_, { values, next }) => {
    const predicted = arima.next(arima.warm(values), next.length) ?? [];
    expectWithin(predicted.slice(0, 1), next.slice(0, 1), 0.05);
    // pmdarima stops its searches after 50 steps; further ahead that shows on the seasonal series.
    expectWithin(predicted, next, 0.06);
  });
});

describe("arima keeps Dynamo's rules", () => {
  test("below five values it predicts the last one", () => {
    expect(arima.next(arima.warm([9, 2, 7, 4]), 2)).toEqual([4, 4]);
    expect(arima.warm([9, 2, 7, 4]).chosen).toBeUndefined();
  });

  test("equal values are their own prediction", () => {
    expect(arima.next(arima.warm([6, 6, 6, 6, 6, 6]), 2)).toEqual([6, 6]);
  });

  test("a model that is only differences is fitted to log1p of the values", () => {
    const noisy = rows.find(({ series }) => series === "noisy")?.values ?? [];
    const { chosen } = arima.warm(noisy);
    expect(chosen?.log1p).toBe(true);
    const correlated = rows.find(({ series }) => series === "correlated")?.values ?? [];
    expect(arima.warm(correlated).chosen?.log1p).toBe(false);
  });
});

test("arima keeps its model between two choices, and the values of its window", () => {
  const small = arimaPredictor({ ...options, window: 40 });
  const values = rows.find(({ series }) => series === "correlated")?.values ?? [];
  let state = small.start;
  let choices = 0;
  for (const value of values) {
    const before = state.chosen;
    state = refined(small, small.add(state, value));
    if (state.chosen !== before) choices += 1;
  }
  expect(state.series.values).toEqual(values.slice(-40));
  // At 5, 8, 12, 18, 27 and 37 values, then every 10.
  expect(choices).toBe(6 + Math.floor((values.length - 37) / 10));
});

test("arima chooses a little at a time, and predicts by the model before until then", () => {
  const values = rows.find(({ series }) => series === "correlated")?.values ?? [];
  const before = refined(arima, values.slice(0, 62).reduce(arima.add, arima.start));
  const due = values.slice(62, 93).reduce(arima.add, before);
  let state = due;
  let turns = 0;
  for (; state.due !== undefined || state.choosing !== undefined; turns++) {
    expect(state.chosen).toEqual(before.chosen);
    // As it comes back from the journal.
    state = JSON.parse(JSON.stringify(arima.refine?.(state, 50))) as typeof state;
  }
  expect(turns).toBeGreaterThan(3);
  expect(state).toEqual(refined(arima, due));
  expect(state.chosen).toEqual(arima.warm(values.slice(0, 93)).chosen);
  expect(arima.refine?.(state, 50)).toBe(state);
});
