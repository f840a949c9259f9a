/**
 * What a lookup says: for each rank of each worker that holds the first block, how many leading
 * blocks it holds. One is made once and filled anew by each lookup; it grows, but never shrinks.
 */

export const TIERS = 4;

export class CacheMatches {
  /** Rows in use. */
  count = 0;
  slots = new Int32Array(64);
  ranks = new Int32Array(64);
  /** Leading blocks held in any tier. */
  blocks = new Int32Array(64);
  /** Of those, where the fastest copy lies: `TIERS * row + tier`, 0 = device. Sums to `blocks`. */
  tier_blocks = new Int32Array(64 * TIERS);
  /** Row of a group in this filling, if `filling` says so too. */
  private rows = new Int32Array(64);
  private fillings = new Int32Array(64);
  private filling = 0;

  /** Row of this rank of this worker, -1 when it has none of the blocks. */
  find(slot: number, rank: number): number {
    for (let row = 0; row < this.count; row++) {
      if (this.slots[row] === slot && this.ranks[row] === rank) return row;
    }
    return -1;
  }

  clear(): void {
    this.count = 0;
    this.filling = (this.filling + 1) | 0;
  }

  /** For the indexes, before they `claim` that many rows for groups below `groups_end`. */
  reserve(rows: number, groups_end: number): void {
    if (groups_end > this.rows.length) this.growGroups(groups_end);
    if (this.count + rows > this.slots.length) this.growRows(this.count + rows);
  }

  /**
   * The row of a group for so many `blocks`: made, or the one that it has if this is more, to be
   * filled by the caller; -1 when that one says as much.
   */
  claim(group: number, blocks: number): number {
    if (this.fillings[group] !== this.filling) {
      this.fillings[group] = this.filling;
      this.rows[group] = this.count;
      return this.count++;
    }
    const row = this.rows[group]!;
    return this.blocks[row]! >= blocks ? -1 : row;
  }

  private growGroups(groups_end: number): void {
    this.rows = grown(this.rows, groups_end);
    this.fillings = grown(this.fillings, groups_end);
  }

  private growRows(rows: number): void {
    this.slots = grown(this.slots, rows);
    this.ranks = grown(this.ranks, rows);
    this.blocks = grown(this.blocks, rows);
    this.tier_blocks = grown(this.tier_blocks, rows * TIERS);
  }
}

export function grown(array: Int32Array, length_min: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(length_min, array.length * 2));
  larger.set(array);
  return larger;
}
