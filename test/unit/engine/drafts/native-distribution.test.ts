/**
 * Where batches have other shapes than without guesses, logits differ in their last bits. Tokens
 * are drawn as often all the same: 10,000 answers of a small vocabulary with guesses, and as many
 * of other seeds without, by a chi-square test.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LlamaEngine, openLlama } from "../../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../../native/build.ts";
import { EngineDriver, GREEDY, request } from "../../../support/engine/engine-driver.ts";
import { randomGguf } from "../../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-drawn-"));
const model = join(folder, "random.gguf");
let plain: LlamaEngine;
let guessing: LlamaEngine;
beforeAll(async () => {
  await Bun.write(model, randomGguf());
  await buildShim(); // the first run on a machine builds it
  const sizes = { model, threads: 1, context_length: 64, max_num_seqs: 16, prefix_cache: false };
  plain = await openLlama({ ...sizes, speculate: "off" });
  guessing = await openLlama({ ...sizes, speculate: "always" });
}, 60_000);
afterAll(async () => {
  await plain.close();
  await guessing.close();
  rmSync(folder, { recursive: true });
});

const ANSWERS = 10_000;
const AT_ONCE = 8;
/** Tokens of an answer, each one of so many: a cell for every answer that there can be. */
const [LENGTH, TOKENS] = [3, 4];

/** How often each answer came, by its text; `first_seed` and those behind it. */
async function counts(engine: LlamaEngine, first_seed: number, predicted?: Uint32Array) {
  const driver = new EngineDriver(engine);
  const found = new Map<string, number>();
  let [right, wrong] = [0, 0];
  for (let from = 0; from < ANSWERS; from += AT_ONCE) {
    const asked = Array.from({ length: AT_ONCE }, (_, i) => {
      const seed = BigInt(first_seed + from + i);
      const sampling = { ...GREEDY, temperature: 1, top_k: TOKENS, seed };
      const guesses = predicted === undefined ? {} : { predicted };
      return request(i + 1, [40, 41, 42], LENGTH, { sampling, ...guesses });
    });
    for (const { tokens, finished } of await driver.run(asked)) {
      const name = tokens.join(" ");
      found.set(name, (found.get(name) ?? 0) + 1);
      right += finished?.drafts?.right ?? 0;
      wrong += finished?.drafts?.wrong ?? 0;
    }
  }
  return { found, right, wrong };
}

/** Chi-square of two counts over the same number; rare answers share a cell. */
function spread(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) {
  const pairs = [...new Set([...a.keys(), ...b.keys()])].map(
    (name) => [a.get(name) ?? 0, b.get(name) ?? 0] as const,
  );
  const isRare = ([one, other]: readonly [number, number]) => one + other < 20;
  const rare = pairs
    .filter(isRare)
    .reduce(([one, other], pair) => [one + pair[0], other + pair[1]] as const, [0, 0] as const);
  const cells = [...pairs.filter((pair) => !isRare(pair)), rare].filter(([x, y]) => x + y > 0);
  const square = cells.reduce((sum, [x, y]) => sum + (x - y) ** 2 / (x + y), 0);
  const freedom = cells.length - 1;
  // Wilson and Hilferty: above this once in 100,000 times, if both are drawn alike.
  const limit = freedom * (1 - 2 / (9 * freedom) + 4.26 * Math.sqrt(2 / (9 * freedom))) ** 3;
  return { cells: cells.length, square, limit };
}

test("10,000 answers with guesses are spread as 10,000 others without", async () => {
  const without = await counts(plain, 1);
  // What comes most is predicted, so that many guesses are right and many wrong.
  const [likeliest = ""] = [...without.found].sort(([, a], [, b]) => b - a)[0] ?? [];
  const predicted = Uint32Array.from(likeliest.split(" "), Number);
  const with_guesses = await counts(guessing, 1 + ANSWERS, predicted);
  expect(with_guesses.right).toBeGreaterThan(500);
  expect(with_guesses.wrong).toBeGreaterThan(500);
  const said = spread(without.found, with_guesses.found);
  expect(said.cells).toBeGreaterThan(20);
  expect(said.square).toBeLessThan(said.limit);
  // And it would tell: one guess in 20 that is taken though it is wrong.
  const wrongly = new Map([...with_guesses.found].map(([name, count]) => [name, 0.95 * count]));
  wrongly.set(likeliest, wrongly.get(likeliest)! + 0.05 * ANSWERS);
  expect(spread(without.found, wrongly).square).toBeGreaterThan(said.limit);
}, 300_000);
