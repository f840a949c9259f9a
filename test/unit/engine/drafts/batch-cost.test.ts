/** native/drafts/batch-cost.c: what a batch of a size costs that was not seen. */
import { cc } from "bun:ffi";
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";

const { symbols: c } = cc({
  source: join(import.meta.dir, "../../../support/llama/batch-cost-checks.c"),
  symbols: { check_cost: { args: ["ptr", "i32"], returns: "f64" } },
});

const MOST = 128;

function costOf(seen: Readonly<Record<number, number>>, n: number): number {
  const ms = Float64Array.from({ length: MOST }, (_, i) => seen[i + 1] ?? 0);
  return c.check_cost(ms, n | 0);
}

test.each<[string, Readonly<Record<number, number>>, number, number]>([
  ["what was seen is as it was seen", { 1: 10, 4: 25 }, 4, 25],
  ["between two sizes it is linear", { 1: 10, 4: 25 }, 3, 20],
  ["nothing was seen", {}, 5, 1],
  ["only a larger one was", { 8: 40 }, 2, 40],
  ["only a smaller one was", { 2: 20 }, 6, 60],
  ["beyond the last it rises as before it", { 1: 10, 8: 24, 16: 64 }, 18, 74],
  [
    "where the last cost no more than half of it, as from the first on",
    { 1: 10, 8: 40, 16: 40 },
    31,
    70,
  ],
  ["it never falls", { 1: 10, 2: 8 }, 100, 8],
])("%s", (_what, seen, n, expected) => {
  expect(costOf(seen, n)).toBeCloseTo(expected, 9);
});

test("beyond the last size more tokens never cost less", () => {
  const size = fc.integer({ min: 1, max: MOST });
  const seen = fc.array(fc.tuple(size, fc.double({ min: 0.01, max: 900, noNaN: true })), {
    minLength: 1,
    maxLength: 6,
  });
  const property = fc.property(seen, size, (pairs, more) => {
    const sizes = Object.fromEntries(pairs);
    const last = Math.max(...pairs.map(([n]) => n));
    const n = Math.min(MOST, last + more);
    expect(costOf(sizes, n)).toBeGreaterThanOrEqual(sizes[last]! * 0.999999);
    if (n > last) expect(costOf(sizes, n)).toBeGreaterThanOrEqual(costOf(sizes, n - 1) * 0.999999);
  });
  fc.assert(property, { numRuns: 300 });
});
