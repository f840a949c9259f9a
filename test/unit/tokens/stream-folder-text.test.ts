/** Answers in the tokens of a folder: what is streamed is what all tokens at once stand for. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { finishText, newChoiceText, pushToken } from "../../../actors/stream/choice-text.ts";
import type { AnswerPiece } from "../../../actors/stream/stream.ts";
import { modelFactsFromFolder, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import { detokenize } from "../../../llm/tokens/detokenizer.ts";
import { SMALL_VOCABULARIES } from "../../support/tokens/small-vocabularies.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const tokenizerOf = (name: string) => {
  const tokenizer_json = new TextEncoder().encode(JSON.stringify(SMALL_VOCABULARIES[name]!()));
  const facts = modelFactsFromFolder({ tokenizer_json }, "m");
  return tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob)!);
};

for (const name of ["qwen2", "gemma", "llama2", "metaspace", "wordpiece", "wordlevel", "unigram"]) {
  const tokenizer = tokenizerOf(name);

  test(`${name}: pieces carry all tokens and all text, cut anywhere`, () => {
    const rows = fc.integer({ min: 3, max: 258 }); // tokens for bytes, where there are some
    const token = fc.oneof(rows, fc.nat({ max: tokenizer.vocab_size - 1 }));
    const property = fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
      const state = newChoiceText(0, answerRequest("r"), tokenizer);
      const pieces: AnswerPiece[] = [];
      for (const one of tokens) {
        const { piece } = pushToken(state, one, undefined);
        if (piece !== undefined) pieces.push(piece);
      }
      const { piece } = finishText(state);
      if (piece !== undefined) pieces.push(piece);
      expect(pieces.flatMap((each) => [...each.tokens])).toEqual(tokens);
      expect(pieces.map((each) => each.text).join("")).toBe(detokenize(tokenizer, tokens));
    });
    fc.assert(property, { numRuns: 150 });
  });
}

test("a row of byte tokens is shown when it has ended, as one text or not at all", () => {
  const tokenizer = tokenizerOf("gemma");
  const byte = (value: number): number => 3 + value;
  const letter = tokenizer.encode("a", { add_special: false, parse_special: true })[0]!;
  const state = newChoiceText(0, answerRequest("r"), tokenizer);
  const texts = [byte(0xc3), byte(0xa9), letter, byte(0x41), byte(0xff), letter].map(
    (token) => pushToken(state, token, undefined).piece?.text,
  );
  expect(texts).toEqual([undefined, undefined, "éa", undefined, undefined, "\ufffd\ufffda"]);
});
