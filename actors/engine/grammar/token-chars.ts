/** How many characters of a quoted string each token of a vocabulary writes. */
import { BYTE_TO_CODE_POINT } from "../../../llm/tokens/vocab/byte-alphabet.ts";

/** What a byte, by its character in the alphabet, is in a quoted string. */
const INSIDE = 0;
const BEGINS = 1;
const QUOTE = 2;
const BACKSLASH = 3;

const KINDS = new Uint8Array(Math.max(...BYTE_TO_CODE_POINT) + 1);
BYTE_TO_CODE_POINT.forEach((code, byte) => {
  KINDS[code] = (byte & 0xc0) === 0x80 ? INSIDE : BEGINS;
});
const MISSING = new Uint8Array(KINDS.length);
BYTE_TO_CODE_POINT.forEach((code, byte) => {
  MISSING[code] = byte < 0xc0 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
});
KINDS['"'.charCodeAt(0)] = QUOTE;
KINDS["\\".charCodeAt(0)] = BACKSLASH;

/** Up to a quotation mark: one that closes the string, or else the end of the text. */
export type Scan = {
  readonly chars: number;
  readonly closed: boolean;
  /** The last character is a backslash that waits for what it escapes. */
  readonly escaping: boolean;
  /** Of the quotation mark, or the length of the text. */
  readonly at: number;
};

/** `text` is in the byte alphabet, from `from` on within a string. */
export function scan(text: string, from: number, was_escaping: boolean): Scan {
  let chars = 0;
  let escaping = was_escaping;
  let at = from;
  for (; at < text.length; at++) {
    const kind = KINDS[text.charCodeAt(at)];
    if (escaping) escaping = false;
    else if (kind === QUOTE) return { chars, closed: true, escaping, at };
    else if (kind !== INSIDE) {
      chars++;
      escaping = kind === BACKSLASH;
    }
  }
  return { chars, closed: false, escaping, at };
}

/**
 * Where `text` last stands between two characters, or at its begin if `missing` is 0 and nothing is
 * escaped; -1: nowhere.
 * @param missing bytes of a character that are still to come
 */
export function lastBetween(text: string, was_escaping: boolean, was_missing: number) {
  let escaping = was_escaping;
  let missing = was_missing;
  let between = escaping || missing > 0 ? -1 : 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    missing = KINDS[code] === INSIDE ? Math.max(0, missing - 1) : MISSING[code]!;
    escaping = !escaping && KINDS[code] === BACKSLASH;
    if (!escaping && missing === 0) between = at + 1;
  }
  return { between, missing };
}

/** A string that begins within a token. */
export type Opening = {
  readonly token: number;
  /** What the token has up to the quotation mark that opens it, in the byte alphabet. */
  readonly before: string;
  /** Characters of it in the token. */
  readonly chars: number;
  readonly closed: boolean;
};

export class TokenChars {
  readonly #texts: readonly string[];
  readonly #words: number;
  /** By whether a backslash stands before the token. */
  readonly #plain: Tables;
  #escaped: Tables | undefined;
  readonly #openings = new Map<boolean, readonly Opening[]>();

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.#words = Math.ceil(texts.length / 32);
    this.#plain = new Tables(texts, this.#words, false);
  }

  /** Tokens that write more than `room` characters of the string; undefined: there are none. */
  tooLong(room: number, escaping: boolean): Uint32Array | undefined {
    return this.#tables(escaping).tooLong(room);
  }

  /** Tokens that close the string with fewer characters than `missing`. */
  tooEarly(missing: number, escaping: boolean): Uint32Array {
    return this.#tables(escaping).tooEarly(missing);
  }

  /** Strings that a token opens and writes a part of, or all. */
  openings(escaping: boolean): readonly Opening[] {
    const known = this.#openings.get(escaping);
    if (known !== undefined) return known;
    const openings: Opening[] = [];
    this.#texts.forEach((text, token) => {
      if (text.includes('"')) openings.push(...openingsOf(text, token, escaping));
    });
    this.#openings.set(escaping, openings);
    return openings;
  }

  #tables(escaping: boolean): Tables {
    if (!escaping) return this.#plain;
    this.#escaped ??= new Tables(this.#texts, this.#words, true);
    return this.#escaped;
  }
}

class Tables {
  readonly #words: number;
  readonly #chars: Uint8Array;
  readonly #closes: Uint8Array;
  readonly #most: number;
  readonly #long = new Map<number, Uint32Array>();
  readonly #early = new Map<number, Uint32Array>();

  constructor(texts: readonly string[], words: number, escaping: boolean) {
    this.#words = words;
    this.#chars = new Uint8Array(texts.length);
    this.#closes = new Uint8Array(texts.length);
    let most = 0;
    texts.forEach((text, token) => {
      const { chars, closed } = scan(text, 0, escaping);
      this.#chars[token] = Math.min(chars, MOST_CHARS);
      this.#closes[token] = closed ? 1 : 0;
      most = Math.max(most, this.#chars[token]!);
    });
    this.#most = most;
  }

  tooLong(room: number): Uint32Array | undefined {
    if (room >= this.#most && this.#most < MOST_CHARS) return undefined;
    return this.#made(this.#long, Math.min(room, MOST_CHARS - 1), (token, most) => {
      return this.#chars[token]! > most;
    });
  }

  tooEarly(missing: number): Uint32Array {
    return this.#made(this.#early, Math.min(missing, this.#most + 1), (token, least) => {
      return this.#closes[token] === 1 && this.#chars[token]! < least;
    });
  }

  #made(
    known: Map<number, Uint32Array>,
    count: number,
    has: (token: number, count: number) => boolean,
  ): Uint32Array {
    const before = known.get(count);
    if (before !== undefined) return before;
    const bits = new Uint32Array(this.#words);
    for (let token = 0; token < this.#chars.length; token++) {
      if (has(token, count)) bits[token >>> 5]! |= 1 << (token & 31);
    }
    known.set(count, bits);
    return bits;
  }
}

/** Tokens of more characters are told apart no further. */
const MOST_CHARS = 255;

function openingsOf(text: string, token: number, escaping: boolean): readonly Opening[] {
  const openings: Opening[] = [];
  let backslashes = 0;
  for (let at = escaping ? 1 : 0; at < text.length; at++) {
    const kind = KINDS[text.charCodeAt(at)];
    // Behind a backslash it is a character of a string.
    if (kind === QUOTE && backslashes % 2 === 0) {
      const { chars, closed } = scan(text, at + 1, false);
      const before = text.slice(0, at + 1);
      if (chars > 0 || closed) openings.push({ token, before, chars, closed });
    }
    backslashes = kind === BACKSLASH ? backslashes + 1 : 0;
  }
  return openings;
}
