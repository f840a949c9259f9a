/**
 * Sets of owners of a block, each as one i32: the owner itself if there is one (most blocks), else
 * a place in a pool with a sorted list, or with a bitset once that is smaller. 0: no owner.
 *
 *   0x0000_0001 … owner + 1          0x8000_0000 | pool << 30 | place: two owners or more
 *
 * In the pool a set is u16 units: class and form, count, then members or bits. A class is a power
 * of two of units, with a free list each. Lists are sorted, so that a lookup that walks a shared
 * prefix sees quickly in which owners two blocks differ.
 */

/** The largest bitset that a class has room for. */
export const OWNERS_MAX = 65_504;

const CLASS_UNITS_MIN = 4;
const CLASSES = 11;
const HEADER_UNITS = 2;
const BITSET = 0x8000;
const PLACE = 0x3fff_ffff;
const POOL_UNITS_MIN = 1_024;
/** A pool smaller than this is not worth moving. */
const COMPACT_UNITS_MIN = 65_536;

function unitsOf(size_class: number): number {
  return CLASS_UNITS_MIN << size_class;
}

function classFor(units: number): number {
  let size_class = 0;
  while (unitsOf(size_class) < units) size_class++;
  return size_class;
}

class Pool {
  units = new Uint16Array(POOL_UNITS_MIN);
  /** The same memory; places are even. */
  words = new Int32Array(this.units.buffer);
  top = 0;
  live = 0;
  readonly #free: number[][] = Array.from({ length: CLASSES }, () => []);

  take(size_class: number): number {
    const size = unitsOf(size_class);
    this.live += size;
    const reused = this.#free[size_class]!.pop();
    if (reused !== undefined) return reused;
    const place = this.top;
    this.top += size;
    if (this.top > this.units.length) {
      const larger = new Uint16Array(Math.max(this.top, this.units.length * 2));
      larger.set(this.units);
      this.#use(larger);
    }
    return place;
  }

  give(place: number, size_class: number): void {
    this.live -= unitsOf(size_class);
    if (this.live === 0) this.#reset();
    else this.#free[size_class]!.push(place);
  }

  #reset(): void {
    for (const list of this.#free) list.length = 0;
    this.top = 0;
    if (this.units.length > POOL_UNITS_MIN) this.#use(new Uint16Array(POOL_UNITS_MIN));
  }

  #use(units: Uint16Array<ArrayBuffer>): void {
    this.units = units;
    this.words = new Int32Array(units.buffer);
  }
}

export class OwnerSets {
  readonly #pools = [new Pool(), new Pool()] as const;
  /** New sets go here; the other one is empty but while sets move over. */
  #current: 0 | 1 = 0;
  /** Whether the last `add` or `remove` changed anything. */
  changed = false;
  /** Owner ids end before this: how large a bitset is made. */
  #owners_end = 0;

  get bytes(): number {
    return 2 * (this.#pools[0].units.length + this.#pools[1].units.length);
  }

  /** `ref` with the owner; the same `ref` when it was in already. */
  add(ref: number, owner: number): number {
    if (owner >= this.#owners_end) this.#owners_end = owner + 1;
    this.changed = ref !== owner + 1;
    if (ref === 0 || !this.changed) return owner + 1;
    if (ref > 0) {
      const other = ref - 1;
      return this.#newList(Math.min(owner, other), Math.max(owner, other));
    }
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    return (units[place]! & BITSET) === 0
      ? this.#addToList(ref, place, owner)
      : this.#addToBits(ref, place, owner);
  }

  /** `ref` without the owner; the same `ref` when it was not in. */
  remove(ref: number, owner: number): number {
    this.changed = ref < 0 || ref === owner + 1;
    if (ref >= 0) return this.changed ? 0 : ref;
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    return (units[place]! & BITSET) === 0
      ? this.#removeFromList(ref, place, owner)
      : this.#removeFromBits(ref, place, owner);
  }

  has(ref: number, owner: number): boolean {
    if (ref >= 0) return ref === owner + 1;
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    const first = place + HEADER_UNITS;
    if ((units[place]! & BITSET) === 0) {
      for (let i = 0; i < units[place + 1]!; i++) if (units[first + i] === owner) return true;
      return false;
    }
    const fits = owner >>> 4 < unitsOf(units[place]! & 0xf) - HEADER_UNITS;
    return fits && (units[first + (owner >>> 4)]! & (1 << (owner & 15))) !== 0;
  }

  /** Writes the owners in rising order to `out`; returns how many. */
  members(ref: number, out: Uint16Array): number {
    if (ref >= 0) {
      if (ref === 0) return 0;
      out[0] = ref - 1;
      return 1;
    }
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    const head = units[place]!;
    const first = place + HEADER_UNITS;
    if ((head & BITSET) === 0) {
      const count = units[place + 1]!;
      for (let i = 0; i < count; i++) out[i] = units[first + i]!;
      return count;
    }
    const words = unitsOf(head & 0xf) - HEADER_UNITS;
    let count = 0;
    for (let word = 0; word < words; word++) {
      for (let bits = units[first + word]!; bits !== 0; bits &= bits - 1) {
        out[count++] = word * 16 + 31 - Math.clz32(bits & -bits);
      }
    }
    return count;
  }

  /**
   * Writes the owners that are in one of the two and not in the other; returns how many, or -1 when
   * the two differ in form and finding out would take longer than looking at both.
   */
  difference(a: number, b: number, out: Uint16Array): number {
    if (a === b) return 0;
    if (a > 0 || b > 0) return -1;
    const left = this.#poolOf(a).units;
    const right = this.#poolOf(b).units;
    const at = placeOf(a);
    const other = placeOf(b);
    const head = left[at]!;
    if ((head & BITSET) === 0) {
      return (right[other]! & BITSET) === 0 ? differingMembers(left, at, right, other, out) : -1;
    }
    if (head !== right[other]) return -1;
    return differingBits(this.#poolOf(a).words, at, this.#poolOf(b).words, other, head & 0xf, out);
  }

  /** The set without all whose `gone` is not 0, moved to the current pool. */
  without(ref: number, gone: Uint8Array, scratch: Uint16Array): number {
    if (ref >= 0) return ref > 0 && gone[ref - 1] !== 0 ? 0 : ref;
    const before = this.members(ref, scratch);
    let after = 0;
    for (let i = 0; i < before; i++) if (gone[scratch[i]!] === 0) scratch[after++] = scratch[i]!;
    if (after === before && this.#poolIndexOf(ref) === this.#current) return ref;
    this.#give(ref);
    if (after < 2) return after === 0 ? 0 : scratch[0]! + 1;
    return this.#newSet(scratch, after);
  }

  /**
   * Begins a move if most of the pool is free. True: new sets go to another pool from now on; the
   * owner of the refs then passes each through `without`, after which the old pool is empty.
   */
  compact(): boolean {
    const pool = this.#pools[this.#current];
    const other = this.#current === 0 ? 1 : 0;
    if (pool.units.length < COMPACT_UNITS_MIN || pool.live * 3 > pool.units.length) return false;
    if (this.#pools[other].live > 0) return false;
    this.#current = other;
    return true;
  }

  #unchanged(ref: number): number {
    this.changed = false;
    return ref;
  }

  #poolIndexOf(ref: number): 0 | 1 {
    return ((ref >>> 30) & 1) as 0 | 1;
  }

  #poolOf(ref: number): Pool {
    return this.#pools[this.#poolIndexOf(ref)];
  }

  #take(size_class: number): number {
    const place = this.#pools[this.#current].take(size_class) / CLASS_UNITS_MIN;
    return 0x8000_0000 | (this.#current << 30) | place;
  }

  #give(ref: number): void {
    const pool = this.#poolOf(ref);
    pool.give(placeOf(ref), pool.units[placeOf(ref)]! & 0xf);
  }

  #newList(first: number, second: number): number {
    const ref = this.#take(0);
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    units[place] = 0;
    units[place + 1] = 2;
    units[place + 2] = first;
    units[place + 3] = second;
    return ref;
  }

  /** Makes a set of `count` rising members, in the smaller form. */
  #newSet(members: Uint16Array, count: number): number {
    const list_class = classFor(count + HEADER_UNITS);
    const bits_class = this.#bitsClass(members[count - 1]!);
    const as_bits = bits_class <= list_class;
    const size_class = as_bits ? bits_class : list_class;
    const ref = this.#take(size_class);
    const { units } = this.#poolOf(ref);
    const place = placeOf(ref);
    units[place] = size_class | (as_bits ? BITSET : 0);
    units[place + 1] = count;
    const first = place + HEADER_UNITS;
    if (!as_bits) {
      for (let i = 0; i < count; i++) units[first + i] = members[i]!;
      return ref;
    }
    units.fill(0, first, place + unitsOf(size_class));
    for (let i = 0; i < count; i++) {
      const owner = members[i]!;
      units[first + (owner >>> 4)]! |= 1 << (owner & 15);
    }
    return ref;
  }

  #bitsClass(owner: number): number {
    return classFor(HEADER_UNITS + ((Math.max(owner + 1, this.#owners_end) + 15) >>> 4));
  }

  #addToList(ref: number, place: number, owner: number): number {
    const pool = this.#poolOf(ref);
    const { units } = pool;
    const size_class = units[place]!;
    const count = units[place + 1]!;
    const first = place + HEADER_UNITS;
    let at = first + count;
    while (at > first && units[at - 1]! > owner) at--;
    if (at > first && units[at - 1] === owner) return this.#unchanged(ref);
    if (count < unitsOf(size_class) - HEADER_UNITS) {
      units.copyWithin(at + 1, at, first + count);
      units[at] = owner;
      units[place + 1] = count + 1;
      return ref;
    }
    const members = new Uint16Array(count + 1);
    const before = at - first;
    members.set(units.subarray(first, at));
    members[before] = owner;
    members.set(units.subarray(at, first + count), before + 1);
    this.#give(ref);
    return this.#newSet(members, count + 1);
  }

  #addToBits(ref: number, place: number, owner: number): number {
    const { units } = this.#poolOf(ref);
    const size_class = units[place]! & 0xf;
    const words = unitsOf(size_class) - HEADER_UNITS;
    const word = owner >>> 4;
    if (word >= words) {
      const members = new Uint16Array(units[place + 1]! + 1);
      const count = this.members(ref, members);
      members[count] = owner;
      this.#give(ref);
      return this.#newSet(members, count + 1);
    }
    const at = place + HEADER_UNITS + word;
    const bit = 1 << (owner & 15);
    if ((units[at]! & bit) !== 0) return this.#unchanged(ref);
    units[at]! |= bit;
    units[place + 1]!++;
    return ref;
  }

  #removeFromList(ref: number, place: number, owner: number): number {
    const { units } = this.#poolOf(ref);
    const size_class = units[place]!;
    const count = units[place + 1]!;
    const first = place + HEADER_UNITS;
    const end = first + count;
    let at = first;
    while (at < end && units[at]! < owner) at++;
    if (at === end || units[at] !== owner) return this.#unchanged(ref);
    units.copyWithin(at, at + 1, end);
    units[place + 1] = count - 1;
    if (count === 2) {
      const last = units[first]!;
      this.#give(ref);
      return last + 1;
    }
    const few = size_class > 0 && (count - 1) * 3 < unitsOf(size_class) - HEADER_UNITS;
    return few ? this.#remake(ref, place) : ref;
  }

  #removeFromBits(ref: number, place: number, owner: number): number {
    const { units } = this.#poolOf(ref);
    const words = unitsOf(units[place]! & 0xf) - HEADER_UNITS;
    const at = place + HEADER_UNITS + (owner >>> 4);
    const bit = 1 << (owner & 15);
    if (owner >>> 4 >= words || (units[at]! & bit) === 0) return this.#unchanged(ref);
    units[at]! &= ~bit;
    const count = --units[place + 1]!;
    return count === 1 || count * 3 < words ? this.#remake(ref, place) : ref;
  }

  /** The same members in a smaller place. */
  #remake(ref: number, place: number): number {
    const members = new Uint16Array(this.#poolOf(ref).units[place + 1]!);
    const count = this.members(ref, members);
    this.#give(ref);
    return count === 1 ? members[0]! + 1 : this.#newSet(members, count);
  }
}

function placeOf(ref: number): number {
  return (ref & PLACE) * CLASS_UNITS_MIN;
}

/** Members in one of two sorted lists at these places, and not in the other. */
function differingMembers(
  left: Uint16Array,
  at: number,
  right: Uint16Array,
  other: number,
  out: Uint16Array,
): number {
  let i = at + HEADER_UNITS;
  let j = other + HEADER_UNITS;
  const left_end = i + left[at + 1]!;
  const right_end = j + right[other + 1]!;
  let count = 0;
  while (i < left_end && j < right_end) {
    const l = left[i]!;
    const r = right[j]!;
    if (l <= r) i++;
    if (r <= l) j++;
    if (l !== r) out[count++] = Math.min(l, r);
  }
  while (i < left_end) out[count++] = left[i++]!;
  while (j < right_end) out[count++] = right[j++]!;
  return count;
}

/** The same for two bitsets of one class: 32 owners at a time. */
function differingBits(
  left: Int32Array,
  at: number,
  right: Int32Array,
  other: number,
  size_class: number,
  out: Uint16Array,
): number {
  const words = unitsOf(size_class) >>> 1;
  const a = at >>> 1;
  const b = other >>> 1;
  let count = 0;
  // The first word is the header.
  for (let word = 1; word < words; word++) {
    for (let bits = left[a + word]! ^ right[b + word]!; bits !== 0; bits &= bits - 1) {
      out[count++] = (word - 1) * 32 + 31 - Math.clz32(bits & -bits);
    }
  }
  return count;
}
