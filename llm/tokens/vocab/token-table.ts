/**
 * Byte strings numbered from 0, and the way back from bytes to number.
 * All strings lie in one buffer behind an open-addressing hash, because a Map of 262,144 JavaScript
 * strings takes ten times the memory and five times the time to build.
 */
export class TokenTable {
  /** String `i` is `bytes[ends[i - 1] ?? 0, ends[i])`. */
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** A lookup finds the last of equal strings, as in llama.cpp. */
  constructor(bytes: Uint8Array, ends: Uint32Array) {
    this.bytes = bytes;
    this.ends = ends;
    let size = 16;
    while (size < 2 * ends.length) size *= 2;
    this.#slots = new Int32Array(size).fill(-1);
    this.#mask = size - 1;
    for (let i = 0; i < ends.length; i++) {
      this.#slots[this.#slotOf(bytes, this.start(i), ends[i]!)] = i;
    }
  }

  get count(): number {
    return this.ends.length;
  }

  start(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1]!;
  }

  /** A view, not a copy. */
  at(index: number): Uint8Array {
    return this.bytes.subarray(this.start(index), this.ends[index]!);
  }

  /** Number of the string `bytes[start, end)`, or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#slots[this.#slotOf(bytes, start, end)]!;
  }

  /** The slot that holds this string, or the free one where it would go. */
  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    let slot = hashBytes(bytes, start, end) & this.#mask;
    for (;;) {
      const index = this.#slots[slot]!;
      if (index < 0 || this.#equals(index, bytes, start, end)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #equals(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.start(index);
    if (this.ends[index]! - own !== end - start) return false;
    for (let i = 0; i < end - start; i++) {
      if (this.bytes[own + i] !== bytes[start + i]) return false;
    }
    return true;
  }
}

/** FNV-1a with a last mixing step, since slots are taken from the low bits. Unsigned 32 bits. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/** Collects byte strings for a table. */
export class TokenTableBuilder {
  #bytes: Uint8Array;
  #ends: number[] = [];
  #length = 0;

  constructor(expected_bytes: number) {
    this.#bytes = new Uint8Array(Math.max(1024, expected_bytes));
  }

  add(text: Uint8Array): void {
    this.addSpan(text, 0, text.length);
  }

  /** Adds `from[start, end)`. */
  addSpan(from: Uint8Array, start: number, end: number): void {
    const least = this.#length + end - start;
    if (least > this.#bytes.length) {
      const grown = new Uint8Array(2 * least);
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    // Strings are a few bytes long: a loop beats a view and a copy.
    for (let i = start; i < end; i++) this.#bytes[this.#length++] = from[i]!;
    this.#ends.push(this.#length);
  }

  build(): TokenTable {
    return new TokenTable(this.#bytes.slice(0, this.#length), Uint32Array.from(this.#ends));
  }
}
