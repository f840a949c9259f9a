/**
 * The strings of one answer whose lengths are counted beside its matcher. The matcher says by marks
 * which limits hold where the answer is (llm/constraint/schema/counted.ts); here are the characters
 * since the quotation mark before, and which tokens would make them too many or too few.
 */
import type { GrammarMatcher } from "@mlc-ai/web-xgrammar";
import type { StringLimit } from "../../../llm/constraint/schema/counted.ts";
import type { LaneParts } from "./compiled.ts";
import { bytesOfAlphabet } from "./grammar-vocab.ts";
import { lastBetween, type Opening, scan } from "./token-chars.ts";

/** What the strings of an answer were, for going back to. */
export type CountedState = {
  readonly chars: number;
  readonly escaping: boolean;
  readonly missing: number;
  readonly within: readonly StringLimit[];
};

export class CountedStrings {
  readonly #set: LaneParts;
  readonly #matcher: GrammarMatcher;
  readonly #limits: readonly StringLimit[];
  /** What may open a string of a limit and break it in one token, by `#escaping`. */
  readonly #openings = new Map<boolean, readonly Opening[]>();
  #chars = 0;
  #escaping = false;
  /** Bytes of a character that are still to come. */
  #missing = 0;
  #within: readonly StringLimit[] = [];

  constructor(set: LaneParts, matcher: GrammarMatcher, limits: readonly StringLimit[]) {
    this.#set = set;
    this.#matcher = matcher;
    this.#limits = limits;
  }

  get state(): CountedState {
    return {
      chars: this.#chars,
      escaping: this.#escaping,
      missing: this.#missing,
      within: this.#within,
    };
  }

  set state({ chars, escaping, missing, within }: CountedState) {
    this.#chars = chars;
    this.#escaping = escaping;
    this.#missing = missing;
    this.#within = within;
  }

  /** @param text of a token that the matcher takes next, in the byte alphabet */
  push(text: string): void {
    const { between, missing } = lastBetween(text, this.#escaping, this.#missing);
    this.#missing = missing;
    // Marks stand between characters alone.
    const isBetween = between === text.length;
    if (!isBetween && between >= 0) this.#within = this.#behind(text.slice(0, between));
    for (let at = 0; at < text.length; ) {
      const seen = scan(text, at, this.#escaping);
      this.#chars = seen.closed ? 0 : this.#chars + seen.chars;
      this.#escaping = seen.escaping;
      at = seen.at + 1;
    }
  }

  /** @param words a mask as the library made it, which has the marks */
  within(words: Uint32Array): void {
    if (!this.#escaping && this.#missing === 0) this.#within = this.#marked(words);
  }

  /** Takes the tokens out of `to` that break a limit. */
  hold(to: Uint32Array): void {
    const { chars } = this.#set;
    for (const { min, max } of this.#within) {
      const long =
        max === undefined
          ? undefined
          : chars.tooLong(Math.max(0, max - this.#chars), this.#escaping);
      if (long !== undefined) takeOut(to, long);
      const missing = min - this.#chars;
      if (missing > 0) takeOut(to, chars.tooEarly(missing, this.#escaping));
    }
    this.#holdOpenings(to);
  }

  #holdOpenings(to: Uint32Array): void {
    const known = new Map<string, readonly StringLimit[]>();
    for (const opening of this.#dangerous()) {
      const { token, before } = opening;
      const bit = 1 << (token & 31);
      if ((to[token >>> 5]! & bit) === 0) continue;
      const limits = known.get(before) ?? this.#behind(before);
      known.set(before, limits);
      if (limits.some((limit) => breaks(opening, limit))) to[token >>> 5]! &= ~bit;
    }
  }

  #dangerous(): readonly Opening[] {
    const known = this.#openings.get(this.#escaping);
    if (known !== undefined) return known;
    const openings = this.#set.chars
      .openings(this.#escaping)
      .filter((opening) => this.#limits.some((limit) => breaks(opening, limit)));
    this.#openings.set(this.#escaping, openings);
    return openings;
  }

  /** The limits that hold if `text` comes next. */
  #behind(text: string): readonly StringLimit[] {
    const { xgrammar, size } = this.#set;
    let limits: readonly StringLimit[] = [];
    const take = (words: Uint32Array) => {
      limits = this.#marked(words);
    };
    if (text === "") xgrammar.mask(this.#matcher, size, take);
    else xgrammar.maskBehind(this.#matcher, bytesOfAlphabet(text), size, take);
    return limits;
  }

  #marked(words: Uint32Array): readonly StringLimit[] {
    const first = words.length - MARK_WORDS;
    const isMarked = (number: number) =>
      ((words[first + (number >>> 5)]! >>> (number & 31)) & 1) === 1;
    if (words[first] === 0 && words[first + 1] === 0) return [];
    return this.#limits.filter((_, number) => isMarked(number));
  }
}

/** Of 64 marks. */
const MARK_WORDS = 2;

function breaks({ chars, closed }: Opening, { min, max }: StringLimit): boolean {
  return chars > (max ?? Number.POSITIVE_INFINITY) || (closed && chars < min);
}

function takeOut(from: Uint32Array, bits: Uint32Array): void {
  for (let i = 0; i < from.length; i++) from[i]! &= ~bits[i]!;
}
