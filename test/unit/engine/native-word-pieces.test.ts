/** WordPiece vocabularies of GGUFs: our tokens are llama.cpp's, token for token. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type LlamaEngine, openLlama } from "../../../actors/engine/llama/llama.ts";
import { modelFactsFromGguf, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import { detokenize } from "../../../llm/tokens/detokenizer.ts";
import { bertGguf } from "../../support/engine/bert-gguf.ts";
import { headerOf } from "../../support/engine/lora-gguf.ts";
import { wordPieceMetadata, wordPieces } from "../../support/engine/word-pieces.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-pieces-"));
const bytes = bertGguf({ pooling: "mean" }, wordPieceMetadata());
const facts = modelFactsFromGguf(headerOf(bytes), "pieces");
const tokenizer = tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob)!);
let engine: LlamaEngine;
beforeAll(async () => {
  const model = join(folder, "pieces.gguf");
  writeFileSync(model, bytes);
  engine = await openLlama({ model, max_num_seqs: 4 });
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

const ours = (text: string) => [
  ...tokenizer.encode(text, { add_special: true, parse_special: false }),
];
const theirs = (text: string) => [...engine.tokenize(text, true, false)];

const TEXTS = [
  "hello world",
  "Hello, WORLD! unplayable cats don't sat(s).",
  "  blanks \t and\nlines  ",
  "中文 and the cat中",
  "éàü Ünplayed naïve",
  "x1y2z3 $5.00 50% a/b a_b-c",
  "я ß ☃ unknown ☃☃",
  "",
  "[CLS] hello [SEP]",
  "a".repeat(90),
];

test.each(TEXTS)("%p", (text) => {
  expect(ours(text)).toEqual(theirs(text));
});

test("any text of the vocabulary's letters, and some beside", () => {
  const unit = fc.constantFrom(..."abcXYZ 019.,!?'é中я☃\t\n", "hello", "Play", "ing", "##");
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), (parts) => {
      const text = parts.join("");
      expect(ours(text)).toEqual(theirs(text));
    }),
    { numRuns: 300 },
  );
});

test("tokens read as text; a text stands between the model's begin and separator", () => {
  expect(facts).toMatchObject({ vocab_size: 512, separates_pairs: false });
  const { bos, eos, sep, unk } = tokenizer.special;
  expect([bos, eos, sep, unk].map((id) => wordPieces[id!])).toEqual([
    ...["[CLS]", "[SEP]", "[SEP]", "[UNK]"],
  ]);
  const ids = tokenizer.encode("hello unplayed cats", { add_special: true, parse_special: false });
  expect([ids[0], ids.at(-1)]).toEqual([bos, eos]);
  expect(detokenize(tokenizer, ids, { at_text_start: true })).toBe("hello unplayed cats");
  const control = tokenizer.encode("[MASK]", { add_special: false, parse_special: true });
  expect([...control]).toEqual([wordPieces.indexOf("[MASK]")]);
});
