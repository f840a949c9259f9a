import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  Detokenizer,
  detokenize,
  incompleteTail,
  tokenText,
} from "../../../llm/tokens/detokenizer.ts";
import { createTokenizer } from "../../../llm/tokens/vocab-tokenizer.ts";
import { HARD_TEXTS, randomText } from "../../support/tokens/hard-texts.ts";
import { sentencePieceFile, TINY_MODEL, vocabOf } from "../../support/tokens/vocabularies.ts";

const bpe = createTokenizer(vocabOf(new Uint8Array(await Bun.file(TINY_MODEL).arrayBuffer())));
const spm = createTokenizer(vocabOf(sentencePieceFile(1000)));
const unprefixed = createTokenizer(
  vocabOf(
    sentencePieceFile(1000, { "tokenizer.ggml.add_space_prefix": { type: "bool", value: false } }),
  ),
);
const PLAIN = { add_special: false, parse_special: false };

test("hard texts come back as they were, cut after every token", () => {
  for (const text of [...HARD_TEXTS, randomText(1, 5_000)]) {
    for (const tokenizer of [bpe, unprefixed]) {
      const tokens = tokenizer.encode(text, PLAIN);
      const detokenizer = new Detokenizer(tokenizer, { show_control: true });
      let out = "";
      for (const token of tokens) {
        const piece = detokenizer.push([token]);
        expect(piece.isWellFormed()).toBe(true);
        out += piece;
      }
      out += detokenizer.flush();
      // SentencePiece spells a space as U+2581, so that character cannot be told from one.
      expect(out).toBe(tokenizer === unprefixed ? text.replaceAll("\u2581", " ") : text);
    }
  }
});

test("a character over several tokens comes out whole, with its last one", () => {
  const tokens = bpe.encode("🦙", PLAIN);
  expect(tokens.length).toBeGreaterThan(1);
  const detokenizer = new Detokenizer(bpe);
  const pieces = Array.from(tokens, (token) => detokenizer.push([token]));
  expect(pieces.slice(0, -1).join("")).toBe("");
  expect(pieces.at(-1)).toBe("🦙");
});

test("an answer that ends inside a character ends with U+FFFD", () => {
  const tokens = bpe.encode("ab🦙", PLAIN).slice(0, -1);
  const detokenizer = new Detokenizer(bpe);
  expect(detokenizer.push(tokens)).toBe("ab");
  expect(detokenizer.flush()).toBe("\ufffd");
  expect(detokenizer.flush()).toBe("");
});

test("control tokens are left out, or shown when asked for", () => {
  const options = { add_special: false, parse_special: true };
  const tokens = bpe.encode("<|im_start|>user\nhi<|im_end|>", options);
  expect(detokenize(bpe, tokens)).toBe("user\nhi");
  const shown = detokenize(bpe, tokens, { show_control: true });
  expect(shown).toBe("<|im_start|>user\nhi<|im_end|>");
});

test("the space before the first word goes only at the start of a text", () => {
  const tokens = spm.encode("hello world", PLAIN);
  expect(detokenize(spm, tokens, { at_text_start: true })).toBe("hello world");
  expect(detokenize(spm, tokens)).toBe(" hello world");
});

test("bytes outside any character become U+FFFD, and text goes on behind them", () => {
  const byte = (value: number): number => 3 + value; // the byte tokens of the test vocabulary
  const bytes = [0x61, 0xf0, 0x9f, 0x62, 0xff, 0xc3, 0xa4, 0xe2, 0x82];
  const expected = new TextDecoder().decode(Uint8Array.from(bytes));
  expect(detokenize(spm, bytes.map(byte))).toBe(expected);
});

test("any bytes in any cutting give the text of all bytes at once", () => {
  const property = fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    const expected = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    expect(
      detokenize(
        spm,
        Array.from(bytes, (value) => 3 + value),
      ),
    ).toBe(expected);
  });
  fc.assert(property, { numRuns: 3000 });
});

test("what can still become a character is held back, nothing else", () => {
  expect(incompleteTail(Uint8Array.of(0x61))).toBe(0);
  expect(incompleteTail(Uint8Array.of(0xc3))).toBe(1);
  expect(incompleteTail(Uint8Array.of(0xc3, 0xa4))).toBe(0);
  expect(incompleteTail(Uint8Array.of(0xf0, 0x9f, 0xa6))).toBe(3);
  expect(incompleteTail(Uint8Array.of(0xe0, 0x80))).toBe(0); // overlong
  expect(incompleteTail(Uint8Array.of(0xed, 0xa0))).toBe(0); // a surrogate
  expect(incompleteTail(Uint8Array.of(0xf4, 0x90))).toBe(0); // beyond U+10FFFF
  expect(incompleteTail(Uint8Array.of(0x80))).toBe(0);
});

test("a token by itself has its exact bytes", () => {
  const token = bpe.encode("🦙", PLAIN)[0]!;
  const { text, bytes } = tokenText(bpe, token);
  expect(bytes).toEqual(Array.from(bpe.tokenBytes(token)));
  expect(text).toContain("\ufffd");
  expect(tokenText(bpe, 1e9)).toEqual({ text: "", bytes: [] });
});

test("what a tokenizer says as text at once is what its bytes say, for every token", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let said = 0;
  for (let token = 0; token < bpe.vocab_size; token++) {
    const text = bpe.asciiText(token);
    if (text === undefined) continue;
    said++;
    if (text !== decoder.decode(bpe.tokenBytes(token))) expect(text).toBe(`token ${token}`);
    if (bpe.isControl(token)) expect(text).toBe("nothing, as it is a control token");
  }
  expect(said).toBeGreaterThan(bpe.vocab_size / 2);
  expect(bpe.asciiText(bpe.vocab_size)).toBeUndefined();
  expect(bpe.asciiText(-1)).toBeUndefined();
});
