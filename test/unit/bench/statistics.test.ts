import { expect, test } from "bun:test";
import { errorOfMedian } from "../../bench/statistics.ts";

test("the error of a median shrinks with the number of samples, and one outlier hardly counts", () => {
  const few = [1, 2, 3, 4, 5];
  const many = Array.from({ length: 20 }, () => few).flat();
  expect(errorOfMedian(few)).toBeCloseTo((1.2533 * 1.4826) / Math.sqrt(5), 6);
  expect(errorOfMedian(many)).toBeCloseTo((1.2533 * 1.4826) / 10, 6);
  expect(errorOfMedian([...few.slice(0, 4), 500])).toBe(errorOfMedian(few));
  expect(errorOfMedian([7, 7, 7])).toBe(0);
});
