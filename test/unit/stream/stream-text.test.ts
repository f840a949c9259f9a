import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ChoiceText,
  finishText,
  newChoiceText,
  pushToken,
} from "../../../actors/stream/choice-text.ts";
import type { AnswerPiece, AnswerRequest } from "../../../actors/stream/stream.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { byteTokenizer, END_TOKEN } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

/** Tokens 300 and up stand for whole words; some end or begin inside a character. */
const longer: readonly Uint8Array[] = [
  new TextEncoder().encode("tree"),
  new TextEncoder().encode(" é"),
  Uint8Array.of(0xe6, 0xbc), // the beginning of 漢
  Uint8Array.of(0xa2, 0x61), // its end, and an a
  Uint8Array.of(0x20, 0xf0, 0x9f), // a space and half of 🌳
  Uint8Array.of(0x8c, 0xb3),
  new Uint8Array(0),
];
const wordTokenizer: Tokenizer = {
  ...byteTokenizer,
  vocab_size: 300 + longer.length,
  tokenBytes: (token) => longer[token - 300] ?? byteTokenizer.tokenBytes(token),
};

const anyToken = fc.oneof(
  fc.integer({ min: 97, max: 101 }),
  fc.integer({ min: 0, max: 255 }),
  fc.integer({ min: 300, max: 300 + longer.length - 1 }),
  fc.constant(END_TOKEN),
);
const anyStop = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }),
  fc.constantFrom("tree", "é", "漢a", " 🌳", "eetr"),
);

type Run = { pieces: AnswerPiece[]; stopped: string | undefined; pushed: number };

function run(state: ChoiceText, tokens: readonly number[], logprobs = false): Run {
  const out: Run = { pieces: [], stopped: undefined, pushed: 0 };
  const take = (news: { piece?: AnswerPiece; stopped?: string }) => {
    if (news.piece !== undefined) out.pieces.push(news.piece);
    out.stopped = news.stopped;
  };
  for (const token of tokens) {
    const of = { logprob: -token, top_tokens: [token, 97], top_logprobs: [-1, -2] };
    out.pushed++;
    take(pushToken(state, token, logprobs ? of : undefined));
    if (out.stopped !== undefined) return out;
  }
  take(finishText(state));
  return out;
}

function wholeText(tokens: readonly number[]): string {
  const bytes = tokens
    .filter((token) => token !== END_TOKEN)
    .flatMap((token) => [...wordTokenizer.tokenBytes(token)]);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

function textOf(request: Partial<AnswerRequest>): ChoiceText {
  return newChoiceText(0, answerRequest("r", request), wordTokenizer);
}

const joined = (pieces: readonly AnswerPiece[]) => pieces.map((piece) => piece.text).join("");

test("without stop strings the pieces are the whole text and all tokens, in order", () => {
  fc.assert(
    fc.property(fc.array(anyToken, { maxLength: 40 }), (tokens) => {
      const { pieces, stopped } = run(textOf({}), tokens);
      expect(stopped).toBeUndefined();
      expect(joined(pieces)).toBe(wholeText(tokens));
      expect(pieces.flatMap((piece) => [...piece.tokens])).toEqual(tokens);
      let delivered = 0;
      for (const piece of pieces) {
        delivered += piece.tokens.length;
        expect(piece.delivered).toBe(delivered);
      }
    }),
  );
});

test("what pieces have said so far is the text of exactly their tokens", () => {
  const anyTokens = fc.array(anyToken, { maxLength: 30 });
  fc.assert(
    fc.property(anyTokens, fc.array(anyStop, { maxLength: 3 }), (tokens, stop_strings) => {
      const { pieces, stopped } = run(textOf({ stop_strings }), tokens);
      const sure = stopped === undefined ? pieces : pieces.slice(0, -1);
      let text = "";
      let taken = 0;
      for (const piece of sure) {
        text += piece.text;
        taken += piece.tokens.length;
        if (taken < tokens.length) expect(wholeText(tokens).startsWith(text)).toBe(true);
        expect(wholeText(tokens.slice(0, taken))).toBe(text);
      }
    }),
  );
});

test("a stop string ends the text before it, wherever tokens cut it", () => {
  const anyTokens = fc.array(anyToken, { maxLength: 30 });
  const anyStops = fc.array(anyStop, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(anyTokens, anyStops, fc.boolean(), (tokens, stop_strings, include_stop) => {
      const { pieces, stopped, pushed } = run(textOf({ stop_strings, include_stop }), tokens);
      const text = joined(pieces);
      const whole = wholeText(tokens.slice(0, pushed));
      if (stopped === undefined) {
        expect(stop_strings.some((stop) => whole.includes(stop))).toBe(false);
        expect(text).toBe(whole);
        return;
      }
      expect(stop_strings).toContain(stopped);
      const before = include_stop ? text.slice(0, text.length - stopped.length) : text;
      expect(whole.startsWith(before + stopped)).toBe(true);
      if (include_stop) expect(text.endsWith(stopped)).toBe(true);
      else expect(stop_strings.some((stop) => text.includes(stop))).toBe(false);
    }),
  );
});

test("text is never cut inside a character", () => {
  const characters = fc.string({ unit: "grapheme", maxLength: 20 });
  fc.assert(
    fc.property(characters, (text) => {
      const tokens = [...new TextEncoder().encode(text)];
      const { pieces } = run(textOf({}), tokens);
      for (const piece of pieces) expect(piece.text).toBe(piece.text.toWellFormed());
      // No more of them than the text has by itself.
      const strange = (part: string) => part.split("\ufffd").length - 1;
      expect(pieces.reduce((sum, piece) => sum + strange(piece.text), 0)).toBe(strange(text));
      expect(joined(pieces)).toBe(text);
    }),
  );
});

test("each token travels with its log probability and bytes", () => {
  const state = textOf({ logprobs: 2 });
  const { pieces } = run(state, [302, 303, 98], true);
  expect(pieces.map((piece) => piece.text)).toEqual(["漢a", "b"]);
  const [first] = pieces;
  expect(first?.logprobs).toEqual([
    {
      token: "\ufffd",
      bytes: [0xe6, 0xbc],
      logprob: -302,
      top: [
        { token: "\ufffd", bytes: [0xe6, 0xbc], logprob: -1 },
        { token: "a", bytes: [97], logprob: -2 },
      ],
    },
    {
      token: "\ufffda",
      bytes: [0xa2, 0x61],
      logprob: -303,
      top: [
        { token: "\ufffda", bytes: [0xa2, 0x61], logprob: -1 },
        { token: "a", bytes: [97], logprob: -2 },
      ],
    },
  ]);
});

test("tokens that lie in a dropped stop string are not delivered", () => {
  const { pieces, stopped, pushed } = run(
    textOf({ stop_strings: ["cde"] }),
    [97, 98, 99, 100, 101, 102],
  );
  expect(stopped).toBe("cde");
  expect(pushed).toBe(5);
  expect(pieces.map(({ text, tokens }) => ({ text, tokens }))).toEqual([
    { text: "a", tokens: [97] },
    { text: "b", tokens: [98] },
  ]);
});
