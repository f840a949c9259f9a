import { type TokenTable, TokenTableBuilder } from "./token-table.ts";

const encoder = new TextEncoder();

export function grown(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * least);
  larger.set(bytes);
  return larger;
}

/** Texts that come in any order, collected without an object for each. */
export class TextsById {
  /** One more than the highest id. */
  count = 0;
  entries = 0;
  #bytes = new Uint8Array(1 << 16);
  #length = 0;
  /** Start and end + 1 by id; 0 as an end: no text yet. */
  #spans = new Uint32Array(1 << 12);

  has(id: number): boolean {
    return id < this.count && this.#spans[2 * id + 1] !== 0;
  }

  putText(id: number, text: string): void {
    const bytes = encoder.encode(text);
    this.put(id, bytes, 0, bytes.length);
  }

  put(id: number, from: Uint8Array, start: number, end: number): void {
    const least = this.#length + end - start;
    if (least > this.#bytes.length) this.#bytes = grown(this.#bytes, least);
    if (2 * id + 1 >= this.#spans.length) {
      const larger = new Uint32Array(4 * id + 2);
      larger.set(this.#spans);
      this.#spans = larger;
    }
    this.#spans[2 * id] = this.#length;
    for (let i = start; i < end; i++) this.#bytes[this.#length++] = from[i]!;
    this.#spans[2 * id + 1] = this.#length + 1;
    this.count = Math.max(this.count, id + 1);
    this.entries++;
  }

  table(): TokenTable {
    const builder = new TokenTableBuilder(this.#length);
    for (let id = 0; id < this.count; id++) {
      builder.addSpan(this.#bytes, this.#spans[2 * id]!, this.#spans[2 * id + 1]! - 1);
    }
    return builder.build();
  }
}
