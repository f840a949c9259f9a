/**
 * Answers whose tokens are guessed are the answers that would have been made without guesses: to
 * the last bit where batches have the same shapes, as they have in both engines here.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { EngineRequest, Sampling } from "../../../actors/engine/engine.ts";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../native/build.ts";
import { type Answer, EngineDriver, GREEDY, request } from "../../support/engine/engine-driver.ts";
import { TEST_MODEL } from "../../support/engine/engine-model.ts";

/** A cached block was computed in batches of other shapes. */
const limits = { context_length: 512, kv_tokens: 512, max_num_seqs: 8, prefix_cache: false };
let plain: LlamaEngine;
let guessing: LlamaEngine;
beforeAll(async () => {
  await buildShim(); // the first run on a machine builds it
  plain = await openLlama({ model: TEST_MODEL, threads: 1, ...limits, speculate: "never" });
  guessing = await openLlama({ model: TEST_MODEL, threads: 1, ...limits, speculate: "always" });
}, 120_000);
afterAll(async () => {
  await plain.close();
  await guessing.close();
});

let handle = 0;
type Wish = Partial<Omit<EngineRequest, "tokens">> & {
  readonly tokens: readonly number[];
  readonly make: number;
};

async function answers(engine: LlamaEngine, wishes: readonly Wish[]): Promise<Answer[]> {
  const driver = new EngineDriver(engine);
  const asked = wishes.map(({ tokens, make, ...more }) => request(++handle, tokens, make, more));
  const all = asked.map((each) => driver.answer(each.handle));
  for (const each of asked) expect(engine.submit(each)).toBeUndefined();
  await driver.until(() => all.every(({ finished }) => finished !== undefined));
  for (const { faults } of all) expect(faults).toEqual([]);
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
  return all;
}

/** A text that repeats itself, and goes on doing so. */
const period = [300, 411, 522, 633, 744, 355];
const periodic = Array.from({ length: 48 }, (_, i) => period[i % period.length]!);

const samplings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1),
  seed: fc.bigInt({ min: 0n, max: 2n ** 63n }),
  repetition_penalty: fc.constantFrom(1, 1.2),
  presence_penalty: fc.constantFrom(0, 0.5),
  top_p: fc.constantFrom(1, 0.9),
});
const wishes = fc.record({
  length: fc.integer({ min: 1, max: 48 }),
  make: fc.integer({ min: 1, max: 40 }),
  sampling: samplings,
  min_tokens: fc.constantFrom(0, 20),
  logprobs: fc.constantFrom(-1, 2),
  stop: fc.constantFrom<number[]>([], [411]),
});

test("one answer at a time is the same, token for token", async () => {
  let right = 0;
  const property = fc.asyncProperty(wishes, async ({ length, make, sampling, stop, ...more }) => {
    const full: Sampling = { ...GREEDY, ...sampling };
    const wish = { tokens: periodic.slice(0, length), make, sampling: full, ...more };
    const one = { ...wish, stop_tokens: stop, ignore_eos: stop.length === 0 };
    const [a] = await answers(plain, [one]);
    const [b] = await answers(guessing, [one]);
    expect(b!.tokens).toEqual(a!.tokens);
    expect(b!.finished!.reason).toBe(a!.finished!.reason);
    expect(b!.finished!.stop_token).toBe(a!.finished!.stop_token);
    expect(b!.logprobs).toEqual(a!.logprobs);
    right += b!.finished!.drafts?.right ?? 0;
  });
  await fc.assert(property, { numRuns: 25 });
  expect(right).toBeGreaterThan(0);
}, 120_000);

test("several at once, more than the cache holds, are whole and give all cells back", async () => {
  const many = Array.from({ length: 16 }, (_, i) => ({
    tokens: periodic.slice(0, 20 + i),
    make: 60,
    sampling: { ...GREEDY, temperature: i % 2, seed: BigInt(i) },
  }));
  for (const each of await answers(guessing, many)) {
    expect(each.tokens).toHaveLength(60);
    expect(each.finished!.reason).toBe("length");
  }
}, 120_000);

test("an answer that goes on elsewhere in the middle of a guess is the same", async () => {
  const [whole] = await answers(guessing, [{ tokens: periodic, make: 60 }]);
  for (const cut of [1, 7, 30, 59]) {
    const tokens = [...periodic, ...whole!.tokens.slice(0, cut)];
    const rest = { tokens, make: 60 - cut, prompt_tokens: periodic.length };
    const [b] = await answers(guessing, [rest]);
    expect(b!.tokens).toEqual(whole!.tokens.slice(cut));
  }
}, 120_000);

test("what the client predicts is guessed, and what it predicts wrongly is not in the answer", async () => {
  const prompt = periodic.slice(0, 9);
  const [plainly] = await answers(plain, [{ tokens: prompt, make: 40 }]);
  const right = Uint32Array.from(plainly!.tokens);
  const [fast] = await answers(guessing, [{ tokens: prompt, make: 40, predicted: right }]);
  expect(fast!.tokens).toEqual(plainly!.tokens);
  expect(fast!.finished!.drafts!.right).toBeGreaterThan(30);
  const half = Uint32Array.from([...right.slice(0, 20), 7, 7, 7, ...right.slice(20)]);
  const [mixed] = await answers(guessing, [{ tokens: prompt, make: 40, predicted: half }]);
  expect(mixed!.tokens).toEqual(plainly!.tokens);
  const wrong = Uint32Array.from({ length: 2_000 }, (_, i) => 20 + (i % 300));
  const [slow] = await answers(guessing, [{ tokens: prompt, make: 40, predicted: wrong }]);
  expect(slow!.tokens).toEqual(plainly!.tokens);
  // Nothing of it stays with the slot.
  const [after] = await answers(guessing, [{ tokens: prompt, make: 40 }]);
  expect(after!.tokens).toEqual(plainly!.tokens);
}, 120_000);

/** Guesses that were made from earlier answers, since the start of the engine. */
function fromRecent(engine = guessing) {
  return engine.draftCounts().find(({ source }) => source === "recent")!;
}

/** A text and answers that do not repeat themselves, so that nothing else is guessed from. */
const plainly = (seed: bigint): Wish => ({
  tokens: Array.from({ length: 20 }, (_, i) => 400 + i * 7),
  make: 40,
  sampling: { ...GREEDY, temperature: 1, seed },
});

test("an answer that was given before is guessed, and nothing of another salt or owner", async () => {
  const before = fromRecent();
  const wish = { ...plainly(11n), salt: "a", owner: "key-1" };
  const [first] = await answers(guessing, [wish]);
  const [again] = await answers(guessing, [wish]);
  expect(again!.tokens).toEqual(first!.tokens);
  const now = fromRecent();
  expect(now.accepted - before.accepted).toBeGreaterThan(30);
  expect(now.drafts).toBeGreaterThan(before.drafts);
  const scopes = [{ salt: "b" }, { owner: "key-1" }, { salt: "a" }, { salt: "a", owner: "key-2" }];
  for (const scope of scopes) {
    const told = fromRecent();
    const [elsewhere] = await answers(guessing, [{ ...plainly(11n), ...scope }]);
    expect(elsewhere!.tokens).toEqual(first!.tokens);
    expect(fromRecent()).toEqual(told);
  }
}, 120_000);

test("what is cleared is guessed from no more", async () => {
  const own = { ...limits, prefix_cache: true, speculate: "always" } as const;
  const caching = await openLlama({ model: TEST_MODEL, threads: 1, ...own });
  const wish = plainly(12n);
  await answers(caching, [wish]);
  await answers(caching, [wish]);
  const told = fromRecent(caching);
  expect(told.accepted).toBeGreaterThan(0);
  expect(caching.clearCache!()).toBe(true);
  await answers(caching, [wish]);
  expect(fromRecent(caching)).toEqual(told);
  await caching.close();
}, 120_000);

test("answers whose beginnings were given before go on in their own way", async () => {
  for (const seed of [21n, 22n, 23n]) await answers(guessing, [plainly(seed)]);
  for (const seed of [21n, 24n, 22n, 25n]) {
    const [a] = await answers(plain, [plainly(seed)]);
    const [b] = await answers(guessing, [plainly(seed)]);
    expect(b!.tokens).toEqual(a!.tokens);
  }
}, 120_000);

test("a cancel in the middle leaves nothing behind", async () => {
  const driver = new EngineDriver(guessing);
  const one = request(++handle, periodic, 400);
  guessing.submit(one);
  const answer = driver.answer(one.handle);
  await driver.until(() => answer.tokens.length > 10);
  guessing.cancel(one.handle);
  await driver.until(() => answer.finished !== undefined);
  expect(answer.finished!.reason).toBe("cancelled");
  expect(guessing.stats()).toMatchObject({ running: 0, used_blocks: 0 });
}, 120_000);
