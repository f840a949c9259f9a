/** Texts that begin as earlier ones did have the same tokens as if nobody had ever seen them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { BpeEncoder } from "../../../llm/tokens/bpe.ts";
import { PrefixCache } from "../../../llm/tokens/prefix-cache.ts";
import { TextBuffer } from "../../../llm/tokens/text-buffer.ts";
import type { Vocab } from "../../../llm/tokens/vocab/vocab.ts";
import { preTokenizer } from "../../../llm/tokens/words/pre-tokenizers.ts";
import { TokenSink } from "../../../llm/tokens/words/word-cache.ts";
import { WordSplitter } from "../../../llm/tokens/words/word-splitter.ts";
import { HARD_TEXTS, randomText } from "../../support/tokens/hard-texts.ts";
import { TINY_MODEL, vocabOf, withPreTokenizer } from "../../support/tokens/vocabularies.ts";

const tiny = new Uint8Array(await Bun.file(TINY_MODEL).arrayBuffer());
/** No text has a chunk of this size. */
const uncached = { limit_bytes: 0 };

function encode(encoder: BpeEncoder, text: string): number[] {
  const out = new TokenSink();
  encoder.encode(text, out);
  return Array.from(out.tokens.subarray(0, out.count));
}

/** What splitters look ahead for: blanks, breaks, contractions, digits, marks, pairs of units. */
const bricks = [
  ..."aZé漢😀\u0301\u00a0\u2003_-!.'7",
  "'s",
  "'re",
  "'LL",
  "don't",
  "word",
  " ",
  "  ",
  "   ",
  "\n",
  " \n",
  "\n \n ",
  "\r\n",
  "\t",
  "1234",
  " the",
  "ſ",
  "\ud83d",
];
const brickText = fc
  .array(fc.constantFrom(...bricks), { minLength: 0, maxLength: 40 })
  .map((parts) => parts.join(""));

/** As the byte-pair encoder does it, but each word is one token: its own hash. */
function wordTokens(pre: string, chunk: number) {
  const splitter = new WordSplitter(preTokenizer(pre)!.steps);
  expect(splitter.restartable).toBe(true);
  const cache = new PrefixCache({ chunk, limit_bytes: 20_000 });
  const buffer = new TextBuffer();
  return (text: string): number[] => {
    const out = new TokenSink();
    let unit = cache.begin(text, out);
    buffer.fill(text.slice(unit));
    const words = splitter.split(buffer);
    for (let i = 0, point = 0; i < words.count; i++) {
      const points = buffer.points.subarray(point, words.ends[i]);
      point = words.ends[i]!;
      out.push(Bun.hash.xxHash32(points));
      for (const each of points) unit += each > 0xffff ? 2 : 1;
      if (cache.learning) cache.wordEnded(unit, out);
    }
    cache.done(out);
    return Array.from(out.tokens.subarray(0, out.count));
  };
}

const pres = ["gpt-2", "llama-bpe", "qwen2", "qwen35"];

for (const pre of pres) {
  test(`beginnings that are known change neither words nor tokens: ${pre}`, () => {
    const vocab: Vocab = vocabOf(withPreTokenizer(tiny, pre));
    const reference = new BpeEncoder(vocab, uncached);
    const plain = wordTokens(pre, 2 ** 20);
    for (const chunk of [5, 16]) {
      const cached = new BpeEncoder(vocab, { chunk, limit_bytes: 20_000 });
      const words = wordTokens(pre, chunk);
      const same = (text: string) => {
        expect(encode(cached, text)).toEqual(encode(reference, text));
        expect(words(text)).toEqual(plain(text));
      };
      fc.assert(
        fc.property(brickText, fc.nat(8), brickText, fc.nat(60), (first, chunks, other, cut) => {
          // Seen twice, the first text is known; then its beginning goes on in other ways.
          for (const text of [first, first, first.slice(0, chunks * chunk) + other]) same(text);
          same(first.slice(0, cut) + other);
          same(first);
        }),
        { numRuns: 400 },
      );
    }
  }, 10_000);

  test(`breaks, blanks and contractions at the end of what is known: ${pre}`, () => {
    const plain = wordTokens(pre, 2 ** 20);
    for (const start of ["a \n  ", "b'   ", "ab \n ", "a\n\n  ", "abc  ", "ab12 ", "a!\n  "]) {
      const words = wordTokens(pre, 5);
      for (const rest of ["xyz.", "xyz.", "\n", " \ny", "'re", "  z", "34", "\r\n", ""]) {
        expect(words(start + rest)).toEqual(plain(start + rest));
      }
    }
  });
}

test("hard texts behind a beginning that is known", () => {
  const vocab = vocabOf(tiny);
  const reference = new BpeEncoder(vocab, uncached);
  const cached = new BpeEncoder(vocab, { chunk: 32 });
  const start = randomText(7, 300);
  for (let round = 0; round < 3; round++) {
    for (const text of HARD_TEXTS) {
      for (const cut of [0, 31, 32, 33, 300]) {
        const whole = start.slice(0, cut) + text + start;
        expect(encode(cached, whole)).toEqual(encode(reference, whole));
      }
    }
  }
});

test("only what comes again is kept, and never more than the limit", () => {
  const limit_bytes = 40_000;
  const cache = new PrefixCache({ chunk: 16, limit_bytes });
  const learn = (text: string): number => {
    const out = new TokenSink();
    const from = cache.begin(text, out);
    for (let end = from + 1; end <= text.length && cache.learning; end++) {
      out.push(text.charCodeAt(end - 1));
      cache.wordEnded(end, out);
    }
    cache.done(out);
    expect(cache.size_bytes).toBeLessThanOrEqual(limit_bytes);
    return from;
  };
  const text = (name: number) => `text ${name}: `.padEnd(400, `word${name} `);
  expect(learn(text(0))).toBe(0);
  expect(cache.size_bytes).toBe(0);
  expect(learn(text(0))).toBe(0);
  expect(cache.size_bytes).toBeGreaterThan(0);
  expect(learn(text(0))).toBeGreaterThan(380);
  for (let name = 1; name < 60; name++) for (let time = 0; time < 3; time++) learn(text(name));
  expect(learn(text(59))).toBeGreaterThan(380);
  expect(learn(text(0))).toBe(0);
});
