import type { TokenDecoder, Tokenizer } from "./tokenizer.ts";

export type DetokenizerOptions = {
  /** Show control tokens by their spelling; they are left out otherwise. */
  readonly show_control?: boolean;
  /** Control tokens that are shown by their spelling although others are left out. */
  readonly shown?: ReadonlySet<number> | undefined;
  /**
   * The tokens begin a text, so a space that the tokenizer put before the first word is taken off.
   * False for an answer, which goes on after its prompt.
   */
  readonly at_text_start?: boolean;
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const NOTHING = new Uint8Array(0);

/**
 * Tokens to text, piece by piece. A character that spans several tokens comes out with its last
 * one; bytes that can begin no character come out as U+FFFD. All pieces together are the same text
 * whatever way the tokens were cut into calls, so a continued answer replays its tokens through a
 * fresh one and goes on.
 */
export class Detokenizer {
  /** The beginning of a character that is not complete yet, at most 3 bytes. */
  #held = NOTHING;
  #strip_space: boolean;
  readonly #show_control: boolean;
  readonly #shown: ReadonlySet<number> | undefined;
  readonly #texts: TokenTexts;
  readonly #decoder: TokenDecoder | undefined;

  readonly #tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer, options: DetokenizerOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#show_control = options.show_control === true;
    this.#shown = options.shown;
    this.#strip_space = options.at_text_start === true && tokenizer.add_space_prefix;
    this.#texts = textsOf(tokenizer);
    this.#decoder = tokenizer.newDecoder?.();
  }

  /** The text that these tokens complete; may be empty. */
  push(tokens: ArrayLike<number>): string {
    let text = "";
    for (let i = 0; i < tokens.length; i++) text += this.pushToken(tokens[i]!);
    return text;
  }

  /** The bytes still held back, as U+FFFD. Call it once, when the answer has ended. */
  flush(): string {
    const rest = this.#decoder === undefined ? decoder.decode(this.#held) : this.#decoder.flush();
    this.#held = NOTHING;
    return this.#stripped(rest);
  }

  /** True: the last token did not end inside a character, so no text is held back. */
  get whole(): boolean {
    return this.#held.length === 0 && this.#decoder?.whole !== false;
  }

  /** As `push` of one token. */
  pushToken(token: number): string {
    if (!this.#show_control && this.#tokenizer.isControl(token)) {
      if (this.#shown?.has(token) !== true) return "";
    }
    if (this.#decoder !== undefined) return this.#stripped(this.#decoder.push(token));
    const whole = this.#held.length === 0 ? this.#wholeText(token) : null;
    return this.#stripped(whole ?? this.#join(this.#tokenizer.tokenBytes(token)));
  }

  #stripped(text: string): string {
    if (!this.#strip_space || text === "") return text;
    this.#strip_space = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }

  /** The token's text when its bytes are whole characters; remembered, most tokens are. */
  #wholeText(token: number): string | null {
    const { tokens, texts, last } = this.#texts;
    const slot = token & textsMask;
    if (tokens[slot] === token) return texts[slot]!;
    const text = this.#tokenizer.asciiText(token) ?? this.#decoded(token);
    if (text === null) return null;
    if (last[slot] !== token) {
      last[slot] = token;
    } else if (token >= 0 && token < this.#tokenizer.vocab_size) {
      tokens[slot] = token;
      texts[slot] = text;
    }
    return text;
  }

  #decoded(token: number): string | null {
    const bytes = this.#tokenizer.tokenBytes(token);
    return incompleteTail(bytes) === 0 ? decoder.decode(bytes) : null;
  }

  #join(bytes: Uint8Array): string {
    const joined = new Uint8Array(this.#held.length + bytes.length);
    joined.set(this.#held);
    joined.set(bytes, this.#held.length);
    const end = joined.length - incompleteTail(joined);
    this.#held = joined.slice(end);
    return decoder.decode(joined.subarray(0, end));
  }
}

/**
 * Texts of frequent tokens, one a slot: answers repeat few tokens, and the texts of a whole
 * vocabulary of 152k would take 45 MB. One gets in when it misses twice in a row in its slot: texts
 * that are kept and soon replaced would be garbage that has become old.
 */
type TokenTexts = {
  readonly tokens: Int32Array;
  readonly texts: string[];
  /** The token that missed last in each slot. */
  readonly last: Int32Array;
};
const TEXTS_SLOTS = 4_096;
const textsMask = TEXTS_SLOTS - 1;

/** Shared between answers. */
const textsByTokenizer = new WeakMap<Tokenizer, TokenTexts>();

function textsOf(tokenizer: Tokenizer): TokenTexts {
  let texts = textsByTokenizer.get(tokenizer);
  if (texts === undefined) {
    const tokens = new Int32Array(TEXTS_SLOTS).fill(-1);
    const last = new Int32Array(TEXTS_SLOTS).fill(-1);
    texts = { tokens, texts: new Array<string>(TEXTS_SLOTS).fill(""), last };
    textsByTokenizer.set(tokenizer, texts);
  }
  return texts;
}

/**
 * How many of the last bytes (0 to 3) begin a character that further bytes could complete, by
 * table 3-7 of the Unicode standard.
 */
export function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const lead = bytes[bytes.length - back]!;
    if ((lead & 0xc0) === 0x80) continue; // a continuation: its lead stands before it
    const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || back >= length) return 0;
    return back === 1 || secondFits(lead, bytes[bytes.length - back + 1]!) ? back : 0;
  }
  return 0;
}

/** Some leads allow less than 80..BF behind them (no overlong forms, no surrogates, no end). */
function secondFits(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second <= 0x8f;
  return true;
}

/** All tokens at once: the text of a prompt given as ids, without control tokens. */
export function detokenize(
  tokenizer: Tokenizer,
  tokens: ArrayLike<number>,
  options: DetokenizerOptions = {},
): string {
  const detokenizer = new Detokenizer(tokenizer, options);
  return detokenizer.push(tokens) + detokenizer.flush();
}

export type TokenText = {
  /** Incomplete characters are U+FFFD here; `bytes` has them exactly. */
  readonly text: string;
  readonly bytes: readonly number[];
};

/** One token by itself, control tokens shown: for log probabilities. */
export function tokenText(tokenizer: Tokenizer, token: number): TokenText {
  const bytes = tokenizer.tokenBytes(token);
  return { text: decoder.decode(bytes), bytes: Array.from(bytes) };
}
