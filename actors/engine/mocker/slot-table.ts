/**
 * Which slot has which 64-bit name: open addressing with linear probing over the names' low
 * halves, which are well mixed already. The names themselves stay with the caller, as words by
 * slot; removing shifts followers back, so there are no tombstones.
 */
const EMPTY = -1;

export class SlotTable {
  private slots = new Int32Array(128).fill(EMPTY);
  private count = 0;

  /** The slot with this name, or -1. */
  find(low: number, high: number, words: Int32Array): number {
    const mask = this.slots.length - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const slot = this.slots[at]!;
      if (slot === EMPTY) return EMPTY;
      if (words[2 * slot] === low && words[2 * slot + 1] === high) return slot;
    }
  }

  /** The name must not be there yet. */
  add(slot: number, words: Int32Array): void {
    if (2 * (this.count + 1) > this.slots.length) this.grow(words);
    this.place(slot, words[2 * slot]!);
    this.count++;
  }

  /** The slot must be there. */
  remove(slot: number, words: Int32Array): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let hole = words[2 * slot]! & mask;
    while (slots[hole] !== slot) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; slots[at] !== EMPTY; at = (at + 1) & mask) {
      const home = words[2 * slots[at]!]! & mask;
      // It may move back unless its home lies behind the hole.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        slots[hole] = slots[at]!;
        hole = at;
      }
    }
    slots[hole] = EMPTY;
    this.count--;
  }

  clear(): void {
    this.slots.fill(EMPTY);
    this.count = 0;
  }

  private place(slot: number, low: number): void {
    const mask = this.slots.length - 1;
    let at = low & mask;
    while (this.slots[at] !== EMPTY) at = (at + 1) & mask;
    this.slots[at] = slot;
  }

  private grow(words: Int32Array): void {
    const before = this.slots;
    this.slots = new Int32Array(2 * before.length).fill(EMPTY);
    for (const slot of before) if (slot !== EMPTY) this.place(slot, words[2 * slot]!);
  }
}
