import { describe, expect, test } from "bun:test";
import { prophetPredictor } from "../../../../actors/planner/predict/prophet.ts";
import { expectWithin, options, type ReferenceRow } from "./reference.ts";
import table from "./tables/prophet.json" with { type: "json" };

const rows: readonly (ReferenceRow & { readonly interval_s: number })[] = table;

describe("prophet predicts as the library prophet does", () => {
  test.each(rows.map((row) => [row.series, row] as const))("%s", (_, row) => {
    const { values, next, interval_s } = row;
    const predictor = prophetPredictor({
      ...{ interval_ms: interval_s * 1000, log1p: false, window: values.length },
    });
    const state = values.reduce((before, value) => predictor.add(before, value), predictor.start);
    expectWithin(predictor.next(state, next.length), next, 0.01);
  });
});

test("prophet looks at the last 50 values where nothing else is said", () => {
  const predictor = prophetPredictor(options);
  const history = Array.from({ length: 90 }, (_, i) => (i < 40 ? 1000 : 10 + i));
  const recent = predictor.next(predictor.warm(history.slice(40)), 3);
  expect(predictor.next(predictor.warm(history), 3)).toEqual(recent);
  expectWithin(recent, [100, 101, 102], 0.02);
});

test("below five values prophet predicts the last one", () => {
  const predictor = prophetPredictor(options);
  expect(predictor.next(predictor.warm([1, 2, 3, 4]), 2)).toEqual([4, 4]);
});
