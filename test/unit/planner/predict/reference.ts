/** Tables that test/support/planner/reference-predictions.py computed with reference libraries. */
import { expect } from "bun:test";
import type { PredictorOptions } from "../../../../actors/planner/predict/predictor.ts";

export type ReferenceRow = {
  readonly series: string;
  readonly values: readonly number[];
  /** The library's predictions of the values that follow. */
  readonly next: readonly number[];
};

export const options: PredictorOptions = { interval_ms: 180_000, log1p: false };

/** Each prediction within `share` of the expected one; of a small one, of 1. */
export function expectWithin(
  predicted: readonly number[] | undefined,
  expected: readonly number[],
  share: number,
): void {
  expect(predicted).toHaveLength(expected.length);
  const far = (predicted ?? []).filter((value, i) => {
    const wanted = expected[i] ?? Number.NaN;
    return !(Math.abs(value - wanted) <= share * Math.max(1, Math.abs(wanted)));
  });
  if (far.length > 0) expect(predicted).toEqual([...expected]);
}
