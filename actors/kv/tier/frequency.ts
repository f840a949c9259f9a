/**
 * How often each block was asked for lately: a count-min sketch of small counters that are halved
 * from time to time (TinyLFU, Einziger, Friedman and Manes, 2017). It errs upwards only, and costs
 * the same however many blocks there were.
 */
import { sizeOfTable, words } from "./hash-words.ts";

const ROWS = 4;
const MOST = 15;
/** Counters a slot in each row, so that few blocks share one. */
const WIDTH_PER_SLOT = 8;
/** Counted askings a slot until all counters are halved. */
const AGE_PER_SLOT = 10;

export class Frequency {
  readonly #counters: Uint8Array;
  readonly #mask: number;
  readonly #period: number;
  #counted = 0;

  /** @param slots of the tier whose admission it decides */
  constructor(slots: number) {
    const width = sizeOfTable(slots * WIDTH_PER_SLOT);
    this.#counters = new Uint8Array(width * ROWS);
    this.#mask = width - 1;
    this.#period = Math.max(1, slots * AGE_PER_SLOT);
  }

  count(hash: bigint): void {
    const [low, high] = words(hash);
    const least = this.#least(low, high);
    if (least < MOST) {
      // Only the smallest counters: the others are known to be too high already.
      for (let row = 0; row < ROWS; row += 1) {
        const at = this.#at(row, low, high);
        if (this.#counters[at] === least) this.#counters[at] = least + 1;
      }
    }
    this.#counted += 1;
    if (this.#counted >= this.#period) this.#age();
  }

  /** 0 to 15. */
  of(hash: bigint): number {
    const [low, high] = words(hash);
    return this.#least(low, high);
  }

  #least(low: number, high: number): number {
    let least = MOST;
    for (let row = 0; row < ROWS; row += 1) {
      least = Math.min(least, this.#counters[this.#at(row, low, high)]!);
    }
    return least;
  }

  #at(row: number, low: number, high: number): number {
    // Two halves of a good hash give as many as one wants (Kirsch and Mitzenmacher, 2008).
    const place = (low + Math.imul(row, high | 1)) & this.#mask;
    return row * (this.#mask + 1) + place;
  }

  #age(): void {
    this.#counted = 0;
    for (let i = 0; i < this.#counters.length; i += 1) this.#counters[i]! >>>= 1;
  }
}
