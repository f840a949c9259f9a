import type { Vocab } from "./vocab/vocab.ts";

/** U+2581 is E2 96 81. */
function isSpelledSpace(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xe2 && bytes[at + 1] === 0x96 && bytes[at + 2] === 0x81;
}

/** Which characters stand side by side in some token, as far as their bytes at the seam tell. */
export class Neighbours {
  /** Last byte of the left × 256 + first byte of the right character. */
  readonly #pairs = new Uint8Array(65_536);
  /** By last byte of the left character: some token goes on with a space behind it. */
  readonly #before_space = new Uint8Array(256);

  constructor(vocab: Vocab) {
    const { bytes, ends } = vocab.table;
    for (let token = 0; token < vocab.token_count; token++) {
      const end = ends[token]!;
      for (let at = vocab.table.start(token) + 1; at < end; at++) {
        const left = bytes[at - 1]!;
        this.#pairs[left * 256 + bytes[at]!] = 1;
        if (isSpelledSpace(bytes, at)) this.#before_space[left] = 1;
      }
    }
  }

  /** No token has a space behind an ASCII letter. */
  get endsAtSpaces(): boolean {
    for (let byte = 0x41; byte <= 0x7a; byte++) {
      const letter = byte <= 0x5a || byte >= 0x61;
      if (letter && this.#before_space[byte] === 1) return false;
    }
    return true;
  }

  /** False only where no token can reach across the place before `bytes[at]`. */
  mayJoin(bytes: Uint8Array, at: number): boolean {
    const right = bytes[at]!;
    if ((right & 0xc0) === 0x80) return true; // inside a character
    const left = bytes[at - 1]!;
    if (this.#pairs[left * 256 + right] === 0) return false;
    return !isSpelledSpace(bytes, at) || this.#before_space[left] === 1;
  }
}
