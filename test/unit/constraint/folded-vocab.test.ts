/** Grammars over the folded vocabulary allow the very tokens that they allow over the whole one. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { foldedTexts, tellsCharsApart } from "../../../actors/engine/grammar/folded-vocab.ts";
import { GrammarSet } from "../../../actors/engine/grammar/grammar-set.ts";
import { type GrammarVocab, inAlphabet } from "../../../actors/engine/grammar/grammar-vocab.ts";
import type { Lane } from "../../../actors/engine/grammar/lane.ts";
import { constraintText, type JsonSchema } from "../../../llm/constraint/constraint.ts";
import { structuralTag } from "../../../llm/constraint/structural-tag.ts";

const pieces = ["é", "ß", "中", "文", "\u00a0", "\u2028", "😀", "🚀", "中文", "日本", "é中"];
const around = ["", "a", '"', " ", "\\", "\n", ","];
const mixed = pieces.flatMap((piece) => around.flatMap((one) => [one + piece, piece + one]));
const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const words = ['":', '{"', '"}', "name", "tag", "true", "null", "\n", "\t", "\u0001"];
const bytes = Array.from({ length: 128 }, (_, i) => String.fromCharCode(0x80 + i));
/** A character a byte, as the alphabet has those from 0xa1 on. */
const partial = bytes.slice(0x21).filter((char) => char !== "\u00ad");
const control = "<end>";
const texts = [
  "",
  ...new Set([...ascii, ...words, ...mixed, ...pieces].map(inAlphabet)),
  ...partial,
  control,
];
const vocab: GrammarVocab = { texts, ends: [0], control: [texts.length - 1] };

test("tokens that differ beyond ASCII alone have one text", () => {
  const folded = foldedTexts(vocab);
  const textOf = (text: string) => folded[texts.indexOf(inAlphabet(text))];
  expect(textOf("ß")).toBe(inAlphabet("é"));
  expect(textOf('"文')).toBe(textOf('"中'));
  expect(textOf('中"')).not.toBe(textOf('"中'));
  expect(textOf("a")).toBe("a");
  // Parts of characters stay what they are.
  for (const part of partial) expect(folded[texts.lastIndexOf(part)]).toBe(part);
});

test.each([
  ['root ::= "a"', false],
  ['root ::= [^\\u0000-\\u001f\\u0022\\u005c\\u007f]* "\\\\u" [0-9]', false],
  ['root ::= "é"', true],
  ['root ::= "\\u00e9"', true],
  ["root ::= [a-\\uffff]", true],
  ["root ::= [\\x80-\\xff]", true],
  ['root ::= "\\\\u00e9"', false],
])("%p tells characters apart: %p", (grammar, apart) => {
  const text = JSON.stringify({ format: { type: "grammar", grammar } });
  expect(tellsCharsApart(text)).toBe(apart);
});

const schemas: readonly JsonSchema[] = [
  { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  { type: "array", items: { type: "string", maxLength: 3 } },
  { type: "string", pattern: "^a.b?[^c]$" },
  { type: "string", minLength: 2, maxLength: 4 },
  { enum: ["a", "tag", 1, null] },
  {},
];

test("masks are those of the whole vocabulary, wherever an answer goes", async () => {
  const set = await GrammarSet.open(vocab);
  for (const json_schema of schemas) {
    const tag = structuralTag({ format: { type: "json_schema", json_schema } })!;
    const { grammar } = (JSON.parse(tag.text) as { format: { grammar: string } }).format;
    const folded = await set.compile(
      constraintText({ format: { type: "json_schema", json_schema } }),
    );
    expect(tellsCharsApart(tag.text)).toBe(false);
    // A rule that nothing uses, with a character.
    const format = { type: "grammar", grammar: `${grammar}\nunused ::= "é"\n` } as const;
    const { grammar: matched } = await set.compile(constraintText({ format }));
    const whole = { ...folded, grammar: matched };
    const walk = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
    const property = fc.asyncProperty(walk, async (choices) => {
      const [a, b] = [await set.lane(folded), await set.lane(whole)];
      try {
        for (const choice of choices) {
          const allowed = tokensOf(a, set.words);
          expect(allowed).toEqual(tokensOf(b, set.words));
          const most = allowed.filter((token) => token !== 0);
          if (most.length === 0) return;
          const token = most[choice % most.length]!;
          a.push(token);
          b.push(token);
        }
      } finally {
        a.close();
        b.close();
      }
    });
    await fc.assert(property, { numRuns: 40 });
  }
});

function tokensOf(lane: Lane, length: number): number[] {
  const mask = new Uint32Array(length);
  if (!lane.mask(mask)) return [-1];
  return texts.flatMap((_, token) => ((mask[token >>> 5]! >>> (token & 31)) & 1 ? [token] : []));
}
