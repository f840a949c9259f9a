/** An answer's grammar looks ahead, at guesses and at what is forced, and is as it was before. */
import { beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Compiled } from "../../../../actors/engine/grammar/compiled.ts";
import { GrammarSet } from "../../../../actors/engine/grammar/grammar-set.ts";
import { encoderOf, grammarVocab } from "../../../../actors/engine/grammar/grammar-vocab.ts";
import type { Lane } from "../../../../actors/engine/grammar/lane.ts";
import { type Constraint, constraintText } from "../../../../llm/constraint/constraint.ts";
import { TEST_MODEL } from "../../../support/engine/engine-model.ts";
import { type GrammarParts, grammarParts, textOf } from "../../../support/engine/grammar-parts.ts";

const pet = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 2, maxLength: 6 },
    kind: { enum: ["cat", "dog"] },
    owner: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] },
  },
  required: ["name", "kind", "owner"],
} as const;
const forms: Readonly<Record<string, Constraint>> = {
  pet: { format: { type: "json_schema", json_schema: pet } },
  pets: { format: { type: "json_schema", json_schema: { type: "array", items: pet } } },
  pattern: { format: { type: "regex", pattern: "id [0-9]{2}, the end" } },
  thought: { format: { type: "const_string", value: "Zürich" }, thinking: { end: "</think>" } },
  brief: { thinking: { end: "</think>", max_tokens: 1 } },
};

let parts: GrammarParts;
let set: GrammarSet;
const compiled = new Map<string, Compiled>();
beforeAll(async () => {
  parts = grammarParts(TEST_MODEL);
  const vocab = grammarVocab(parts.tokenizer, parts.tokenizer.vocab_size);
  set = await GrammarSet.open(vocab, encoderOf(parts.tokenizer, vocab));
  for (const [name, form] of Object.entries(forms)) {
    compiled.set(name, await set.compile(constraintText(form)));
  }
}, 60_000);

const tokensOf = (text: string) => [
  ...parts.tokenizer.encode(text, { add_special: false, parse_special: false }),
];

async function laneBehind(form: string, text: string): Promise<Lane> {
  const lane = await set.lane(compiled.get(form)!);
  for (const token of tokensOf(text)) lane.push(token);
  return lane;
}

function maskOf(lane: Lane): Uint32Array | undefined {
  const words = new Uint32Array(set.words);
  return lane.mask(words) ? words : undefined;
}

test.each([
  ["pet", "", '{"name": "'],
  ["pet", "{", '"name": "'],
  ["pet", "{\n", '  "name": "'],
  ["pet", '{\n    "name": "Tom",', '\n    "kind": "'],
  ["pet", '{"name": "Tom', ""],
  ["pet", '{"name": "Tom", "kind": "c', 'at", "owner": {"age":'],
  ["pet", '{"name": "Tom", "kind": "cat", "owner": {"age": 12', ""],
  ["pet", '{"name": "Tom", "kind": "cat", "owner": {"age": 12}', "}"],
  ["pet", '{"name": "Tom", "kind": "cat", "owner": {"age": 12}}', ""],
  ["pets", "[", ""],
  ["pattern", "id 1", ""],
  ["pattern", "id 12", ", the end"],
  ["thought", "It is far", ""],
  ["thought", "It is far</think>", "Zürich"],
  ["thought", "It is far</think>Z", "ürich"],
  ["brief", "a", "</think>"],
])("%s: behind %j %j is forced", async (form, text, forced) => {
  const lane = await laneBehind(form, text);
  const tokens = lane.forced();
  expect(textOf(parts.tokenizer, tokens)).toBe(forced);
  for (const token of tokens) expect(lane.guess(token)).toBe(true);
  lane.close();
});

const draws = fc.array(fc.nat(), { minLength: 1, maxLength: 24 });

/** One of the tokens that may come, but no end; undefined: there is none. */
function drawn(mask: Uint32Array, by: number): number | undefined {
  const allowed: number[] = [];
  for (let token = 0; token < set.vocab.texts.length; token++) {
    if ((mask[token >>> 5]! >>> (token & 31)) & 1) allowed.push(token);
  }
  const goesOn = allowed.filter((token) => !set.vocab.ends.includes(token));
  return goesOn.length === 0 ? undefined : goesOn[by % goesOn.length];
}

test("guesses leave nothing behind, and their masks are those of an answer with them", async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...Object.keys(forms)),
    draws,
    draws,
    async (form, come, guessed) => {
      const [lane, other] = [await laneBehind(form, ""), await laneBehind(form, "")];
      const pushed: number[] = [];
      for (const by of come) {
        const mask = maskOf(lane)!;
        const behind = await laneBehind(form, "");
        for (const token of pushed) behind.push(token);
        let guess: Uint32Array | undefined = mask;
        for (const draw of guessed.slice(0, 4)) {
          const token = guess && drawn(guess, draw);
          if (token === undefined) break;
          expect(lane.guess(token)).toBe(true);
          behind.push(token);
          guess = maskOf(lane);
          expect(guess).toEqual(maskOf(behind)!);
        }
        behind.close();
        if (by % 2 === 0) lane.back();
        if (by % 3 === 0) lane.forced();
        const token = drawn(mask, by);
        if (token === undefined) break;
        lane.push(token);
        other.push(token);
        pushed.push(token);
        expect(lane.count).toBe(other.count);
        expect(maskOf(lane)).toEqual(maskOf(other)!);
      }
      lane.close();
      other.close();
    },
  );
  await fc.assert(property, { numRuns: 60 });
}, 60_000);

test("a guess that the grammar forbids is not taken, nor is an end", async () => {
  const lane = await laneBehind("pet", "{");
  const before = maskOf(lane)!;
  expect(lane.guess(tokensOf("[")[0]!)).toBe(false);
  expect(lane.guess(set.vocab.ends[0]!)).toBe(false);
  expect(maskOf(lane)).toEqual(before);
  lane.close();
});
