/**
 * The tokens of a simulated answer that keeps to a grammar: like `drawnToken` a pure function, of
 * (seed, choice, index, mask) and of how many tokens the answer may have.
 *
 * Left to chance, an answer would not end: of the tokens that may come in a string nearly all go
 * on with it. So the draw closes what is open, with a probability that grows with the index: by an
 * end token, else a closing bracket, else a quotation mark, else what separates. The lengths of
 * simulated answers say nothing about those of models.
 */
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { type Draw, drawHash } from "./drawn-token.ts";

/** Tokens that close something, first those that close most. */
export type Closers = {
  readonly ends: readonly number[];
  /** Where nothing but structure may come. */
  readonly tiers: readonly (readonly number[])[];
  /** Where any text may come, as inside a string. */
  readonly in_text: readonly (readonly number[])[];
  /** Where all of these may come, any text may. */
  readonly letters: readonly number[];
};

const TIERS = [
  ["}", "]", ")", ">"],
  ['"', "'"],
  [",", ":"],
] as const;
const IN_TEXT = [['"'], ["</"]] as const;
const LETTERS = ["q", "z", "X"] as const;
/** Closing is drawn at 10 % first and at nearly all times behind so many tokens. */
const LONG = 64;
const LEAST = 0.1;
const MOST = 0.97;

export function closersOf(tokenizer: Tokenizer): Closers {
  const decoder = new TextDecoder();
  const tokenOf = (text: string) => {
    const tokens = tokenizer.encode(`x${text}`, { add_special: false, parse_special: false });
    const last = tokens.at(-1);
    if (last === undefined || decoder.decode(tokenizer.tokenBytes(last)) !== text) return [];
    return [last];
  };
  return {
    ends: tokenizer.special.eog,
    tiers: TIERS.map((texts) => texts.flatMap(tokenOf)),
    in_text: IN_TEXT.map((texts) => texts.flatMap(tokenOf)),
    letters: LETTERS.flatMap(tokenOf),
  };
}

export type ConstrainedDraw = {
  readonly draw: Draw;
  readonly index: number;
  /** Tokens that the whole answer may have. */
  readonly total: number;
  /** Not drawn unless nothing else may come. */
  readonly held_back: ReadonlySet<number> | undefined;
  readonly mask: Uint32Array;
};

/** undefined: no token may come. `text_words` are the bits of tokens that read as text. */
export function constrainedToken(
  { draw, index, total, held_back, mask }: ConstrainedDraw,
  { ends, tiers, in_text, letters }: Closers,
  text_words: Uint32Array,
): number | undefined {
  const allowed = (token: number) => ((mask[token >>> 5]! >>> (token & 31)) & 1) === 1;
  const may = (token: number) => allowed(token) && held_back?.has(token) !== true;
  const closing = Math.min(MOST, LEAST + Math.max(index / LONG, (1.5 * index) / total));
  const hash = drawHash(draw, index);
  if (drawHash(draw, ~index) / 2 ** 32 < closing) {
    for (const tier of [ends, ...(letters.every(allowed) ? in_text : tiers)]) {
      const closers = tier.filter(may);
      if (closers.length > 0) return closers[hash % closers.length];
    }
  }
  const found =
    drawnBit(mask, text_words, hash, held_back) ?? drawnBit(mask, undefined, hash, held_back);
  return found ?? drawnBit(mask, undefined, hash, undefined);
}

/** One of the bits that both have, but not a held one; undefined: there is none. */
function drawnBit(
  mask: Uint32Array,
  among: Uint32Array | undefined,
  hash: number,
  held_back: ReadonlySet<number> | undefined,
): number | undefined {
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += ones(mask[i]! & (among?.[i] ?? -1));
  let skip = count === 0 ? 0 : hash % count;
  for (let round = 0; count > 0 && round < 2; round++) {
    for (let i = 0; i < mask.length; i++) {
      let word = mask[i]! & (among?.[i] ?? -1);
      const here = ones(word);
      if (skip >= here) {
        skip -= here;
        continue;
      }
      for (; word !== 0; word &= word - 1) {
        const token = i * 32 + 31 - Math.clz32(word & -word);
        if (skip > 0) skip--;
        else if (held_back?.has(token) !== true) return token;
      }
    }
    skip = 0; // from the first one on
  }
  return undefined;
}

function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bits of these tokens. */
export function wordsOf(tokens: Uint32Array | undefined, vocab_size: number): Uint32Array {
  const words = new Uint32Array(Math.ceil(vocab_size / 32));
  if (tokens === undefined) return words.fill(0xffffffff);
  for (const token of tokens) words[token >>> 5]! |= 1 << (token & 31);
  return words;
}
