/**
 * A program of its own: are answers on the stand-in for libllama, whose folder is its first
 * argument, the same with guesses as without, token for token? The second says when answers are
 * guessed: "always", "model": always and by a draft model alone, or "ngram": where it pays, and no
 * mask is waited for. The third is a draft model's file, if there is one. Prints what it saw as JSON.
 */
import { expect } from "bun:test";
import fc from "fast-check";
import type { EngineRequest } from "../../../actors/engine/engine.ts";
import { openLlama } from "../../../actors/engine/llama/llama.ts";
import { type Constraint, constraintText } from "../../../llm/constraint/constraint.ts";
import { type Answer, EngineDriver, GREEDY, request } from "../engine/engine-driver.ts";
import { TEST_MODEL } from "../engine/engine-model.ts";
import { grammarParts, textOf } from "../engine/grammar-parts.ts";

const RUNS = 120;
const TOKENS = 160;

const pet = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 2, maxLength: 6 },
    kind: { enum: ["cat", "dog", "tortoise"] },
    age: { type: "integer", minimum: 0, maximum: 150 },
    alive: { type: "boolean" },
  },
  required: ["name", "kind", "age", "alive"],
} as const;
const pets = { type: "array", items: pet, minItems: 2, maxItems: 4 };
const numbers = { type: "regex", pattern: "(id [0-9]{2}, ){3,8}end" } as const;
const forms: readonly (Constraint | undefined)[] = [
  undefined,
  { format: { type: "json_schema", json_schema: pet } },
  { format: { type: "json_schema", json_schema: pets } },
  { format: { type: "json_schema", json_schema: true } },
  { format: numbers },
  { format: { type: "grammar", grammar: 'root ::= "no." | "go on, and " root' } },
  { format: { type: "tag", begin: "<call>", content: numbers, end: "</call>" } },
  { format: numbers, thinking: { end: "</think>", max_tokens: 5 } },
];

const parts = { ...grammarParts(TEST_MODEL), stage_ms: 10_000 };
const tokensOf = (text: string) => [
  ...parts.tokenizer.encode(text, { add_special: false, parse_special: false }),
];
const prompt = tokensOf("Tell me, go on, and tell me of the cat: ");
const opened = {
  ...{ model: TEST_MODEL, lib_dir: Bun.argv[2]!, grammar: parts, threads: 1 },
  ...{ context_length: 512, kv_tokens: 16_384, max_num_seqs: 8 },
};
const plain = new EngineDriver(await openLlama(opened));
const speculate = Bun.argv[3] as "always" | "model" | "ngram";
const draft_model = Bun.argv[4];
const drafting = draft_model === undefined ? {} : { draft_model };
const guessing = new EngineDriver(await openLlama({ ...opened, ...drafting, speculate }));

let handle = 0;
const asked = (form: Constraint | undefined, more: Partial<EngineRequest>) =>
  request(++handle, prompt, TOKENS, {
    ignore_eos: false,
    ...(form === undefined ? {} : { constraint: constraintText(form) }),
    ...more,
  });

async function answered(driver: EngineDriver, one: EngineRequest): Promise<Answer> {
  const [answer] = await driver.run([one]);
  expect(answer!.faults).toEqual([]);
  expect(driver.engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
  return answer!;
}

function expectSame(b: Answer, a: Answer): void {
  expect(b.tokens).toEqual(a.tokens);
  expect(b.logprobs).toEqual(a.logprobs);
  const { drafts, cached_tokens, ...end } = b.finished!;
  const { cached_tokens: _, ...expected } = a.finished!;
  expect(end).toEqual(expected);
}

/** Hashes of all blocks that the cache holds. */
function cached({ engine }: EngineDriver): readonly bigint[] {
  const stored = [...engine.kvDump!().blocks];
  return stored.flatMap(({ sequence_hashes }) => [...sequence_hashes]).sort();
}

/** What the client may predict of an answer: mostly right, so that much is guessed right. */
const predictions: Readonly<Record<string, (tokens: readonly number[]) => readonly number[]>> = {
  nothing: () => [],
  all: (tokens) => tokens,
  "all but some": (tokens) => tokens.map((token, i) => (i % 9 === 8 ? token ^ 1 : token)),
  "too few": (tokens) => tokens.filter((_, i) => i % 7 !== 6),
};

const wishes = fc.record({
  form: fc.constantFrom(...forms),
  temperature: fc.constantFrom(0, 0.5, 1),
  seed: fc.bigInt({ min: 0n, max: 2n ** 63n }),
  repetition_penalty: fc.constantFrom(1, 1.2),
  presence_penalty: fc.constantFrom(0, 0.5),
  top_p: fc.constantFrom(1, 0.9),
  choice: fc.integer({ min: 0, max: 3 }),
  max_tokens: fc.constantFrom(1, 7, 60, TOKENS),
  min_tokens: fc.constantFrom(0, 20),
  logprobs: fc.constantFrom(-1, 2),
  stops: fc.boolean(),
  ignore_eos: fc.boolean(),
  predicted: fc.constantFrom(...Object.keys(predictions)),
});
type Wish = typeof wishes extends fc.Arbitrary<infer One> ? One : never;

function askedFor(wish: Wish): EngineRequest {
  const { form, temperature, seed, repetition_penalty, presence_penalty, top_p } = wish;
  const { choice, max_tokens, min_tokens, logprobs, stops, ignore_eos } = wish;
  const sampling = { ...GREEDY, temperature, seed, repetition_penalty, presence_penalty, top_p };
  const stop_tokens = stops ? tokensOf(",") : [];
  const own = { sampling, choice, max_tokens, min_tokens, logprobs, stop_tokens, ignore_eos };
  return asked(form, own);
}

const guessedFor = (one: EngineRequest, { predicted }: Wish, { tokens }: Answer) => ({
  ...{ ...one, handle: ++handle, predicted: Uint32Array.from(predictions[predicted]!(tokens)) },
});

const seen = { right: 0, wrong: 0, plain_steps: 0, guessing_steps: 0, blocks: 0, together: 0 };

async function oneAtATime(): Promise<void> {
  const property = fc.asyncProperty(wishes, async (wish) => {
    const one = askedFor(wish);
    const a = await answered(plain, one);
    const b = await answered(guessing, guessedFor(one, wish, a));
    expectSame({ ...b, finished: { ...b.finished!, handle: one.handle } }, a);
    expect(a.finished!.drafts).toBeUndefined();
    seen.right += b.finished!.drafts?.right ?? 0;
    seen.wrong += b.finished!.drafts?.wrong ?? 0;
  });
  await fc.assert(property, { numRuns: RUNS });
  seen.plain_steps = plain.engine.stats().steps_total;
  seen.guessing_steps = guessing.engine.stats().steps_total;
  // What was guessed wrongly is in no block.
  expect(cached(guessing)).toEqual(cached(plain));
  seen.blocks = cached(plain).length;
}

async function manyAtOnce(): Promise<void> {
  const many = fc.sample(wishes, 60);
  const known: Answer[] = [];
  for (const wish of many) known.push(await answered(plain, askedFor(wish)));
  const all = many.map((wish, i) => guessedFor(askedFor(wish), wish, known[i]!));
  for (const [i, b] of (await guessing.run(all)).entries()) {
    const a = known[i]!;
    expect(b.faults).toEqual([]);
    expectSame({ ...b, finished: { ...b.finished!, handle: a.finished!.handle } }, a);
    seen.together++;
  }
  expect(guessing.engine.stats()).toMatchObject({ running: 0, waiting: 0, used_blocks: 0 });
}

/** One that goes on elsewhere in the middle of guesses. */
async function moved(): Promise<void> {
  const sampling = { ...GREEDY, temperature: 1, seed: 5n };
  for (const form of forms) {
    const whole = await answered(plain, asked(form, { sampling }));
    const predicted = Uint32Array.from(whole.tokens);
    const stride = 1 + Math.floor(whole.tokens.length / 7);
    for (let cut = 1; cut < whole.tokens.length; cut += stride) {
      const tokens = Uint32Array.from([...prompt, ...whole.tokens.slice(0, cut)]);
      const more = { tokens, prompt_tokens: prompt.length, max_tokens: TOKENS - cut };
      const rest = await answered(guessing, asked(form, { sampling, predicted, ...more }));
      expect(rest.tokens).toEqual(whole.tokens.slice(cut));
      expect(rest.finished!.reason).toBe(whole.finished!.reason);
    }
  }
}

async function cancelled(): Promise<void> {
  const one = asked({ format: { type: "regex", pattern: "(ab){400}" } }, { max_tokens: 400 });
  expect(guessing.engine.submit(one)).toBeUndefined();
  const answer = guessing.answer(one.handle);
  await guessing.until(() => answer.tokens.length > 10);
  guessing.engine.cancel(one.handle);
  await guessing.until(() => answer.finished !== undefined);
  expect(answer.finished!.reason).toBe("cancelled");
  expect(textOf(parts.tokenizer, answer.tokens)).toMatch(/^(ab)+a?$/);
  expect(guessing.engine.stats()).toMatchObject({ running: 0, used_blocks: 0 });
}

await oneAtATime();
await moved();
await cancelled();
await manyAtOnce();
const by_model = guessing.engine.draftCounts?.().find(({ source }) => source === "model");
await Promise.all([plain.engine.close(), guessing.engine.close()]);
console.log(JSON.stringify({ ...seen, by_model: by_model?.accepted ?? 0 }));
process.exit(0);
