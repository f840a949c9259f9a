/**
 * Exact index of blocks and their owners. An owner is one tier of one rank of one worker; a group
 * is a rank of a worker, whose tiers count together.
 *
 *   sequence hash ─▶ BlockTable ─▶ OwnerSets ref ─▶ owners ─▶ groups
 *
 * A sequence hash names a whole prefix, so a block needs no parent here: one that is stored before
 * its parent, or outlives it, is kept, and counts as soon as everything before it is there.
 *
 * An owner that leaves is marked gone at once and taken out of the sets later, a segment at a time
 * (`sweep`), so that the end of a worker with a million blocks delays no request.
 */
import { BlockTable, type HashPairs } from "../../../llm/blocks/block-table.ts";
import { type CacheMatches, type GroupNames, grown, TIERS } from "./cache-matches.ts";
import { OWNERS_MAX, OwnerSets } from "./owner-sets.ts";

/** Blocks whose slots are read ahead at once; a power of two. */
const TOUCHED = 16;
const NOBODY = -1;

export class BlockIndex {
  readonly #groups: GroupNames;
  readonly #blocks_max: number;
  readonly #table = new BlockTable();
  readonly #sets = new OwnerSets();
  #owners_end = 0;
  readonly #free_owners: number[] = [];
  /** 1: has left, but may still be in sets. */
  #gone = new Uint8Array(64);
  /** -1 when the owner has left. */
  #group_of = new Int32Array(64);
  #tier_of = new Int32Array(64);
  #held = new Int32Array(64);
  /** Owners that left before the pass under way began; then those that left since. */
  #leaving: number[] = [];
  #left: number[] = [];
  #sweeping = false;
  #pass = 0;
  readonly #members = new Uint16Array(OWNERS_MAX);
  /** Owner by group and tier, -1 when there is none. */
  #owner_at = new Int32Array(64 * TIERS).fill(NOBODY);
  // State of one lookup by row of its result: rows that hold all blocks so far, the place of each
  // among them, its tier now, and the block from which it has this tier.
  #alive = new Int32Array(64);
  #alive_count = 0;
  #place = new Int32Array(64);
  #tier_now = new Int32Array(64);
  #since = new Int32Array(64);
  #row_of = new Int32Array(64);
  // The set looked at last: its groups, and the fastest tier of each.
  #tick = 0;
  #seen = new Int32Array(64);
  #best = new Int32Array(64);
  #looked = new Int32Array(64);

  /**
   * More than `blocks_max` blocks of one owner are refused. `groups` is the caller's, and grows.
   */
  constructor(groups: GroupNames, blocks_max = Number.POSITIVE_INFINITY) {
    this.#groups = groups;
    this.#blocks_max = blocks_max;
  }

  /** Distinct blocks; those of owners that have left count until they are swept. */
  get block_count(): number {
    return this.#table.count;
  }

  get bytes(): number {
    return this.#table.bytes + this.#sets.bytes;
  }

  heldBy(owner: number): number {
    return this.#held[owner]!;
  }

  /** Undefined when there are as many owners as there can be. */
  addOwner(group: number, tier: number): number | undefined {
    const owner = this.#free_owners.pop() ?? this.#owners_end;
    if (owner >= OWNERS_MAX) return undefined;
    if (owner === this.#owners_end) this.#owners_end++;
    if (owner >= this.#gone.length) this.#growOwners();
    if (group >= this.#seen.length) this.#growGroups(group);
    this.#gone[owner] = 0;
    this.#group_of[owner] = group;
    this.#tier_of[owner] = tier;
    this.#owner_at[group * TIERS + tier] = owner;
    this.#held[owner] = 0;
    return owner;
  }

  /** Removes an owner; its blocks do not count from now on. */
  removeOwner(owner: number): void {
    this.#owner_at[this.#group_of[owner]! * TIERS + this.#tier_of[owner]!] = NOBODY;
    this.#gone[owner] = 1;
    this.#group_of[owner] = NOBODY;
    if (this.#held[owner] === 0) this.#freeOwner(owner);
    else this.#left.push(owner);
    this.#held[owner] = 0;
  }

  /** Returns how many blocks were refused, because the owner holds as many as it may. */
  store(owner: number, hashes: HashPairs): number {
    const table = this.#table;
    const sets = this.#sets;
    const room = this.#blocks_max - this.#held[owner]!;
    let added = 0;
    let refused = 0;
    const count = hashes.length >>> 1;
    for (let i = 0; i < count; i++) {
      if ((i & (TOUCHED - 1)) === 0) table.touch(hashes, i, Math.min(count, i + TOUCHED));
      const lo = hashes[2 * i]! | 0;
      const hi = hashes[2 * i + 1]! | 0;
      if (added >= room) {
        if (!this.holds(owner, lo, hi)) refused++;
        continue;
      }
      const at = table.claim(lo, hi) + 2;
      const { cells } = table;
      const before = cells[at]!;
      if (before === 0) {
        cells[at] = owner + 1;
        added++;
      } else {
        cells[at] = sets.add(before, owner);
        if (sets.changed) added++;
      }
    }
    this.#held[owner]! += added;
    return refused;
  }

  /** Returns how many of the blocks the owner did not hold. */
  remove(owner: number, hashes: HashPairs): number {
    const table = this.#table;
    const sets = this.#sets;
    let removed = 0;
    const count = hashes.length >>> 1;
    for (let i = 0; i < count; i++) {
      if ((i & (TOUCHED - 1)) === 0) table.touch(hashes, i, Math.min(count, i + TOUCHED));
      const at = table.find(hashes[2 * i]! | 0, hashes[2 * i + 1]! | 0);
      if (at < 0) continue;
      const { cells } = table;
      const before = cells[at + 2]!;
      if (before === owner + 1) {
        table.removeAt(at);
        removed++;
      } else if (before < 0) {
        cells[at + 2] = sets.remove(before, owner);
        if (sets.changed) removed++;
      }
    }
    this.#held[owner]! -= removed;
    return count - removed;
  }

  /**
   * Fills `out` with each group that holds the first block, and its leading blocks among the first
   * `count`. Every block is looked up, as a cache may have holes. Only owners that differ from
   * those of the block before are looked at. Allocates nothing.
   */
  match(hashes: HashPairs, count: number, out: CacheMatches): void {
    const table = this.#table;
    const sets = this.#sets;
    let before = 0;
    let block = 0;
    out.count = 0;
    this.#alive_count = 0;
    for (; block < count; block++) {
      if ((block & (TOUCHED - 1)) === 0)
        table.touch(hashes, block, Math.min(count, block + TOUCHED));
      const at = table.find(hashes[2 * block]! | 0, hashes[2 * block + 1]! | 0);
      if (at < 0) break;
      const ref = table.cells[at + 2]!;
      if (ref === before) continue;
      if (block === 0) {
        this.#start(ref, out);
      } else {
        const differing = sets.difference(ref, before, this.#members);
        if (differing < 0) this.#follow(ref, block, out);
        else if (differing > 0) this.#followDifference(ref, block, differing, out);
      }
      before = ref;
      if (this.#alive_count === 0) break;
    }
    for (let k = 0; k < this.#alive_count; k++) this.#settle(this.#alive[k]!, block, out);
  }

  #start(ref: number, out: CacheMatches): void {
    const alive = this.#alive;
    const place = this.#place;
    const row_of = this.#row_of;
    const tier_now = this.#tier_now;
    const looked = this.#looked;
    const best = this.#best;
    const count = this.#look(ref);
    out.begin(looked, count, this.#groups);
    for (let row = 0; row < count; row++) {
      const group = looked[row]!;
      row_of[group] = row;
      alive[row] = row;
      place[row] = row;
      tier_now[row] = best[group]!;
    }
    this.#since.fill(0, 0, count);
    this.#alive_count = count;
  }

  /** Applies a whole set: its groups go on with this block, and the other groups end here. */
  #follow(ref: number, block: number, out: CacheMatches): void {
    const alive = this.#alive;
    const place = this.#place;
    const seen = this.#seen;
    const best = this.#best;
    this.#look(ref);
    const count = this.#alive_count;
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const row = alive[k]!;
      const group = out.groups[row]!;
      if (seen[group] !== this.#tick) {
        this.#settle(row, block, out);
        continue;
      }
      this.#goOn(row, best[group]!, block, out);
      alive[kept] = row;
      place[row] = kept++;
    }
    this.#alive_count = kept;
  }

  /** As `#follow`, for only the owners in which the set differs from the one before. */
  #followDifference(ref: number, block: number, count: number, out: CacheMatches): void {
    const members = this.#members;
    const group_of = this.#group_of;
    const alive = this.#alive;
    const place = this.#place;
    const owner_at = this.#owner_at;
    const sets = this.#sets;
    const row_of = this.#row_of;
    for (let k = 0; k < count; k++) {
      const group = group_of[members[k]!]!;
      if (group === NOBODY) continue;
      const row = row_of[group]!;
      if (row >= out.count || out.groups[row] !== group) continue;
      const at = place[row]!;
      if (at >= this.#alive_count || alive[at] !== row) continue;
      let tier = 0;
      for (; tier < TIERS; tier++) {
        const owner = owner_at[group * TIERS + tier]!;
        if (owner !== NOBODY && sets.has(ref, owner)) break;
      }
      if (tier < TIERS) {
        this.#goOn(row, tier, block, out);
        continue;
      }
      this.#settle(row, block, out);
      const last = alive[--this.#alive_count]!;
      alive[at] = last;
      place[last] = at;
    }
  }

  #goOn(row: number, tier: number, block: number, out: CacheMatches): void {
    if (tier === this.#tier_now[row]) return;
    this.#settle(row, block, out);
    this.#since[row] = block;
    this.#tier_now[row] = tier;
  }

  /** Counts the blocks before `block` that are not counted yet. */
  #settle(row: number, block: number, out: CacheMatches): void {
    const blocks = block - this.#since[row]!;
    out.blocks[row]! += blocks;
    out.tier_blocks[row * TIERS + this.#tier_now[row]!]! += blocks;
  }

  /** Lists the groups of a set, and the fastest tier of each. */
  #look(ref: number): number {
    const members = this.#members;
    const group_of = this.#group_of;
    const tier_of = this.#tier_of;
    const seen = this.#seen;
    const best = this.#best;
    const looked = this.#looked;
    const tick = (this.#tick + 1) | 0;
    this.#tick = tick;
    const size = this.#sets.members(ref, members);
    let count = 0;
    for (let k = 0; k < size; k++) {
      const owner = members[k]!;
      const group = group_of[owner]!;
      if (group === NOBODY) continue;
      const tier = tier_of[owner]!;
      if (seen[group] !== tick) {
        seen[group] = tick;
        best[group] = tier;
        looked[count++] = group;
      } else if (tier < best[group]!) {
        best[group] = tier;
      }
    }
    return count;
  }

  holds(owner: number, lo: number, hi: number): boolean {
    const ref = this.#table.get(lo, hi);
    return ref === owner + 1 || (ref < 0 && this.#sets.has(ref, owner));
  }

  /**
   * Takes owners that have left out of the sets, at most `segments_max` segments (some 20,000
   * blocks, about a millisecond, each). Memory that this frees is given back. True: there is more.
   */
  sweep(segments_max: number): boolean {
    if (!this.#sweeping && !this.#beginPass()) return false;
    let budget = segments_max;
    for (const segment of this.#table.segments()) {
      if (segment.pass === this.#pass) continue;
      if (budget-- === 0) return true;
      this.#table.rewrite(segment, (ref) => this.#sets.without(ref, this.#gone, this.#members));
      segment.pass = this.#pass;
    }
    this.#sweeping = false;
    for (const owner of this.#leaving.splice(0)) this.#freeOwner(owner);
    if (this.#table.count === 0) this.#table.clear();
    return this.#left.length > 0;
  }

  #beginPass(): boolean {
    const worth_moving = this.#sets.compact();
    if (this.#left.length === 0 && !worth_moving) return false;
    this.#leaving = this.#left;
    this.#left = [];
    this.#pass++;
    this.#sweeping = true;
    return true;
  }

  #freeOwner(owner: number): void {
    this.#free_owners.push(owner);
  }

  #growOwners(): void {
    const gone = new Uint8Array(this.#gone.length * 2);
    gone.set(this.#gone);
    this.#gone = gone;
    this.#group_of = grown(this.#group_of, gone.length);
    this.#tier_of = grown(this.#tier_of, gone.length);
    this.#held = grown(this.#held, gone.length);
  }

  #growGroups(group: number): void {
    const before = this.#seen.length;
    this.#seen = grown(this.#seen, group + 1);
    const { length } = this.#seen;
    this.#best = grown(this.#best, length);
    this.#looked = grown(this.#looked, length);
    this.#alive = grown(this.#alive, length);
    this.#row_of = grown(this.#row_of, length);
    this.#place = grown(this.#place, length);
    this.#tier_now = grown(this.#tier_now, length);
    this.#since = grown(this.#since, length);
    this.#owner_at = grown(this.#owner_at, length * TIERS).fill(NOBODY, before * TIERS);
  }
}
