/**
 * Result of a lookup: a row for each rank of each worker that holds the first block, with its
 * number of leading blocks. It is made once and filled again by each lookup; it grows and never
 * shrinks.
 */

export const TIERS = 4;

export class CacheMatches {
  /** Rows in use. */
  count = 0;
  slots = new Int32Array(64);
  ranks = new Int32Array(64);
  /** Leading blocks held in any tier. */
  blocks = new Int32Array(64);
  /** `blocks` by the tier of the fastest copy: `TIERS * row + tier`, 0 = device. */
  tier_blocks = new Int32Array(64 * TIERS);
  /** For the indexes: the group of each row, and the row of each group that has one. */
  groups = new Int32Array(64);
  #rows = new Int32Array(64);

  /** Row of this rank of this worker, -1 when it has none of the blocks. */
  find(slot: number, rank: number): number {
    for (let row = 0; row < this.count; row++) {
      if (this.slots[row] === slot && this.ranks[row] === rank) return row;
    }
    return -1;
  }

  /** Begins again with an empty row for each of these groups. */
  begin(groups: Int32Array, count: number, names: GroupNames): void {
    this.#reserve(count, names.slots.length);
    const { slots, ranks, groups: own } = this;
    const rows = this.#rows;
    const { slots: slot_of, ranks: rank_of } = names;
    for (let row = 0; row < count; row++) {
      const group = groups[row]!;
      own[row] = group;
      rows[group] = row;
      slots[row] = slot_of[group]!;
      ranks[row] = rank_of[group]!;
    }
    this.blocks.fill(0, 0, count);
    this.tier_blocks.fill(0, 0, count * TIERS);
    this.count = count;
  }

  /** Takes the larger of each row of `other` and ours. Both number groups alike. */
  merge(other: CacheMatches): void {
    this.#reserve(this.count + other.count, other.#rows.length);
    for (let from = 0; from < other.count; from++) {
      const group = other.groups[from]!;
      let row = this.#rows[group]!;
      if (row >= this.count || this.groups[row] !== group) {
        row = this.count++;
        this.#rows[group] = row;
        this.groups[row] = group;
        this.slots[row] = other.slots[from]!;
        this.ranks[row] = other.ranks[from]!;
      } else if (this.blocks[row]! >= other.blocks[from]!) {
        continue;
      }
      this.blocks[row] = other.blocks[from]!;
      for (let tier = 0; tier < TIERS; tier++) {
        this.tier_blocks[row * TIERS + tier] = other.tier_blocks[from * TIERS + tier]!;
      }
    }
  }

  #reserve(rows: number, groups: number): void {
    if (groups > this.#rows.length) this.#rows = grown(this.#rows, groups);
    if (rows <= this.slots.length) return;
    this.slots = grown(this.slots, rows);
    this.ranks = grown(this.ranks, rows);
    this.blocks = grown(this.blocks, rows);
    this.groups = grown(this.groups, rows);
    this.tier_blocks = grown(this.tier_blocks, rows * TIERS);
  }
}

/** Names of groups: a group is a rank of a worker. */
export type GroupNames = { readonly slots: Int32Array; readonly ranks: Int32Array };

export function grown(array: Int32Array, length_min: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(length_min, array.length * 2));
  larger.set(array);
  return larger;
}
