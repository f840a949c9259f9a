/**
 * Tokenizers of folders against Hugging Face's `tokenizers`: its ids and texts are kept as numbers
 * in test/support/tokens/huggingface-references.json, which says how they came about.
 */
import { expect, test } from "bun:test";
import {
  digestOf,
  digestsOf,
  ourAnswers,
  pathIn,
  readReferences,
  referenceTexts,
  SMALL_TEXTS,
  VOCABULARIES,
  VOCABULARY_TEXTS,
} from "../../support/tokens/huggingface-references.ts";
import { SMALL_VOCABULARIES } from "../../support/tokens/small-vocabularies.ts";

const references = await readReferences();

test("there is a reference for each small vocabulary", () => {
  expect(Object.keys(references.small)).toEqual(Object.keys(SMALL_VOCABULARIES));
});

for (const [name, make] of Object.entries(SMALL_VOCABULARIES)) {
  test(`${name}: ids and texts are those of Hugging Face's tokenizers`, () => {
    const file = make();
    const texts = referenceTexts(file, SMALL_TEXTS);
    const answers = ourAnswers(new TextEncoder().encode(JSON.stringify(file)), texts);
    const expected = references.small[name]!.split(" ");
    const wrong = texts.filter((_, i) => digestOf(answers[i]!) !== expected[i]);
    expect(wrong).toEqual([]);
  });
}

/**
 * Where the packages of all whole vocabularies are, 216 MB that the gate does not fetch:
 * `bun test/support/tokens/huggingface-references.ts fetch FOLDER`, then TROUPE_VOCABULARIES=FOLDER.
 */
const folder = process.env["TROUPE_VOCABULARIES"];

for (const name of folder === undefined ? [] : VOCABULARIES) {
  test(`${name}, whole: ids and texts are those of Hugging Face's tokenizers`, async () => {
    const bytes = await Bun.file(pathIn(folder!, name)).bytes();
    const file: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const answers = ourAnswers(bytes, referenceTexts(file, VOCABULARY_TEXTS));
    expect(digestsOf(answers)).toBe(references.vocabularies[name]!);
  }, 60_000);
}
