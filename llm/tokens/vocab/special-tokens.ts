import {
  ATTR_CONTROL,
  ATTR_LSTRIP,
  ATTR_RSTRIP,
  ATTR_UNKNOWN,
  ATTR_USER_DEFINED,
  type Vocab,
} from "./vocab.ts";

/** A part of a text: ordinary text, or a token whose spelling stood in it. */
export type Fragment =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "token"; readonly token: number };

type Special = {
  readonly token: number;
  readonly text: string;
  readonly strip_left: boolean;
  readonly strip_right: boolean;
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Finds special tokens in text as llama.cpp's `tokenizer_st_partition` does: longer spellings (in
 * bytes) take their places first, over the whole text, then shorter ones in what is left. Done with
 * a trie and marks instead of one search per token, so that the cost follows the text's length and
 * not the number of special tokens (Gemma has 6,400).
 */
export class SpecialTokens {
  readonly #specials: readonly Special[];
  /** node × 65,536 + UTF-16 unit → node; node 0 is the root. */
  readonly #edges = new Map<number, number>();
  /** Index into `specials` of the spelling that ends at a node, or -1. */
  readonly #ends: number[] = [-1];
  readonly #first_units = new Uint8Array(65_536);

  /** `parse_special` false leaves only user-defined tokens: control tokens stay plain text. */
  constructor(vocab: Vocab, parse_special: boolean) {
    const mask = parse_special
      ? ATTR_CONTROL | ATTR_UNKNOWN | ATTR_USER_DEFINED
      : ATTR_USER_DEFINED;
    const found: { special: Special; bytes: number }[] = [];
    for (let token = 0; token < vocab.token_count; token++) {
      const attr = vocab.attrs[token]!;
      const hidden = !parse_special && (attr & (ATTR_CONTROL | ATTR_UNKNOWN)) !== 0;
      if ((attr & mask) === 0 || hidden) continue;
      const bytes = vocab.table.at(token);
      const special = {
        token,
        text: decoder.decode(bytes),
        strip_left: (attr & ATTR_LSTRIP) !== 0,
        strip_right: (attr & ATTR_RSTRIP) !== 0,
      };
      found.push({ special, bytes: bytes.length });
    }
    found.sort((a, b) => b.bytes - a.bytes || a.special.token - b.special.token);
    this.#specials = found.map((entry) => entry.special);
    this.#specials.forEach((special, index) => {
      this.#insert(special.text, index);
    });
  }

  /** The fragments in order, none of them empty. */
  partition(text: string): Fragment[] {
    const queue = this.#occurrences(text);
    if (queue === undefined) return text === "" ? [] : [{ kind: "text", text }];
    const taken = new Uint8Array(text.length);
    const matches: { start: number; special: Special }[] = [];
    // A place can move on to a shorter spelling, which stands later in the queue: so no for-of.
    for (let index = 0; index < this.#specials.length; index++) {
      const starts = queue.get(index);
      if (starts === undefined) continue;
      const special = this.#specials[index]!;
      for (const start of starts.sort((a, b) => a - b)) {
        if (taken[start] === 1) continue;
        const end = start + special.text.length;
        if (isTaken(taken, start, end)) {
          this.#enqueue(queue, this.#longest(text, start, special.text.length - 1), start);
          continue;
        }
        taken.fill(1, start, end);
        if (special.strip_left) stripLeft(text, taken, start);
        if (special.strip_right) stripRight(text, taken, end);
        matches.push({ start, special });
      }
    }
    matches.sort((a, b) => a.start - b.start);
    return fragments(text, taken, matches);
  }

  /** Places by the longest spelling that stands there; undefined when there are none. */
  #occurrences(text: string): Map<number, number[]> | undefined {
    let queue: Map<number, number[]> | undefined;
    for (let at = 0; at < text.length; at++) {
      if (this.#first_units[text.charCodeAt(at)] === 0) continue;
      const index = this.#longest(text, at, text.length - at);
      if (index < 0) continue;
      queue ??= new Map();
      this.#enqueue(queue, index, at);
    }
    return queue;
  }

  #enqueue(queue: Map<number, number[]>, index: number, start: number): void {
    if (index < 0) return;
    const starts = queue.get(index);
    if (starts === undefined) queue.set(index, [start]);
    else starts.push(start);
  }

  /** The longest special of at most `limit` units that starts at `at`, or -1. */
  #longest(text: string, at: number, limit: number): number {
    let node = 0;
    let best = -1;
    const end = Math.min(text.length, at + limit);
    for (let i = at; i < end; i++) {
      const next = this.#edges.get(node * 65_536 + text.charCodeAt(i));
      if (next === undefined) break;
      node = next;
      if (this.#ends[node]! >= 0) best = this.#ends[node]!;
    }
    return best;
  }

  #insert(text: string, index: number): void {
    if (text === "") return;
    this.#first_units[text.charCodeAt(0)] = 1;
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const key = node * 65_536 + text.charCodeAt(i);
      let next = this.#edges.get(key);
      if (next === undefined) {
        next = this.#ends.length;
        this.#ends.push(-1);
        this.#edges.set(key, next);
      }
      node = next;
    }
    if (this.#ends[node]! < 0) this.#ends[node] = index;
  }
}

function isTaken(taken: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (taken[i] === 1) return true;
  return false;
}

/** C's `isspace` in the C locale. */
function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

function stripLeft(text: string, taken: Uint8Array, start: number): void {
  for (let i = start - 1; i >= 0 && taken[i] === 0 && isSpace(text.charCodeAt(i)); i--)
    taken[i] = 1;
}

function stripRight(text: string, taken: Uint8Array, end: number): void {
  for (let i = end; i < text.length && taken[i] === 0 && isSpace(text.charCodeAt(i)); i++) {
    taken[i] = 1;
  }
}

function fragments(
  text: string,
  taken: Uint8Array,
  matches: readonly { start: number; special: Special }[],
): Fragment[] {
  const out: Fragment[] = [];
  let next = 0;
  let at = 0;
  while (at < text.length) {
    const match = matches[next];
    if (match !== undefined && match.start === at) {
      out.push({ kind: "token", token: match.special.token });
      at += match.special.text.length;
      next++;
    } else if (taken[at] === 1) {
      at++; // blanks that a neighbour strips
    } else {
      const end = taken.indexOf(1, at);
      out.push({ kind: "text", text: text.slice(at, end < 0 ? text.length : end) });
      at = end < 0 ? text.length : end;
    }
  }
  return out;
}
