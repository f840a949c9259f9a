/** What is taken of a machine's memory where nobody says it: contexts, and copies of weights. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type FitWish, fitModels } from "../../../cluster/settings/workers/fit-memory.ts";

const GB = 1e9;
const wish = (more: Partial<FitWish> = {}): FitWish => ({
  ...{ workers: 1, weight_bytes: 5 * GB, trained: 131_072, token_bytes: 131_072 },
  context_most: 32_768,
  weights: "auto",
  ...more,
});

type Case = readonly [
  name: string,
  wish: FitWish,
  free_gb: number | undefined,
  context: number,
  weights: "own" | "shared",
];
const cases: readonly Case[] = [
  ["much memory: as long as is sensible", wish(), 64, 32_768, "own"],
  ["a model's own context is shorter", wish({ trained: 4_096 }), 64, 4_096, "own"],
  ["… and no power of two", wish({ trained: 5_000 }), 64, 5_000, "own"],
  // 12 - 5 GB leave 7, of which half holds 26,702 tokens.
  ["less memory", wish(), 12, 16_384, "own"],
  ["no longer than the cache", wish({ context_most: 16_384 }), 64, 16_384, "own"],
  ["copies fit into more than half", wish(), 9.9, 16_384, "shared"],
  ["two copies do not fit into half", wish({ workers: 2 }), 16, 16_384, "shared"],
  ["four workers", wish({ workers: 4 }), 64, 32_768, "own"],
  ["four workers have a quarter each", wish({ workers: 4 }), 32, 16_384, "shared"],
  ["small numbers in the cache", wish({ workers: 4, token_bytes: 36_864 }), 32, 32_768, "shared"],
  ["too little: the least, which is refused then", wish(), 5, 2_048, "shared"],
  ["asked to share", wish({ weights: "shared" }), 64, 32_768, "shared"],
  ["asked for copies", wish({ weights: "own", workers: 3 }), 20, 4_096, "own"],
  ["memory is not known", wish(), undefined, 8_192, "own"],
  ["the file says nothing of its heads", wish({ token_bytes: 0 }), 64, 8_192, "own"],
  ["nor of its context", wish({ trained: 0 }), 64, 8_192, "own"],
  ["a planner's model without workers", wish({ workers: 0 }), 64, 32_768, "own"],
];

test.each(cases)("%s", (_name, model, free_gb, context_length, weights) => {
  const free_bytes = free_gb === undefined ? undefined : free_gb * GB;
  expect(fitModels([model], free_bytes)).toEqual([{ context_length, weights }]);
});

test("several models share what there is", () => {
  const small = wish({ weight_bytes: 0.3 * GB, token_bytes: 18_432, trained: 32_768 });
  expect(fitModels([wish(), small], 24 * GB)).toEqual([
    { context_length: 32_768, weights: "own" },
    { context_length: 32_768, weights: "own" },
  ]);
  expect(fitModels([wish(), wish()], 14 * GB).map(({ weights }) => weights)).toEqual([
    "shared",
    "shared",
  ]);
});

test("caches and weights of all workers fit, whenever the least does", () => {
  const model = fc.record({
    workers: fc.integer({ min: 1, max: 8 }),
    weight_bytes: fc.integer({ min: 1, max: 40 * GB }),
    trained: fc.integer({ min: 256, max: 1_000_000 }),
    token_bytes: fc.integer({ min: 1_024, max: 2_000_000 }),
    context_most: fc.integer({ min: 256, max: 65_536 }),
    weights: fc.constantFrom("auto", "own", "shared"),
  }) satisfies fc.Arbitrary<FitWish>;
  const models = fc.array(model, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(models, fc.integer({ min: GB, max: 500 * GB }), (wishes, free_bytes) => {
      const fits = fitModels(wishes, free_bytes);
      let taken = 0;
      for (const [i, { context_length, weights }] of fits.entries()) {
        const { workers, weight_bytes, trained, token_bytes, context_most } = wishes[i]!;
        expect(context_length).toBeLessThanOrEqual(Math.min(trained, context_most));
        expect(context_length).toBeGreaterThanOrEqual(Math.min(trained, context_most, 2_048));
        taken += weight_bytes * (weights === "own" ? workers : 1);
        if (context_length > 2_048) taken += workers * token_bytes * context_length;
      }
      const least = fits.some(({ context_length }) => context_length <= 2_048);
      if (!least) expect(taken).toBeLessThanOrEqual(free_bytes);
    }),
  );
});
