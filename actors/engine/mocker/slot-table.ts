/**
 * Which slot has which 64-bit name: open addressing with linear probing over the names' low
 * halves, which are well mixed already. The low half stands beside the slot, so that probing stays
 * within a cache line; the whole names stay in the caller's records. Removing shifts followers
 * back, so there are no tombstones.
 */
/** Words of a slot's record; the first two are the low and the high half of its name. */
export const RECORD_WORDS = 8;

const EMPTY = -1;
const FIRST_PLACES = 128;

export class SlotTable {
  /** At 2i the low half of a name, at 2i + 1 its slot or EMPTY. */
  #places = emptyPlaces(FIRST_PLACES);
  #mask = FIRST_PLACES - 1;
  #count = 0;

  /** The slot with this name, or -1. */
  find(low: number, high: number, records: Int32Array): number {
    const places = this.#places;
    const mask = this.#mask;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const slot = places[2 * at + 1]!;
      if (slot === EMPTY) return EMPTY;
      if (places[2 * at] === low && records[RECORD_WORDS * slot + 1] === high) return slot;
    }
  }

  /** The name must not be there yet. */
  add(slot: number, low: number): void {
    if (2 * (this.#count + 1) > this.#mask) this.#grow();
    this.#place(slot, low);
    this.#count++;
  }

  /** The slot must be there, under this name. */
  remove(slot: number, low: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let hole = low & mask;
    while (places[2 * hole + 1] !== slot) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; places[2 * at + 1] !== EMPTY; at = (at + 1) & mask) {
      const home = places[2 * at]! & mask;
      // It may move back unless its home lies behind the hole.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        places[2 * hole] = places[2 * at]!;
        places[2 * hole + 1] = places[2 * at + 1]!;
        hole = at;
      }
    }
    places[2 * hole + 1] = EMPTY;
    this.#count--;
  }

  clear(): void {
    this.#places.fill(EMPTY);
    this.#count = 0;
  }

  #place(slot: number, low: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let at = low & mask;
    while (places[2 * at + 1] !== EMPTY) at = (at + 1) & mask;
    places[2 * at] = low;
    places[2 * at + 1] = slot;
  }

  #grow(): void {
    const before = this.#places;
    this.#places = emptyPlaces(before.length);
    this.#mask = before.length - 1;
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] !== EMPTY) this.#place(before[at + 1]!, before[at]!);
    }
  }
}

function emptyPlaces(count: number): Int32Array {
  return new Int32Array(2 * count).fill(EMPTY);
}
