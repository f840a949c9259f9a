/**
 * A draft model guesses, and answers are those that would have been made without it: to the last
 * bit, as batches have the same shapes in all engines here.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { EngineRequest, Sampling } from "../../../../actors/engine/engine.ts";
import {
  EngineStartError,
  type LlamaEngine,
  type LlamaOptions,
  openLlama,
} from "../../../../actors/engine/llama/llama.ts";
import { buildShim } from "../../../../native/build.ts";
import {
  type Answer,
  EngineDriver,
  GREEDY,
  request,
} from "../../../support/engine/engine-driver.ts";
import { randomGguf, VOCAB } from "../../../support/engine/random-gguf.ts";

/** Without a prefix cache, whose blocks an earlier answer computed in other shapes. */
const limits = {
  ...{ threads: 1, context_length: 512, kv_tokens: 1_024, max_num_seqs: 8 },
  prefix_cache: false,
};
const folder = await mkdtemp(join(tmpdir(), "troupe-drafter-"));
const opened: LlamaEngine[] = [];

async function fileOf(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${name}.gguf`);
  await Bun.write(path, bytes);
  return path;
}

async function open(options: LlamaOptions): Promise<LlamaEngine> {
  const engine = await openLlama({ ...limits, ...options });
  opened.push(engine);
  return engine;
}

const drafting = (model: string, draft_model: string, more: Partial<LlamaOptions> = {}) =>
  open({ model, draft_model, speculate: "model", ...more });

let model: string;
let plain: LlamaEngine;
beforeAll(async () => {
  await buildShim(); // the first run on a machine builds it
  model = await fileOf("random", randomGguf());
  plain = await open({ model, speculate: "never" });
}, 60_000);
afterAll(async () => {
  for (const engine of opened) await engine.close();
  await rm(folder, { recursive: true });
});

/** Greedy answers that begin alike, and go on without repeating themselves at once. */
const prompt = (length: number, from = 7): number[] =>
  Array.from({ length }, (_, i) => (from + i * i * 31) % 256);

let handle = 0;

async function run(engine: LlamaEngine, all: readonly EngineRequest[]): Promise<readonly Answer[]> {
  const answers = await new EngineDriver(engine).run(all);
  for (const { faults } of answers) expect(faults).toEqual([]);
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
  return answers;
}

const asked = (length: number, make: number, more: Partial<EngineRequest> = {}) =>
  request(++handle, prompt(length), make, more);

/** What `plain` makes of the same. */
async function expectSame(one: EngineRequest, answer: Answer | undefined): Promise<void> {
  const [other] = await run(plain, [{ ...one, handle: ++handle }]);
  expect(answer?.tokens).toEqual(other!.tokens);
  expect(answer?.logprobs).toEqual(other!.logprobs);
  expect(answer?.finished?.reason).toBe(other!.finished!.reason);
  expect(answer?.finished?.stop_token).toBe(other!.finished!.stop_token);
}

/** Of all answers so far, of guesses of the model alone. */
const guesses = (engine: LlamaEngine) => {
  const counts = engine.draftCounts().find(({ source }) => source === "model");
  return { right: counts?.accepted ?? 0 };
};

test("a model guesses itself, and each step has as many tokens as it guesses", async () => {
  const engine = await drafting(model, model);
  const one = asked(20, 100);
  const [answer] = await run(engine, [one]);
  await expectSame(one, answer);
  expect(guesses(engine).right).toBeGreaterThan(90);
  expect(engine.stats().steps_total).toBeLessThan(12);
}, 60_000);

const samplings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1),
  top_k: fc.constantFrom(0, 20),
  top_p: fc.constantFrom(1, 0.9),
  repetition_penalty: fc.constantFrom(1, 1.2),
  seed: fc.bigInt({ min: 0n, max: 2n ** 63n }),
});
const wishes = fc.record({
  length: fc.integer({ min: 1, max: 60 }),
  make: fc.integer({ min: 1, max: 60 }),
  sampling: samplings,
  choice: fc.integer({ min: 0, max: 3 }),
  min_tokens: fc.constantFrom(0, 20),
  logprobs: fc.constantFrom(-1, 2),
  stop: fc.constantFrom<number[]>([], prompt(60)),
});

test("with a model that thinks alike answers are the same, token for token", async () => {
  const engine = await drafting(model, await fileOf("alike", randomGguf([], { drift: 0.1 })));
  let made = 0;
  const property = fc.asyncProperty(wishes, async ({ length, make, sampling, stop, ...more }) => {
    const full: Sampling = { ...GREEDY, ...sampling };
    const own = { sampling: full, stop_tokens: stop, ignore_eos: stop.length === 0, ...more };
    const one = asked(length, make, own);
    const [answer] = await run(engine, [one]);
    await expectSame(one, answer);
    made += answer!.tokens.length;
  });
  await fc.assert(property, { numRuns: 60 });
  const { right } = guesses(engine);
  expect(right).toBeGreaterThan(made / 4);
  expect(right).toBeLessThan(made);
}, 120_000);

test("a vocabulary in another order is mapped by what its tokens write", async () => {
  const moved = (i: number) => (i < VOCAB - 2 ? (i * 7 + 3) % (VOCAB - 2) : i);
  const order = Array.from({ length: VOCAB }, (_, i) => moved(i));
  const engine = await drafting(model, await fileOf("mixed", randomGguf([], { order })));
  expect(engine.describe().build).toContain(`vocabulary: mapped, ${VOCAB} of ${VOCAB}`);
  const one = asked(20, 100);
  const [answer] = await run(engine, [one]);
  await expectSame(one, answer);
  expect(guesses(engine).right).toBeGreaterThan(90);
}, 60_000);

/** Tokens from 64 to 127 have no partner there. */
const strange = new Map(Array.from({ length: 64 }, (_, i) => [64 + i, `<strange ${i}>`]));

test("a token that the draft model does not know ends its guesses, and is spelled in prompts", async () => {
  const draft = await fileOf("strange", randomGguf([], { spelling: strange }));
  const engine = await drafting(model, draft);
  expect(engine.describe().build).toContain(`mapped, ${VOCAB - 64} of ${VOCAB}`);
  for (let from = 0; from < 5; from++) {
    const one = request(++handle, prompt(40, from * 50), 60);
    const [answer] = await run(engine, [one]);
    await expectSame(one, answer);
  }
  expect(guesses(engine).right).toBeGreaterThan(30);
}, 60_000);

test("several at once, more than the caches hold, are whole and give all cells back", async () => {
  const small = { kv_tokens: 512, context_length: 256 };
  const engine = await drafting(model, model, small);
  const many = Array.from({ length: 24 }, (_, i) =>
    request(++handle, prompt(20 + i, i), 100, {
      choice: i,
      sampling: { ...GREEDY, temperature: i % 2, seed: BigInt(i) },
    }),
  );
  for (const each of await run(engine, many)) {
    expect(each.tokens).toHaveLength(100);
    expect(each.finished!.reason).toBe("length");
  }
  expect(guesses(engine).right).toBeGreaterThan(200);
}, 60_000);

test("choices of one prompt share what the draft model knows of it", async () => {
  const engine = await drafting(model, model);
  const tokens = prompt(100);
  const sampling = (i: number) => ({ ...GREEDY, temperature: 0.3, seed: BigInt(i) });
  const choices = Array.from({ length: 4 }, (_, choice) =>
    request(++handle, tokens, 60, { choice, sampling: sampling(choice) }),
  );
  for (const each of await run(engine, choices)) expect(each.tokens).toHaveLength(60);
  expect(guesses(engine).right).toBeGreaterThan(120);
}, 60_000);

test("an answer that goes on elsewhere in the middle of a guess is the same", async () => {
  const engine = await drafting(model, model);
  const sampling = { ...GREEDY, temperature: 0.5, seed: 9n };
  const tokens = prompt(30);
  const [whole] = await run(plain, [request(++handle, tokens, 60, { sampling })]);
  for (const cut of [1, 7, 30, 59]) {
    const known = [...tokens, ...whole!.tokens.slice(0, cut)];
    const own = { sampling, prompt_tokens: tokens.length };
    const [rest] = await run(engine, [request(++handle, known, 60 - cut, own)]);
    expect(rest!.tokens).toEqual(whole!.tokens.slice(cut));
  }
}, 60_000);

test("a cancel in the middle leaves nothing behind, and the next answer is not guessed from it", async () => {
  const engine = await drafting(model, model);
  const driver = new EngineDriver(engine);
  const one = asked(30, 400);
  engine.submit(one);
  const answer = driver.answer(one.handle);
  await driver.until(() => answer.tokens.length > 10);
  engine.cancel(one.handle);
  await driver.until(() => answer.finished !== undefined);
  expect(answer.finished!.reason).toBe("cancelled");
  expect(engine.stats()).toMatchObject({ running: 0, used_blocks: 0 });
  const other = request(++handle, prompt(50, 99), 60);
  const [next] = await run(engine, [other]);
  await expectSame(other, next);
}, 60_000);

test("beyond the context that the draft model knows an answer goes on without it", async () => {
  const short = randomGguf([["llama.context_length", 4, 96]]);
  const engine = await drafting(model, await fileOf("short", short));
  const one = asked(20, 200);
  const [answer] = await run(engine, [one]);
  expect(answer!.tokens).toHaveLength(200);
  expect(guesses(engine).right).toBeGreaterThan(50);
  expect(guesses(engine).right).toBeLessThan(80);
}, 60_000);

test("a draft model that fails is told once, and answers go on without it", async () => {
  const notices: string[] = [];
  const on_notice = (text: string) => notices.push(text);
  const engine = await drafting(model, model, { draft_fail_at: 20, on_notice });
  const all = Array.from({ length: 6 }, (_, i) => request(++handle, prompt(30, i), 80));
  for (const each of await run(engine, all)) expect(each.tokens).toHaveLength(80);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toMatch(/^the draft model .* failed .* answers go on without its guesses$/);
  const { right } = guesses(engine);
  for (const each of await run(engine, all)) expect(each.tokens).toHaveLength(80);
  expect(guesses(engine).right).toBe(right);
}, 60_000);

const other = new Map(Array.from({ length: VOCAB - 2 }, (_, i) => [i, `<other ${i}>`]));
const refusals: readonly [string, () => Promise<Partial<LlamaOptions>>, RegExp][] = [
  [
    "there is no such file",
    async () => ({ draft_model: join(folder, "none.gguf") }),
    /cannot read the model .*none\.gguf: give the path/,
  ],
  [
    "it is cut off",
    async () => ({ draft_model: await fileOf("cut", randomGguf().slice(0, 9_000)) }),
    /cut\.gguf/,
  ],
  [
    "it writes other tokens",
    async () => ({ draft_model: await fileOf("other", randomGguf([], { spelling: other })) }),
    /^the draft model .* writes other tokens .* only 2 are the same text; use a model of the same/,
  ],
  [
    "there is no memory beside the model",
    async () => ({ draft_model: model, kv_tokens: 2_048, memory_limit_mib: 5 }),
    /^the draft model .* MiB and \d+ MiB are free beside the model: use a smaller one/,
  ],
];
test.each(refusals)("%s: one line at the start", async (_why, options, message) => {
  const draft = await options();
  const opening = openLlama({ ...limits, model, speculate: "ngram", ...draft });
  const error = await opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EngineStartError);
  expect((error as EngineStartError).message).toMatch(message);
  expect((error as EngineStartError).message).not.toContain("\n");
});
