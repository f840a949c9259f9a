/** native/drafts/recent.c: what is guessed from an engine's last answers, beside a plain search. */
import { cc } from "bun:ffi";
import { afterAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";

const { symbols: c } = cc({
  source: join(import.meta.dir, "../../support/engine/recent-checks.c"),
  symbols: {
    check_begin: { args: [], returns: "i32" },
    check_end: { args: [], returns: "void" },
    check_forget: { args: [], returns: "void" },
    check_add: { args: ["ptr", "ptr", "i32", "i32"], returns: "void" },
    check_find: { args: ["ptr", "ptr", "i32", "ptr", "i32", "ptr"], returns: "i32" },
  },
});

/** As recent.c has them. */
const RING = 65_536;
const LONGEST = 8;
const LEAST = 3;

beforeEach(() => expect(c.check_begin()).toBe(1));
afterAll(() => c.check_end());

type Said = { readonly scope: number; readonly prompt: number[]; readonly answer: number[] };

function add({ scope, prompt, answer }: Said): void {
  const tokens = Int32Array.from([...prompt, ...answer]);
  c.check_add(BigUint64Array.of(BigInt(scope)), tokens, tokens.length | 0, prompt.length | 0);
}

function find(scope: number, known: readonly number[], most = 15) {
  const to = new Int32Array(most);
  const length = new Int32Array(1);
  const of = BigUint64Array.of(BigInt(scope));
  const tokens = Int32Array.from(known);
  const n = c.check_find(of, tokens, tokens.length | 0, to, most | 0, length);
  return { tokens: [...to.subarray(0, n)], match: length[0]! };
}

/** Texts without any repetition: token i of text `number`. */
const unique = (number: number, from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => number * 10_000 + from + i);

test("the answer to the same prompt is found from its first token to its last", () => {
  const [prompt, answer] = [unique(1, 0, 20), unique(1, 20, 60)];
  add({ scope: 7, prompt, answer });
  for (let made = 0; made < answer.length; made++) {
    const { tokens, match } = find(7, [...prompt, ...answer.slice(0, made)]);
    expect(tokens).toEqual(answer.slice(made, made + 15));
    expect(match).toBe(LONGEST);
  }
  expect(find(7, [...prompt, ...answer]).tokens).toEqual([]);
  expect(find(7, prompt.slice(0, 10)).tokens).toEqual([]);
});

test("another scope finds nothing, whatever it asks", () => {
  const said = { prompt: unique(1, 0, 20), answer: unique(1, 20, 60) };
  add({ scope: 7, ...said });
  for (let made = 0; made < 40; made++) {
    const known = [...said.prompt, ...said.answer.slice(0, made)];
    for (const scope of [0, 6, 8]) expect(find(scope, known).tokens).toEqual([]);
  }
});

test("what is cleared is not found", () => {
  add({ scope: 0, prompt: unique(1, 0, 9), answer: unique(1, 9, 30) });
  c.check_forget();
  expect(find(0, unique(1, 0, 9)).tokens).toEqual([]);
  add({ scope: 0, prompt: unique(2, 0, 9), answer: unique(2, 9, 30) });
  expect(find(0, unique(2, 0, 9)).tokens).toEqual(unique(2, 9, 24));
});

test("the ring is bounded: the latest answers are found, older ones are not", () => {
  const answers = Array.from({ length: 400 }, (_, i) => ({
    scope: i % 3,
    prompt: unique(i, 0, 12),
    answer: unique(i, 12, 512),
  }));
  for (const each of answers) add(each);
  let found = 0;
  for (const [i, { scope, prompt, answer }] of answers.entries()) {
    const { tokens } = find(scope, [...prompt, ...answer.slice(0, 200)]);
    if (tokens.length === 0) continue;
    found++;
    expect(tokens).toEqual(answer.slice(200, 215));
    expect((answers.length - i - 1) * 509).toBeLessThan(RING);
  }
  // Places that fall on one another cost some.
  expect(found).toBeGreaterThan(100);
});

test("of an answer that is longer than its share the beginning is kept", () => {
  add({ scope: 0, prompt: unique(0, 0, 5), answer: unique(1, 0, 9_999) });
  expect(find(0, unique(1, 0, 8_000)).tokens).toEqual(unique(1, 8_000, 8_015));
  expect(find(0, unique(1, 0, 9_000)).tokens).toEqual([]);
});

test("what is found was said, in the same scope, behind the same tokens", () => {
  let [stood, found] = [0, 0];
  const text = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 0, maxLength: 60 });
  const said = fc.record({ scope: fc.integer({ min: 0, max: 2 }), prompt: text, answer: text });
  const property = fc.property(
    fc.array(said, { minLength: 1, maxLength: 30 }),
    fc.integer({ min: 0, max: 2 }),
    fc.array(text, { minLength: 10, maxLength: 10 }),
    (all, scope, asked) => {
      c.check_begin();
      for (const each of all) add(each);
      const own = all.filter((each) => each.scope === scope);
      for (const known of asked) {
        const { tokens, match } = find(scope, known);
        const there = own.some(({ prompt, answer }) => stands([prompt, answer], known, LEAST));
        if (there) stood++;
        if (tokens.length === 0) {
          expect(match).toBe(0);
          continue;
        }
        found++;
        const run = [...known.slice(-match), ...tokens];
        expect(own.some(({ prompt, answer }) => holds([prompt, answer], run, match))).toBe(true);
      }
    },
  );
  fc.assert(property, { numRuns: 300 });
  // Places that fall on one another cost some.
  expect(found).toBeGreaterThan(0.95 * stood);
});

type Text = readonly [prompt: readonly number[], answer: readonly number[]];

/** `run` stands in the text so that what follows its first `match` tokens is answer. */
function holds([prompt, answer]: Text, run: readonly number[], match: number): boolean {
  const text = [...prompt, ...answer];
  for (let at = 0; at + run.length <= text.length; at++) {
    if (at + match < prompt.length) continue;
    if (run.every((token, i) => text[at + i] === token)) return true;
  }
  return false;
}

/** The last `least` known tokens stand before a token of the answer. */
function stands([prompt, answer]: Text, known: readonly number[], least: number): boolean {
  const text = [...prompt, ...answer];
  const end = known.slice(-least);
  if (end.length < least) return false;
  for (let at = Math.max(prompt.length, least); at < text.length; at++) {
    if (end.every((token, i) => text[at - least + i] === token)) return true;
  }
  return false;
}
