import { type TokenTable, TokenTableBuilder } from "./vocab/token-table.ts";

/** Stands in a merge that merges nothing; no symbol has this number. */
const NO_SYMBOL = 0xffffffff;

/** Merges as symbol numbers; spellings that are no token are appended to the table. */
export class MergeBuilder {
  readonly #symbols: SymbolNumbers;
  #merges: Uint32Array<ArrayBuffer>;
  #joined = new Uint8Array(256);
  #count = 0;

  constructor(tokens: TokenTable, expected_count = 0) {
    this.#symbols = new SymbolNumbers(tokens);
    this.#merges = new Uint32Array(3 * expected_count).fill(NO_SYMBOL);
  }

  /** The next merge, spelled `bytes[start, middle)` and `bytes[middle + gap, end)`. */
  add(bytes: Uint8Array, start: number, middle: number, gap: number, end: number): void {
    const length = end - start - gap;
    if (this.#joined.length < length) this.#joined = new Uint8Array(2 * length);
    // Parts are a few bytes long: loops beat views and copies.
    let size = 0;
    for (let i = start; i < middle; i++) this.#joined[size++] = bytes[i]!;
    for (let i = middle + gap; i < end; i++) this.#joined[size++] = bytes[i]!;
    const at = this.#place();
    this.#merges[at] = this.#symbols.of(bytes, start, middle);
    this.#merges[at + 1] = this.#symbols.of(bytes, middle + gap, end);
    this.#merges[at + 2] = this.#symbols.of(this.#joined, 0, length);
  }

  /**
   * The next merge as one line, its parts on both sides of the first space after the first byte.
   * A line without one keeps its rank and merges nothing, in llama.cpp too.
   */
  addLine(bytes: Uint8Array, start: number, end: number): void {
    let space = start + 1;
    while (space < end && bytes[space] !== 0x20) space++;
    if (space >= end) this.#place();
    else this.add(bytes, start, space, 1, end);
  }

  build(): { table: TokenTable; merges: Uint32Array } {
    return { table: this.#symbols.table(), merges: this.#merges.slice(0, 3 * this.#count) };
  }

  /** Where the next merge goes; until it is written it merges nothing. */
  #place(): number {
    const at = 3 * this.#count++;
    if (at === this.#merges.length) {
      const grown = new Uint32Array(Math.max(3 * 1024, 2 * at)).fill(NO_SYMBOL, at);
      grown.set(this.#merges);
      this.#merges = grown;
    }
    return at;
  }
}

/** Numbers for spellings: those of the tokens, and new ones after them. */
class SymbolNumbers {
  readonly #extra = new Map<string, number>();
  readonly #texts: Uint8Array[] = [];

  readonly #tokens: TokenTable;

  constructor(tokens: TokenTable) {
    this.#tokens = tokens;
  }

  of(bytes: Uint8Array, start: number, end: number): number {
    const found = this.#tokens.find(bytes, start, end);
    if (found >= 0) return found;
    const text = bytes.slice(start, end);
    const key = text.join(",");
    let number = this.#extra.get(key);
    if (number === undefined) {
      number = this.#tokens.count + this.#texts.length;
      this.#extra.set(key, number);
      this.#texts.push(text);
    }
    return number;
  }

  table(): TokenTable {
    if (this.#texts.length === 0) return this.#tokens;
    const builder = new TokenTableBuilder(this.#tokens.bytes.length + 64 * this.#texts.length);
    for (let i = 0; i < this.#tokens.count; i++) builder.add(this.#tokens.at(i));
    for (const text of this.#texts) builder.add(text);
    return builder.build();
  }
}
