/** native/drafts/drafter-plan.c: how many guesses of a draft model a step has. */
import { cc } from "bun:ffi";
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";

const { symbols: c } = cc({
  source: join(import.meta.dir, "../../../support/llama/drafter-checks.c"),
  symbols: {
    check_plan: {
      args: ["ptr", "ptr", "i32", "i32", "ptr", "ptr", "ptr", "ptr"],
      returns: "i32",
    },
  },
});

/** As drafter-plan.c and engine.h have them. */
const MOST = 15;

type Step = {
  /** ms of a batch of so many tokens. */
  readonly engine_ms: (n: number) => number;
  readonly draft_ms: (n: number) => number;
  /** How often guesses for each answer were right, of very many. */
  readonly right: readonly number[];
  readonly room?: number;
};

function planOf({ engine_ms, draft_ms, right, room = 64 - right.length }: Step) {
  const curve = (ms: (n: number) => number) =>
    Float64Array.from({ length: 64 }, (_, i) => ms(i + 1));
  const tried = Float32Array.from(right, () => 1e6);
  const held = Float32Array.from(right, (share) => share * 1e6);
  const each = new Int32Array(right.length);
  const rates = new Float64Array(2);
  const [n, most] = [right.length | 0, room | 0];
  const [engine, draft] = [curve(engine_ms), curve(draft_ms)];
  const all = c.check_plan(engine, draft, n, most, tried, held, each, rates);
  return { all, each: [...each], plain: rates[0]!, rate: rates[1]! };
}

/** Of one answer with `n` guesses, where each holds with the same likelihood. */
function rateOf({ engine_ms, draft_ms, right }: Step, n: number): number {
  let [tokens, hold] = [1, 1];
  for (let i = 0; i < n; i++) tokens += hold *= right[0]!;
  return tokens / (engine_ms(1 + n) + n * draft_ms(1));
}

const shares = fc.double({ min: 0.05, max: 0.98, noNaN: true });
/** From memory that is read once a batch to arithmetic a token. */
const curves = fc
  .record({
    ms: fc.double({ min: 0.5, max: 50, noNaN: true }),
    more: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(
    ({ ms, more }) =>
      (n: number) =>
        ms * (1 + more * (n - 1)),
  );

test("a lone answer has as many as bring the most tokens a ms", () => {
  const property = fc.property(curves, curves, shares, (engine_ms, draft_ms, share) => {
    const step = { engine_ms, draft_ms, right: [share] };
    const { all, rate } = planOf(step);
    const best = Math.max(...Array.from({ length: MOST + 1 }, (_, n) => rateOf(step, n)));
    expect(rate / best).toBeCloseTo(1, 4);
    expect(rateOf(step, all) / best).toBeCloseTo(1, 4);
  });
  fc.assert(property, { numRuns: 300 });
});

test("guesses never make a step bring less, and there are no more than it has room for", () => {
  const several = fc.array(shares, { minLength: 1, maxLength: 24 });
  const rooms = fc.integer({ min: 1, max: 40 });
  const property = fc.property(
    curves,
    curves,
    several,
    rooms,
    (engine_ms, draft_ms, right, room) => {
      const { all, each, plain, rate } = planOf({ engine_ms, draft_ms, right, room });
      expect(rate).toBeGreaterThanOrEqual(plain);
      expect(all).toBeLessThanOrEqual(room);
      expect(each.reduce((sum, n) => sum + n, 0)).toBe(all);
      for (const n of each) expect(n).toBeLessThanOrEqual(MOST);
      // Who is guessed better has no fewer.
      for (const [i, a] of right.entries()) {
        for (const [k, b] of right.entries())
          if (a > b + 1e-3) expect(each[i]!).toBeGreaterThanOrEqual(each[k]!);
      }
    },
  );
  fc.assert(property, { numRuns: 200 });
});

const flat = (n: number) => 30 + 0.5 * n;
const linear = (n: number) => 4 * n;

test.each<[string, Step, (all: number) => boolean]>([
  [
    "a draft model that costs a tenth",
    { engine_ms: flat, draft_ms: () => 3, right: [0.9] },
    (n) => n >= 5,
  ],
  [
    "one that is right seldom",
    { engine_ms: flat, draft_ms: () => 3, right: [0.08] },
    (n) => n === 0,
  ],
  ["one that costs as much", { engine_ms: flat, draft_ms: flat, right: [0.99] }, (n) => n === 0],
  [
    "a batch whose tokens cost what they are",
    { engine_ms: linear, draft_ms: () => 0.5, right: Array<number>(16).fill(0.9) },
    (n) => n === 0,
  ],
  [
    "a step of answers that are guessed alike",
    { engine_ms: flat, draft_ms: () => 1, right: Array<number>(4).fill(0.9), room: 12 },
    (n) => n === 12,
  ],
])("%s", (_what, step, holds) => {
  expect(holds(planOf(step).all)).toBe(true);
});

test("before anything was seen a draft model is tried where it is cheap", () => {
  const each = new Int32Array(1);
  const curve = (ms: number) => new Float64Array(64).fill(ms);
  const none = new Float32Array(1);
  const ask = (ms: number) =>
    c.check_plan(curve(30), curve(ms), 1, MOST | 0, none, none, each, new Float64Array(2));
  expect(ask(3)).toBeGreaterThan(2);
  expect(ask(15)).toBeGreaterThan(0);
  expect(ask(30)).toBe(0);
});
