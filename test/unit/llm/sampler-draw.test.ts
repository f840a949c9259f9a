/** What surrounds the stages: randomness, log-probabilities, large vocabularies, broken input. */
import { afterAll, expect, test } from "bun:test";
import type { Sampling } from "../../../actors/engine/engine.ts";
import {
  logprobsOf,
  Slot,
  samplerLibraries,
  uniformOf,
} from "../../support/engine/sampler-library.ts";
import {
  argmax,
  distribution,
  drawn,
  edited,
  logprobs,
  philox,
  UNSURE,
  uniform,
} from "../../support/engine/sampler-reference.ts";

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
  seed: 7n,
};
const NOTHING = { prompt: [], answer: [] };
const U64 = 0xffff_ffff_ffff_ffffn;

const libraries = samplerLibraries();
const slots: Slot[] = [];
afterAll(() => {
  for (const slot of slots) slot.free();
});

function slotsOf(n_vocab: number, sampling: Partial<Sampling>): readonly Slot[] {
  return libraries.map(({ c }) => {
    const slot = new Slot(c, n_vocab);
    slots.push(slot);
    expect(slot.begin({ ...NEUTRAL, ...sampling }, NOTHING)).toBe(0);
    return slot;
  });
}

/** Bell-shaped logits, as a language model's tail is: a sum of uniforms, from a counter. */
function synthetic(n: number, seed: bigint, spread: number): Float32Array {
  const row = new Float32Array(n);
  let state = seed;
  for (let i = 0; i < n; i++) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & U64;
    const bits = Number(state >> 32n);
    row[i] = (((bits & 0xff) + ((bits >>> 8) & 0xff) + (bits >>> 16) / 256) / 256 - 1.5) * spread;
  }
  return row;
}

test("Philox gives the published known answers", () => {
  // Random123 1.14, tests/kat_vectors: philox4x32 with 10 rounds.
  const ones = 0xffff_ffff;
  expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([
    0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
  ]);
  expect(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
  ).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test("the random number of (seed, choice, index) is the same in C and TypeScript", () => {
  for (const { c } of libraries) {
    // The first two words of the first known answer above, as 27 + 26 bits.
    expect(uniformOf(c, 0n, 0, 0)).toBe(0.39904647231489565);
    for (const seed of [0n, 1n, 0x8000_0000_0000_0000n, U64, 0x0123_4567_89ab_cdefn]) {
      for (const choice of [0, 1, 4_294_967_295]) {
        for (const index of [0, 1, 77, 4_294_967_295]) {
          expect(uniformOf(c, seed, choice, index)).toBe(uniform(seed, choice, index));
        }
      }
    }
  }
});

test("tokens are drawn as often as their probability says, over many counters", () => {
  const row = Float32Array.from([2, 1, 1, 0.5, 0, -1, -2, Number.NEGATIVE_INFINITY]);
  const expected = [...logprobs(row)].map((l) => Math.exp(l));
  const draws = 40_000;
  for (const slot of slotsOf(row.length, { seed: 42n })) {
    const counts = new Array<number>(row.length).fill(0);
    for (let i = 0; i < draws; i++) counts[slot.sample(row, i % 4, i >> 2, [])]!++;
    expect(counts[7]).toBe(0);
    const chi = counts.slice(0, 7).reduce((sum, n, i) => {
      const mean = draws * expected[i]!;
      return sum + (n - mean) ** 2 / mean;
    }, 0);
    expect(chi).toBeLessThan(22.46); // 6 degrees of freedom, p = 0.001; the counters are fixed
  }
});

test("a draw depends on its counter only: other draws and their order do not matter", () => {
  const row = synthetic(500, 3n, 4);
  for (const slot of slotsOf(row.length, { seed: 9n })) {
    const forth = Array.from({ length: 100 }, (_, i) => slot.sample(row, 0, i, []));
    const back = Array.from({ length: 100 }, (_, i) => slot.sample(row, 0, 99 - i, []));
    expect(back.reverse()).toEqual(forth);
    const other = Array.from({ length: 100 }, (_, i) => slot.sample(row, 1, i, []));
    expect(other).not.toEqual(forth);
    expect(new Set(forth).size).toBeGreaterThan(20);
  }
});

const LARGE: readonly (readonly [string, number, Partial<Sampling>])[] = [
  ["temperature 1", 20, {}],
  ["top-p 0.9 over a steep row", 20, { top_p: 0.9 }],
  ["top-p 0.95 over a flat row", 3, { top_p: 0.95 }],
  ["top-k 50 and top-p 0.8", 12, { top_k: 50, top_p: 0.8 }],
  ["typical 0.9", 15, { typical_p: 0.9 }],
];

for (const [name, spread, sampling] of LARGE) {
  test(`a vocabulary of 262,144: ${name}`, () => {
    const row = synthetic(262_144, 11n, spread);
    const from = distribution(row, { ...NEUTRAL, ...sampling });
    let compared = 0;
    for (const slot of slotsOf(row.length, sampling)) {
      for (let index = 0; index < 24; index++) {
        const expected = drawn(from, uniform(7n, 0, index));
        // Tokens of a flat row weigh 4e-6 each: only the draw's own distance can be asked for.
        if (expected.margin < UNSURE / 4) continue;
        compared++;
        expect(slot.sample(row, 0, index, [])).toBe(expected.token);
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
}

test("log-probabilities equal log-softmax in 64 bits", () => {
  for (const [n, spread] of [
    [1, 1],
    [63, 5],
    [64, 5],
    [2049, 30],
    [262_144, 12],
  ] as const) {
    const row = synthetic(n, 5n, spread);
    if (n > 70) row[70] = row[7]!; // a tie: the lower id first
    const expected = logprobs(row);
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, 20);
    for (const { c } of libraries) {
      for (const token of [0, n - 1, n >> 1]) {
        const got = logprobsOf(c, row, token, 20);
        expect(Math.abs(got.logprob - expected[token]!)).toBeLessThan(1e-4);
        expect(got.top.map(([id]) => id)).toEqual(order);
        for (const [id, value] of got.top) {
          expect(Math.abs(value - expected[id]!)).toBeLessThan(1e-4);
        }
      }
      expect(logprobsOf(c, row, 0, 0).top).toEqual([]);
    }
  }
});

test("impossible tokens have log-probability -9999 and are no top candidates", () => {
  const row = Float32Array.from([Number.NaN, 1, Number.NEGATIVE_INFINITY, 1]);
  for (const { c } of libraries) {
    const half = Math.fround(-Math.LN2);
    expect(logprobsOf(c, row, 0, 5)).toEqual({
      logprob: -9999,
      top: [
        [1, half],
        [3, half],
      ],
    });
    expect(logprobsOf(c, row, 2, 0).logprob).toBe(-9999);
    expect(
      logprobsOf(
        c,
        row.map(() => Number.NaN),
        2,
        3,
      ),
    ).toEqual({ logprob: -9999, top: [] });
    const infinite = Float32Array.from([0, Number.POSITIVE_INFINITY, 3]);
    expect(logprobsOf(c, infinite, 1, 1)).toEqual({ logprob: 0, top: [[1, 0]] });
    expect(logprobsOf(c, infinite, 2, 0).logprob).toBe(-9999);
  }
});

const STAGES: readonly Partial<Sampling>[] = [
  { temperature: 0 },
  {},
  { top_k: 3 },
  { top_p: 0.5 },
  { min_p: 0.1 },
  { typical_p: 0.5 },
  { temperature: 1e-5 },
  { temperature: 3e38 },
];

test("ties go to the lower id", () => {
  for (const n of [1, 2, 65, 1000]) {
    const row = new Float32Array(n).fill(-3.5);
    for (const slot of slotsOf(n, { temperature: 0 })) expect(slot.sample(row, 0, 0, [])).toBe(0);
    for (const slot of slotsOf(n, { top_k: 2 })) {
      const drawnIds = Array.from({ length: 64 }, (_, i) => slot.sample(row, 0, i, []));
      expect(new Set(drawnIds)).toEqual(new Set(n === 1 ? [0] : [0, 1]));
    }
  }
});

test("logits that are no numbers never leave the vocabulary nor win", () => {
  const nan = Number.NaN;
  const inf = Number.POSITIVE_INFINITY;
  const cases: readonly (readonly [number[], readonly number[]])[] = [
    [[nan, nan, nan], [0]],
    [[-inf, -inf], [0]],
    [[nan, -inf, nan], [0]],
    [[nan, 2, -inf], [1]],
    [[1, inf, 5, inf], [1]],
    [
      [nan, 0, nan, 0],
      [1, 3],
    ],
    [[3e38, -3e38], [0]],
  ];
  for (const [values, allowed] of cases) {
    for (const pad of [0, 100]) {
      const row = Float32Array.from([...values, ...new Array<number>(pad).fill(-inf)]);
      for (const stage of STAGES) {
        if (stage.temperature === 3e38 && values.includes(-3e38)) continue; // flat: both may come
        for (const slot of slotsOf(row.length, stage)) {
          for (let i = 0; i < 8; i++) expect(allowed).toContain(slot.sample(row, 0, i, []));
        }
      }
    }
  }
});

test("banning everything, or ids outside the vocabulary, still answers an id", () => {
  const row = Float32Array.from([1, 2, 3]);
  for (const stage of STAGES) {
    for (const slot of slotsOf(3, stage)) {
      expect(slot.sample(row, 0, 0, [2, 1, 0, 2, 1, 0, 2])).toBe(0);
      expect(slot.sample(row, 0, 0, [0, 1, -1, 3, 2_147_483_647])).toBe(2);
      expect([...row]).toEqual([1, 2, 3]);
    }
  }
});

test("greedy is the first of the largest for every vocabulary size around a block", () => {
  for (let n = 1; n <= 200; n += 3) {
    const row = synthetic(n, BigInt(n), 6);
    const best = argmax(edited(row, NEUTRAL, NOTHING, []));
    for (const slot of slotsOf(n, { temperature: 0 })) {
      expect(slot.sample(row, 0, 0, [])).toBe(best);
    }
  }
});

test("parameters that mean nothing are refused, and the slot stays usable", () => {
  const bad: readonly Partial<Sampling>[] = [
    { temperature: Number.NaN },
    { temperature: Number.POSITIVE_INFINITY },
    { top_p: Number.NaN },
    { repetition_penalty: 0 },
    { repetition_penalty: -1 },
    { logit_bias: [[5, 1]] },
    { logit_bias: [[-1, 1]] },
    { logit_bias: [[0, Number.NaN]] },
  ];
  const row = Float32Array.from([1, 4, 2]);
  for (const slot of slotsOf(3, {})) {
    for (const partial of bad) {
      expect(slot.begin({ ...NEUTRAL, ...partial }, NOTHING)).toBe(-2);
      expect(slot.sample(row, 0, 0, [])).toBe(1);
    }
    expect(slot.begin(NEUTRAL, { prompt: [3], answer: [] })).toBe(-2);
    expect(slot.begin({ ...NEUTRAL, temperature: 0, logit_bias: [[0, 9]] }, NOTHING)).toBe(0);
    expect(slot.sample(row, 0, 0, [])).toBe(0);
  }
});
