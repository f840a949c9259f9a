import { CATEGORY, unicodeCategories } from "./words/unicode-categories.ts";

/**
 * Added tokens in a text as Hugging Face's `tokenizers` finds them: from left to right the longest
 * spelling that stands there, first those that are looked for in the text as it is, then, in what
 * is left and was normalized, the others.
 * Source: `AddedVocabulary` in `tokenizers/src/tokenizer/added_vocabulary.rs` (Apache-2.0).
 */
export type AddedToken = {
  readonly id: number;
  readonly content: string;
  /** Not part of what a reader sees. */
  readonly special: boolean;
  /** Looked for in normalized text, in its normalized spelling. */
  readonly normalized: boolean;
  /** Blanks before and behind it are part of it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Found only where no letter, digit or `_` stands beside it. */
  readonly single_word: boolean;
};

export type AddedPiece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "token"; readonly token: number };

type Node = { readonly next: Map<number, Node>; found: AddedToken | undefined };

/** `\w` and `\s` as in Rust's `regex` crate. */
const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const BLANK = /\p{White_Space}/u;

/** One of the two passes. */
export class AddedTokens {
  readonly empty: boolean;
  readonly #root: Node = { next: new Map(), found: undefined };
  readonly #first_units = new Uint8Array(65_536);

  /** `spellings`: what each token is looked for by; of equal ones the first counts. */
  constructor(tokens: readonly AddedToken[], spellings: readonly string[]) {
    this.empty = !spellings.some((text) => text !== "");
    tokens.forEach((token, i) => {
      this.#insert(token, spellings[i]!);
    });
  }

  /** The pieces in order, no text empty. `parse_special` false passes over special ones. */
  partition(text: string, parse_special: boolean): AddedPiece[] {
    const pieces: AddedPiece[] = [];
    let from = 0;
    for (let at = 0; at < text.length; ) {
      const token =
        this.#first_units[text.charCodeAt(at)] === 1 ? this.#longest(text, at) : undefined;
      if (token === undefined) {
        at++;
        continue;
      }
      const end = at + this.#length;
      let start = at;
      at = end;
      if (token.special && !parse_special) continue;
      if (token.single_word && !isAlone(text, start, end)) continue;
      if (token.lstrip) start = Math.max(from, blanksBefore(text, start));
      if (from < start) pieces.push({ kind: "text", text: text.slice(from, start) });
      pieces.push({ kind: "token", token: token.id });
      from = token.rstrip ? blanksBehind(text, end) : end;
    }
    if (from < text.length) {
      pieces.push({ kind: "text", text: from === 0 ? text : text.slice(from) });
    }
    return pieces;
  }

  /** Length of the spelling that `longest` found last, in units. */
  #length = 0;

  #longest(text: string, at: number): AddedToken | undefined {
    let node: Node | undefined = this.#root;
    let best: AddedToken | undefined;
    for (let i = at; i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (node === undefined) break;
      if (node.found === undefined) continue;
      best = node.found;
      this.#length = i + 1 - at;
    }
    return best;
  }

  #insert(token: AddedToken, spelling: string): void {
    if (spelling === "") return;
    this.#first_units[spelling.charCodeAt(0)] = 1;
    let node = this.#root;
    for (let i = 0; i < spelling.length; i++) {
      const unit = spelling.charCodeAt(i);
      let next = node.next.get(unit);
      if (next === undefined) {
        next = { next: new Map(), found: undefined };
        node.next.set(unit, next);
      }
      node = next;
    }
    node.found ??= token;
  }
}

function isAlone(text: string, start: number, end: number): boolean {
  // Two units are enough to see one whole character.
  const before = Array.from(text.slice(Math.max(0, start - 2), start)).at(-1);
  const [behind] = text.slice(end, end + 2);
  return !isWordChar(before) && !isWordChar(behind);
}

/** Rust's `\w`. */
export function isWordChar(char: string | undefined): boolean {
  if (char === undefined || !WORD.test(char)) return false;
  if (/\p{Join_Control}/u.test(char)) return true;
  return unicodeCategories()[char.codePointAt(0)!] !== CATEGORY.other; // newer than Rust's tables
}

function blanksBefore(text: string, start: number): number {
  while (start > 0 && BLANK.test(text[start - 1]!)) start--;
  return start;
}

function blanksBehind(text: string, end: number): number {
  while (end < text.length && BLANK.test(text[end]!)) end++;
  return end;
}
