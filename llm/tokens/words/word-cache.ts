import { hashBytes } from "../vocab/token-table.ts";

const MAX_WORDS = 1 << 16;
const MAX_KEY_BYTES = 1 << 20;
const MAX_VALUES = 1 << 18;
/** Longer words are rare and would crowd out the short ones. */
export const MAX_CACHED_WORD_BYTES = 48;

/**
 * Words already tokenized: bytes → token ids. Bounded (about 5 MB), emptied when full. Keys are
 * copied into one buffer, so no cached word keeps the prompt alive that it was cut from.
 */
export class WordCache {
  readonly #slots = new Int32Array(2 * MAX_WORDS).fill(-1);
  readonly #key_ends = new Uint32Array(MAX_WORDS + 1);
  readonly #value_ends = new Uint32Array(MAX_WORDS + 1);
  readonly #keys = new Uint8Array(MAX_KEY_BYTES);
  readonly #values = new Uint32Array(MAX_VALUES);
  #count = 0;

  /** Appends the word's tokens to `out` and says whether it knew the word. */
  append(bytes: Uint8Array, start: number, end: number, out: TokenSink): boolean {
    if (end - start > MAX_CACHED_WORD_BYTES) return false;
    const entry = this.#slots[this.#slotOf(bytes, start, end)]!;
    if (entry < 0) return false;
    const last = this.#value_ends[entry + 1]!;
    for (let i = this.#value_ends[entry]!; i < last; i++) out.push(this.#values[i]!);
    return true;
  }

  /** Remembers tokens `[from, out.count)` of `out` as those of the word. */
  learn(bytes: Uint8Array, start: number, end: number, out: TokenSink, from: number): void {
    const key_bytes = end - start;
    const values = out.count - from;
    if (key_bytes > MAX_CACHED_WORD_BYTES) return;
    const full =
      this.#count === MAX_WORDS ||
      this.#key_ends[this.#count]! + key_bytes > MAX_KEY_BYTES ||
      this.#value_ends[this.#count]! + values > MAX_VALUES;
    if (full) this.#clear();
    const entry = this.#count++;
    const key = this.#key_ends[entry]!;
    for (let i = 0; i < key_bytes; i++) this.#keys[key + i] = bytes[start + i]!;
    this.#key_ends[entry + 1] = key + key_bytes;
    const value = this.#value_ends[entry]!;
    for (let i = 0; i < values; i++) this.#values[value + i] = out.tokens[from + i]!;
    this.#value_ends[entry + 1] = value + values;
    this.#slots[this.#slotOf(bytes, start, end)] = entry;
  }

  #clear(): void {
    this.#count = 0;
    this.#slots.fill(-1);
  }

  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashBytes(bytes, start, end) & mask;
    for (;;) {
      const entry = this.#slots[slot]!;
      if (entry < 0 || this.#equals(entry, bytes, start, end)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const key = this.#key_ends[entry]!;
    if (this.#key_ends[entry + 1]! - key !== end - start) return false;
    for (let i = 0; i < end - start; i++) {
      if (this.#keys[key + i] !== bytes[start + i]) return false;
    }
    return true;
  }
}

/** A growing list of token ids. */
export class TokenSink {
  tokens = new Uint32Array(1024);
  count = 0;

  push(token: number): void {
    if (this.count === this.tokens.length) this.#grow(2 * this.count);
    this.tokens[this.count++] = token;
  }

  append(tokens: Uint32Array): void {
    const count = this.count + tokens.length;
    if (count > this.tokens.length) this.#grow(2 * count);
    this.tokens.set(tokens, this.count);
    this.count = count;
  }

  #grow(size: number): void {
    const grown = new Uint32Array(size);
    grown.set(this.tokens.subarray(0, this.count));
    this.tokens = grown;
  }
}
