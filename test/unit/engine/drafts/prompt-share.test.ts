/** native/drafts/prompt-share.c: how much of prompts a step computes beside answers. */
import { cc } from "bun:ffi";
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";

const { symbols: c } = cc({
  source: join(import.meta.dir, "../../../support/llama/prompt-share-checks.c"),
  symbols: {
    check_engine: { args: ["ptr", "ptr", "i32", "i32", "i32", "i32"], returns: "void" },
    check_step: { args: ["i32", "i32", "ptr", "ptr", "ptr"], returns: "i32" },
    check_learn: { args: ["i32", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  },
});

/** As prompt-share.c has them. */
const LEAST = 8;
const WORK_MS = 100;
const TIMES = 2;
const DEPTHS = 32;
const DEPTH = 256;
const BATCH_TOKENS = 4_096;

type Known = {
  /** ms of a batch of so many next tokens. */
  readonly step_ms: (n: number) => number;
  /** Of a prompt's token, by what it looks back at; 0: not known. */
  readonly token_ms: (cells: number) => number;
  readonly chunk: number;
  /** The same where nobody decodes; absent: chunk. */
  readonly alone?: number;
  /** A person chose the chunk. */
  readonly given?: boolean;
  /** -1: by the costs; 0: none. */
  readonly target_ms: number;
};
type Prompt = { readonly from: number; readonly left: number };

function know({ step_ms, token_ms, chunk, alone = chunk, given = false, target_ms }: Known): void {
  const curve = Float64Array.from({ length: 64 }, (_, i) => step_ms(i + 1));
  const depths = Float64Array.from({ length: DEPTHS }, (_, i) => token_ms(i * DEPTH));
  c.check_engine(curve, depths, chunk | 0, alone | 0, target_ms | 0, given ? 1 : 0);
}

/** Tokens of each prompt in one step. */
function partsOf(known: Known, decoding: number, prompts: readonly Prompt[]): number[] {
  know(known);
  const from = Int32Array.from(prompts, (prompt) => prompt.from);
  const left = Int32Array.from(prompts, (prompt) => prompt.left);
  const to = new Int32Array(prompts.length);
  const sum = c.check_step(decoding | 0, prompts.length | 0, from, left, to);
  expect(sum).toBe([...to].reduce((all, n) => all + n, 0));
  return [...to];
}

const gemma: Known = {
  step_ms: (n) => 27 + 2.8 * n,
  token_ms: (cells) => 1.5 + Math.min(cells, 4_096) / 2_048,
  ...{ chunk: 64, target_ms: -1 },
};
const long = (from: number): Prompt => ({ from, left: 4_000 });
const short: Prompt = { from: 0, left: 30 };

const depth: Known["token_ms"] = (cells) => (cells === 2_048 ? 4 : 0);

test.each<[string, Known, number, readonly Prompt[], readonly number[]]>([
  ["at its beginning a prompt has a whole part", gemma, 7, [long(0)], [64]],
  [
    "far into it the part is what its time is enough for, in eights of rows",
    gemma,
    7,
    [long(4_000)],
    [24],
  ],
  ["nobody decodes: nobody waits", gemma, 0, [long(4_000)], [64]],
  ["alone it has more", { ...gemma, alone: 256 }, 0, [long(4_000)], [256]],
  ["but not beside one answer", { ...gemma, alone: 256 }, 1, [long(0)], [64]],
  ["what is left fits", gemma, 7, [{ from: 0, left: 64 }], [64]],
  ["switched off", { ...gemma, target_ms: 0 }, 7, [long(4_000)], [64]],
  ["costs are not known", { ...gemma, token_ms: () => 0 }, 7, [long(4_000)], [64]],
  [
    "many answers make a long step, of which prompts keep two thirds",
    gemma,
    24,
    [long(4_000)],
    [48],
  ],
  [
    "of a depth that was not seen it is as of the one before",
    { ...gemma, token_ms: depth },
    7,
    [long(9_000)],
    [24],
  ],
  ["or of the one behind", { ...gemma, token_ms: depth }, 7, [long(0)], [24]],
  ["a target of its own", { ...gemma, target_ms: 80 }, 7, [long(0)], [16]],
  ["one that cannot be kept", { ...gemma, target_ms: 20 }, 7, [long(0)], [LEAST]],
  ["a prompt's rest", gemma, 7, [{ from: 4_000, left: 5 }], [5]],
  [
    "two prompts have the time of two, the oldest first",
    gemma,
    7,
    [{ from: 0, left: 20 }, long(0)],
    [20, 108],
  ],
  ["there is no time for a second", gemma, 7, [long(4_000), { from: 0, left: 9 }], [56, 0]],
  ["many short ones come all at once", gemma, 1, Array(6).fill(short), Array(6).fill(30)],
  [
    "but not with a target of its own",
    { ...gemma, target_ms: 80 },
    7,
    [{ from: 0, left: 20 }, short],
    [20, 0],
  ],
  [
    "nor where a person chose the chunk",
    { ...gemma, given: true },
    7,
    [short, short, short],
    [30, 30, 0],
  ],
])("%s", (_what, known, decoding, prompts, expected) => {
  expect(partsOf(known, decoding, prompts)).toEqual([...expected]);
});

const knowns = fc.record({
  step_ms: fc
    .tuple(
      fc.double({ min: 0.1, max: 900, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    )
    .map(
      ([ms, more]) =>
        (n: number) =>
          ms * (1 + more * (n - 1)),
    ),
  token_ms: fc
    .tuple(
      fc.double({ min: 0.001, max: 500, noNaN: true }),
      fc.double({ min: 0, max: 0.01, noNaN: true }),
    )
    .map(
      ([ms, more]) =>
        (cells: number) =>
          ms + more * cells,
    ),
  chunk: fc.integer({ min: 1, max: 2_048 }),
});
const targets = fc.integer({ min: -1, max: 2_000 });
const answers = fc.integer({ min: 0, max: 64 });
const someOf = fc.record({
  from: fc.integer({ min: 0, max: 30_000 }),
  left: fc.integer({ min: 1, max: 30_000 }),
});
const some = fc.array(someOf, { minLength: 1, maxLength: 5 });

test("the first prompt always goes on, none has more than is left, all together no more than a chunk each", () => {
  const property = fc.property(
    knowns,
    targets,
    answers,
    some,
    fc.boolean(),
    (known, target_ms, decoding, prompts, given) => {
      const parts = partsOf({ ...known, target_ms, given }, decoding, prompts);
      expect(parts[0]).toBeGreaterThanOrEqual(Math.min(LEAST, prompts[0]!.left, known.chunk));
      for (const [i, n] of parts.entries()) expect(n).toBeLessThanOrEqual(prompts[i]!.left);
      const chunks = given || target_ms >= 0 ? 1 : prompts.length;
      const most = Math.min(known.chunk * chunks, BATCH_TOKENS);
      expect(parts.reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(most);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("where a prompt is cut its batch has eights of rows", () => {
  const property = fc.property(knowns, targets, someOf, (known, target_ms, prompt) => {
    for (const decoding of [1, 7, 30, 64]) {
      const [n = 0] = partsOf({ ...known, target_ms }, decoding, [prompt]);
      if (n > LEAST && n < prompt.left) expect(n % 8).toBe(0);
    }
  });
  fc.assert(property, { numRuns: 300 });
});

test("a larger target never makes a smaller part, and a deeper prompt never a larger one", () => {
  const pair = fc.tuple(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 3_000 }));
  const property = fc.property(knowns, pair, answers, someOf, (known, pair, decoding, prompt) => {
    const [low, high] = [...pair].sort((a, b) => a - b) as [number, number];
    const part = (target_ms: number, from = prompt.from) =>
      partsOf({ ...known, target_ms }, decoding, [{ ...prompt, from }])[0]!;
    expect(part(low)).toBeLessThanOrEqual(part(high));
    expect(part(high, prompt.from + low)).toBeLessThanOrEqual(part(high));
    expect(part(-1, prompt.from + low)).toBeLessThanOrEqual(part(-1));
    expect(part(high)).toBeLessThanOrEqual(part(0));
  });
  fc.assert(property, { numRuns: 500 });
});

test("by the costs prompts take two thirds of a step or 100 ms, as far as parts can be so small", () => {
  const property = fc.property(knowns, answers, someOf, (known, decoding, prompt) => {
    const [n = 0] = partsOf({ ...known, target_ms: -1 }, decoding, [prompt]);
    if (decoding === 0 || n <= LEAST) return;
    const ms = n * known.token_ms(Math.min(DEPTHS - 1, Math.floor(prompt.from / DEPTH)) * DEPTH);
    expect(ms).toBeLessThanOrEqual(Math.max(WORK_MS, TIMES * known.step_ms(decoding)) * 1.000001);
  });
  fc.assert(property, { numRuns: 500 });
});

/** What is learned of steps: tokens, cells that each looked back at, ms. */
function learned(steps: readonly (readonly [number, number, number])[]) {
  know({ ...gemma, token_ms: (cells) => (cells === 0 ? 1 : 0) });
  const column = (k: 0 | 1 | 2) => Float64Array.from(steps, (step) => step[k]);
  const to = new Float64Array(DEPTHS);
  const off = c.check_learn(steps.length | 0, column(0), column(1), column(2), to);
  return { token_ms: [...to], off: off !== 0 };
}

test("what depth costs is learned of one long prompt", () => {
  const steps = Array.from({ length: 63 }, (_, i) => {
    const cells = 64 * i + 32;
    return [64, cells, 64 * gemma.token_ms(cells)] as const;
  });
  const { token_ms, off } = learned(steps);
  expect(off).toBe(true);
  for (const [i, ms] of token_ms.slice(1).entries()) {
    const cells = (i + 1.5) * DEPTH;
    if (cells > 4_000) expect(ms).toBe(0);
    else expect(Math.abs(ms - gemma.token_ms(cells))).toBeLessThan(0.1);
  }
});

test("one slow step says little, and many say it", () => {
  const usual = Array.from({ length: 40 }, () => [64, 32, 64] as const);
  const slow = learned([...usual, [64, 32, 5_000]]);
  expect(slow.token_ms[0]).toBeLessThan(1.21);
  const slower = usual.map(([tokens, cells, ms]) => [tokens, cells, 2 * ms] as const);
  const { token_ms, off } = learned([...usual, ...slower]);
  expect(token_ms[0]).toBeGreaterThan(1.9);
  expect(off).toBe(true);
  expect(learned(usual).off).toBe(false);
});

test("whatever is seen, costs stay above nothing", () => {
  const step = fc.tuple(
    fc.integer({ min: 1, max: 512 }),
    fc.double({ min: 0, max: 30_000, noNaN: true }),
    fc.double({ min: -10, max: 5_000, noNaN: true }),
  );
  const property = fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
    const { token_ms } = learned(steps);
    expect(token_ms[0]).toBeGreaterThan(0);
    for (const ms of token_ms) expect(ms).toBeGreaterThanOrEqual(0);
    expect(token_ms.every(Number.isFinite)).toBe(true);
  });
  fc.assert(property, { numRuns: 300 });
});
