/**
 * Block hash (u64) → a number other than 0 (i32), for millions of blocks: open addressing in typed
 * arrays, 16 bytes a slot, linear probing, deletion without tombstones.
 *
 * The table is cut into segments (extendible hashing: a directory over the hash's top bits). A full
 * segment doubles or splits by itself, so that no single operation ever rehashes the whole, and
 * memory follows the content in small steps.
 */

/**
 * u64 hashes as pairs of u32, low word first: block `i` is at `2 * i` and `2 * i + 1`. It is the
 * memory of a `BigUint64Array` on every machine we run on, and as bytes what goes on the wire;
 * reading pairs makes no bigint.
 */
export type HashPairs = Uint32Array;

/** The same memory, seen the other way. */
export function pairsOf(hashes: BigUint64Array): HashPairs {
  return new Uint32Array(hashes.buffer, hashes.byteOffset, hashes.length * 2);
}

/** Slot `s` of `cells` is low word, high word, value, unused, at `4 * s`; value 0 = free. */
export type Segment = {
  cells: Int32Array;
  /** Slots - 1; slots are a power of two. */
  mask: number;
  count: number;
  /** Top bits of the hash that all keys here share. */
  depth: number;
  /** Free for the owner: the last pass over all segments that has seen this one. */
  pass: number;
};

/** A power of two: no slot lies across two cache lines. */
const SLOT_WORDS = 4;
const SLOTS_MIN = 32;
const SLOTS_MAX = 32_768;
const DEPTH_MAX = 20;

/** The keys are hashes already; this folds them and spreads keys that somebody made up. */
function mix(lo: number, hi: number): number {
  return Math.imul(lo ^ ((hi << 16) | (hi >>> 16)), 0x9e37_79b1);
}

function newSegment(slots: number, depth: number, pass: number): Segment {
  return { cells: new Int32Array(SLOT_WORDS * slots), mask: slots - 1, count: 0, depth, pass };
}

/** Slots for `count` keys and room to grow: at most 5/8 full. */
function slotsFor(count: number): number {
  let slots = SLOTS_MIN;
  while (slots < SLOTS_MAX && count * 8 > slots * 5) slots *= 2;
  return slots;
}

export class BlockTable {
  /**
   * Where `find` and `claim` found it. Plain fields, since returning two things would allocate in
   * the hottest loop of all.
   */
  cells: Int32Array;
  #segment: Segment;
  /** Makes the reads of `touch` count. */
  protected touched = 0;
  #directory: Segment[] = [];
  /** Right shift from the hash to the directory. */
  #shift = 31;

  constructor() {
    this.#segment = this.#reset();
    this.cells = this.#segment.cells;
  }

  get count(): number {
    let count = 0;
    for (const segment of this.segments()) count += segment.count;
    return count;
  }

  get bytes(): number {
    let bytes = this.#directory.length * 8;
    for (const segment of this.segments()) bytes += segment.cells.byteLength;
    return bytes;
  }

  /** Each once, in the order of the directory. */
  segments(): Segment[] {
    const distinct: Segment[] = [];
    for (const segment of this.#directory) {
      if (segment !== distinct.at(-1)) distinct.push(segment);
    }
    return distinct;
  }

  clear(): void {
    this.#segment = this.#reset();
  }

  #reset(): Segment {
    const halves = [newSegment(SLOTS_MIN, 1, 0), newSegment(SLOTS_MIN, 1, 0)] as const;
    this.#directory = [...halves];
    this.#shift = 31;
    return halves[0];
  }

  /**
   * Reads the slots where keys `from` to `to` should be. These reads do not wait for each other as
   * searches do, so that the searches that follow find their slots in the processor's cache: a
   * table of millions is all cache misses otherwise.
   */
  touch(keys: HashPairs, from: number, to: number): void {
    const directory = this.#directory;
    const shift = this.#shift;
    let sum = 0;
    for (let i = from; i < to; i++) {
      const hash = mix(keys[2 * i]! | 0, keys[2 * i + 1]! | 0);
      const { cells, mask } = directory[hash >>> shift]!;
      sum ^= cells[(hash & mask) << 2]!;
    }
    this.touched = sum;
  }

  /** Index of the key's slot in `cells`, -1 when it is not there. Words are i32. */
  find(lo: number, hi: number): number {
    const hash = mix(lo, hi);
    const segment = this.#directory[hash >>> this.#shift]!;
    const { cells, mask } = segment;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slot << 2;
      if (cells[at + 2] === 0) return -1;
      if (cells[at] === lo && cells[at + 1] === hi) {
        this.#segment = segment;
        this.cells = cells;
        return at;
      }
    }
  }

  /** As `find`, but makes the slot; the caller must set the value (`cells[at + 2]`) when it is 0. */
  claim(lo: number, hi: number): number {
    const hash = mix(lo, hi);
    let segment = this.#directory[hash >>> this.#shift]!;
    if (segment.count * 4 > segment.mask * 3) segment = this.#makeRoom(hash);
    const { cells, mask } = segment;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slot << 2;
      if (cells[at + 2] === 0) {
        cells[at] = lo;
        cells[at + 1] = hi;
        segment.count++;
        this.#segment = segment;
        this.cells = cells;
        return at;
      }
      if (cells[at] === lo && cells[at + 1] === hi) {
        this.#segment = segment;
        this.cells = cells;
        return at;
      }
    }
  }

  /** Value of the key, 0 when it is not there. */
  get(lo: number, hi: number): number {
    const at = this.find(lo, hi);
    return at < 0 ? 0 : this.cells[at + 2]!;
  }

  set(lo: number, hi: number, value: number): void {
    const at = this.claim(lo, hi);
    this.cells[at + 2] = value;
  }

  delete(lo: number, hi: number): boolean {
    const at = this.find(lo, hi);
    if (at < 0) return false;
    this.removeAt(at);
    return true;
  }

  /** Takes away the slot that `find` or `claim` found just now. */
  removeAt(at: number): void {
    const segment = this.#segment;
    const { cells, mask } = segment;
    let hole = at >> 2;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const from = slot << 2;
      if (cells[from + 2] === 0) break;
      const home = mix(cells[from]!, cells[from + 1]!) & mask;
      // It may move into the hole unless its home lies behind the hole.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      const to = hole << 2;
      cells[to] = cells[from]!;
      cells[to + 1] = cells[from + 1]!;
      cells[to + 2] = cells[from + 2]!;
      hole = slot;
    }
    cells[(hole << 2) + 2] = 0;
    segment.count--;
    if (segment.count * 8 < mask && mask >= SLOTS_MIN) this.#rebuild(segment);
  }

  /** Gives each value of a segment to `next`, which says the new one; 0 takes the key away. */
  rewrite(segment: Segment, next: (value: number) => number): void {
    const { cells } = segment;
    let count = 0;
    for (let at = 2; at < cells.length; at += SLOT_WORDS) {
      const value = cells[at]!;
      if (value === 0) continue;
      const after = next(value);
      cells[at] = after;
      if (after !== 0) count++;
    }
    if (count === segment.count) return;
    segment.count = count;
    this.#rebuild(segment);
  }

  #makeRoom(hash: number): Segment {
    const segment = this.#directory[hash >>> this.#shift]!;
    const slots = segment.mask + 1;
    if (slots < SLOTS_MAX || segment.depth >= DEPTH_MAX) this.#rebuild(segment, slots * 2);
    else this.#split(segment, hash);
    return this.#directory[hash >>> this.#shift]!;
  }

  /** In place, so that the directory need not know. */
  #rebuild(segment: Segment, slots = slotsFor(segment.count)): void {
    const old = segment.cells;
    segment.cells = new Int32Array(SLOT_WORDS * slots);
    segment.mask = slots - 1;
    segment.count = 0;
    for (let at = 0; at < old.length; at += SLOT_WORDS)
      if (old[at + 2] !== 0) put(segment, old, at);
  }

  #split(segment: Segment, hash: number): void {
    const depth = segment.depth + 1;
    if (32 - this.#shift < depth) {
      this.#directory = this.#directory.flatMap((each) => [each, each]);
      this.#shift--;
    }
    const slots = segment.mask + 1;
    const low = newSegment(slots, depth, segment.pass);
    const high = newSegment(slots, depth, segment.pass);
    const { cells } = segment;
    for (let at = 0; at < cells.length; at += SLOT_WORDS) {
      if (cells[at + 2] === 0) continue;
      const bit = (mix(cells[at]!, cells[at + 1]!) >>> (32 - depth)) & 1;
      put(bit === 0 ? low : high, cells, at);
    }
    // A walk over a list of segments finds this one empty from now on.
    segment.cells = new Int32Array(0);
    segment.count = 0;
    const span = 1 << (32 - this.#shift - depth);
    const first = ((hash >>> (33 - depth)) << 1) * span;
    this.#directory.fill(low, first, first + span);
    this.#directory.fill(high, first + span, first + 2 * span);
  }
}

/** Copies a slot; there is room and the key is new. */
function put(segment: Segment, from: Int32Array, at: number): void {
  const { cells, mask } = segment;
  let slot = mix(from[at]!, from[at + 1]!) & mask;
  while (cells[(slot << 2) + 2] !== 0) slot = (slot + 1) & mask;
  const to = slot << 2;
  cells[to] = from[at]!;
  cells[to + 1] = from[at + 1]!;
  cells[to + 2] = from[at + 2]!;
  segment.count++;
}
