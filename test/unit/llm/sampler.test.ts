/** Every stage of sampler.c, alone and with the others, against the plain reference. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import type { Sampling } from "../../../actors/engine/engine.ts";
import { Slot, samplerLibraries } from "../../support/engine/sampler-library.ts";
import {
  argmax,
  distribution,
  drawn,
  edited,
  type History,
  UNSURE,
  uniform,
} from "../../support/engine/sampler-reference.ts";

/**
 * Last-position logits of Gemma 3 270M (Q4_K_M) after six prompts: a fact, a story, code, a chat
 * turn, a count, a dialogue. Of each the 2,048 likeliest tokens and every 42nd of the rest, as f16.
 */
const VOCAB = 8192;
const recorded = new Float16Array(
  await Bun.file(join(import.meta.dir, "../../support/engine/sampler-fixture.f16")).arrayBuffer(),
);
const rows = [0, 1, 2, 3, 4, 5].map((row) =>
  Float32Array.from(recorded.subarray(row * VOCAB, (row + 1) * VOCAB)),
);

const NEUTRAL: Sampling = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  repetition_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: [],
  seed: 1n,
};
const NOTHING: History = { prompt: [], answer: [] };

const libraries = samplerLibraries();
const slots = libraries.map(({ compiler, c }) => ({ compiler, slot: new Slot(c, VOCAB) }));
afterAll(() => {
  for (const { slot } of slots) slot.free();
});

type Case = {
  readonly logits: Float32Array<ArrayBuffer>;
  readonly sampling: Sampling;
  readonly history: History;
  readonly banned: readonly number[];
  readonly draws: number;
};

const seen = { draws: 0, unsure: 0 };

function agree({ logits, sampling, history, banned, draws }: Case): void {
  const values = edited(logits, sampling, history, banned);
  const greedy = sampling.temperature < 1e-5 || sampling.top_k === 1;
  const from = greedy ? undefined : distribution(values, sampling);
  const best = argmax(values);
  const row = logits.slice();
  const expected = Array.from({ length: draws }, (_, index) =>
    from ? drawn(from, uniform(sampling.seed, index % 3, index)) : { token: best, margin: 1 },
  );
  const sure = expected.map((draw) => draw.margin >= UNSURE);
  seen.draws += draws;
  seen.unsure += sure.filter((clear) => !clear).length;
  const clear = (tokens: readonly number[]) => tokens.filter((_, index) => sure[index]);
  for (const { compiler, slot } of slots) {
    expect(slot.begin(sampling, history)).toBe(0);
    const tokens = expected.map((_, index) => slot.sample(row, index % 3, index, banned));
    expect({ compiler, tokens: clear(tokens) }).toEqual({
      compiler,
      tokens: clear(expected.map((draw) => draw.token)),
    });
  }
  expect(row).toEqual(logits); // edits are undone, to the bit
}

const likeliest = rows.map((row) => [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, 60));

const ALONE: readonly (readonly [string, Partial<Sampling>])[] = [
  ["greedy", { temperature: 0 }],
  ["temperature 1", {}],
  ["temperature 0.2", { temperature: 0.2 }],
  ["temperature 2", { temperature: 2 }],
  ["temperature 100", { temperature: 100 }],
  ["top-k 1", { top_k: 1 }],
  ["top-k 40", { top_k: 40 }],
  ["top-k 5000", { top_k: 5000, temperature: 3 }],
  ["top-k above the vocabulary", { top_k: 100_000 }],
  ["top-p 0.9", { top_p: 0.9 }],
  ["top-p 0.99", { top_p: 0.99, temperature: 1.5 }],
  ["top-p 0", { top_p: 0 }],
  ["min-p 0.05", { min_p: 0.05 }],
  ["min-p 1e-6", { min_p: 1e-6 }],
  ["min-p 1", { min_p: 1 }],
  ["typical 0.5", { typical_p: 0.5 }],
  ["typical 0.95", { typical_p: 0.95, temperature: 1.3 }],
];

for (const [name, partial] of ALONE) {
  test(`${name} alone draws as the reference`, () => {
    for (const logits of rows) {
      const sampling = { ...NEUTRAL, ...partial };
      agree({ logits, sampling, history: NOTHING, banned: [], draws: 40 });
    }
  });
}

const EDITS: readonly (readonly [string, Partial<Sampling>])[] = [
  ["repetition", { repetition_penalty: 1.3 }],
  ["repetition below 1", { repetition_penalty: 0.8 }],
  ["frequency", { frequency_penalty: 0.7 }],
  ["presence", { presence_penalty: 1.5 }],
  ["negative presence", { presence_penalty: -1 }],
];

for (const [name, partial] of EDITS) {
  test(`${name} penalty alone edits as the reference`, () => {
    for (const [i, logits] of rows.entries()) {
      const top = likeliest[i]!;
      const history = { prompt: [...top.slice(0, 9), 5, 5, 9], answer: [top[3]!, 7, top[3]!, 7] };
      for (const temperature of [0, 1]) {
        const sampling = { ...NEUTRAL, ...partial, temperature };
        agree({ logits, sampling, history, banned: [], draws: 30 });
      }
    }
  });
}

test("bias alone moves exactly its tokens, bans beat any bias", () => {
  for (const [i, logits] of rows.entries()) {
    const [first, second, third] = likeliest[i]! as [number, number, number];
    const logit_bias = [[first, -100] as const, [second, 0.5] as const, [third, 100] as const];
    for (const temperature of [0, 1]) {
      const sampling = { ...NEUTRAL, temperature, logit_bias };
      agree({ logits, sampling, history: NOTHING, banned: [], draws: 20 });
      agree({ logits, sampling, history: NOTHING, banned: [third, third, first], draws: 20 });
    }
  }
});

/** Evenly spread hundredths: fast-check's own doubles are mostly near 1e-200. */
const hundredths = (min: number, max: number) =>
  fc.integer({ min: min * 100, max: max * 100 }).map((n) => n / 100);
const off = <T>(neutral: T, value: fc.Arbitrary<T>) => fc.oneof(fc.constant(neutral), value);
const rank = fc.integer({ min: 0, max: 59 });
const anyCase = fc.record({
  row: fc.integer({ min: 0, max: 5 }),
  temperature: fc.oneof(fc.constantFrom(0, 1), hundredths(0.05, 3)),
  top_k: off(0, fc.integer({ min: 1, max: 400 })),
  top_p: off(1, hundredths(0.01, 0.99)),
  min_p: off(0, hundredths(0.01, 0.5)),
  typical_p: off(1, hundredths(0.05, 0.99)),
  repetition_penalty: off(1, hundredths(0.7, 1.8)),
  frequency_penalty: off(0, hundredths(-2, 2)),
  presence_penalty: off(0, hundredths(-2, 2)),
  bias: fc.array(fc.tuple(rank, hundredths(-100, 100)), { maxLength: 4 }),
  seed: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  prompt: fc.array(rank, { maxLength: 30 }),
  answer: fc.array(rank, { maxLength: 30 }),
  banned: fc.array(rank, { maxLength: 3 }),
});

test("all stages together draw as the reference", () => {
  const property = fc.property(anyCase, ({ row, bias, prompt, answer, banned, ...rest }) => {
    const id = (place: number) => likeliest[row]![place]!;
    agree({
      logits: rows[row]!,
      sampling: { ...rest, logit_bias: bias.map(([place, value]) => [id(place), value] as const) },
      history: { prompt: prompt.map(id), answer: answer.map(id) },
      banned: banned.map(id),
      draws: 12,
    });
  });
  fc.assert(property, { numRuns: 150 });
});

test("accepting tokens one by one equals beginning with them", () => {
  const sampling = { ...NEUTRAL, repetition_penalty: 1.2, frequency_penalty: 0.4 };
  const answer = likeliest[1]!.slice(0, 20).flatMap((id, i) => (i % 3 === 0 ? [id, id] : [id]));
  const prompt = likeliest[1]!.slice(10, 40);
  for (const { slot } of slots) {
    const draw = () => Array.from({ length: 50 }, (_, i) => slot.sample(rows[1]!, 0, i, []));
    slot.begin(sampling, { prompt, answer });
    const whole = draw();
    slot.begin(sampling, { prompt, answer: [] });
    for (const id of answer) slot.accept(id);
    expect(draw()).toEqual(whole);
    slot.begin(sampling, NOTHING); // the slot forgets the sequence before
    expect(draw()).not.toEqual(whole);
  }
});

test("draws too close to a boundary to be compared are rare", () => {
  expect(seen.draws).toBeGreaterThan(4000);
  expect(seen.unsure / seen.draws).toBeLessThan(0.005);
});
