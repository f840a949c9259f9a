/**
 * Which owner holds which block, exactly. An owner is one tier of one rank of one worker; a group
 * is a rank of a worker, whose tiers count together.
 *
 *   sequence hash ─▶ BlockTable ─▶ OwnerSets ref ─▶ owners ─▶ groups
 *
 * A sequence hash names a whole prefix, so a block needs no parent here: one that is stored before
 * its parent, or outlives it, is kept, and counts as soon as everything before it is there.
 *
 * An owner that leaves is marked gone at once and taken out of the sets later, a segment at a time
 * (`sweep`), so that the end of a worker with a million blocks holds nobody up.
 */
import { BlockTable, type HashPairs } from "../../../llm/block-table.ts";
import { type CacheMatches, grown, TIERS } from "./cache-matches.ts";
import { OWNERS_MAX, OwnerSets } from "./owner-sets.ts";

/** A rank of a worker, as matches name it. */
export type GroupNames = { readonly slots: Int32Array; readonly ranks: Int32Array };

/** Blocks whose slots are read ahead at once; a power of two. */
const TOUCHED = 16;
const NOBODY = -1;

export class BlockIndex {
  private readonly groups: GroupNames;
  private readonly blocks_max: number;
  private readonly table = new BlockTable();
  private readonly sets = new OwnerSets();
  private owners_end = 0;
  private readonly free_owners: number[] = [];
  /** 1: has left, but may still be in sets. */
  private gone = new Uint8Array(64);
  /** -1 when the owner has left. */
  private group_of = new Int32Array(64);
  private tier_of = new Int32Array(64);
  private held = new Int32Array(64);
  /** Gone before the pass under way began, and since. */
  private leaving: number[] = [];
  private left: number[] = [];
  private sweeping = false;
  private pass = 0;
  private readonly members = new Uint16Array(OWNERS_MAX);
  /** Owner by group and tier, -1 when there is none. */
  private owner_at = new Int32Array(64 * TIERS).fill(NOBODY);
  // Of one lookup. Groups that hold the first block, and those of them that hold all so far.
  private started = new Int32Array(64);
  private started_count = 0;
  private alive = new Int32Array(64);
  private alive_count = 0;
  // By group: its place in `alive`, its tier now, and the block since when.
  private place = new Int32Array(64);
  private tier_now = new Int32Array(64);
  private since = new Int32Array(64);
  private counts = new Int32Array(64 * TIERS);
  // Of the set looked at last: its groups, who they are, their fastest tier.
  private tick = 0;
  private seen = new Int32Array(64);
  private best = new Int32Array(64);
  private looked = new Int32Array(64);

  /** More than `blocks_max` blocks of one owner are refused. `groups` is the caller's, and grows. */
  constructor(groups: GroupNames, blocks_max = Number.POSITIVE_INFINITY) {
    this.groups = groups;
    this.blocks_max = blocks_max;
  }

  /** Distinct blocks; those of owners that have left count until they are swept. */
  get block_count(): number {
    return this.table.count;
  }

  get bytes(): number {
    return this.table.bytes + this.sets.bytes;
  }

  /** True: `sweep` has something to do. */
  get unswept(): boolean {
    return this.sweeping || this.left.length > 0;
  }

  heldBy(owner: number): number {
    return this.held[owner]!;
  }

  /** Undefined when there are as many owners as there can be. */
  addOwner(group: number, tier: number): number | undefined {
    const owner = this.free_owners.pop() ?? this.owners_end;
    if (owner >= OWNERS_MAX) return undefined;
    if (owner === this.owners_end) this.owners_end++;
    if (owner >= this.gone.length) this.growOwners();
    if (group >= this.seen.length) this.growGroups(group);
    this.gone[owner] = 0;
    this.group_of[owner] = group;
    this.tier_of[owner] = tier;
    this.owner_at[group * TIERS + tier] = owner;
    this.held[owner] = 0;
    return owner;
  }

  /** Its blocks count no more from now on. */
  removeOwner(owner: number): void {
    this.owner_at[this.group_of[owner]! * TIERS + this.tier_of[owner]!] = NOBODY;
    this.gone[owner] = 1;
    this.group_of[owner] = NOBODY;
    if (this.held[owner] === 0) this.freeOwner(owner);
    else this.left.push(owner);
    this.held[owner] = 0;
  }

  /** How many blocks were refused, since the owner holds as many as it may. */
  store(owner: number, hashes: HashPairs): number {
    const { table, sets } = this;
    const room = this.blocks_max - this.held[owner]!;
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
    this.held[owner]! += added;
    return refused;
  }

  /** How many of the blocks it did not hold. */
  remove(owner: number, hashes: HashPairs): number {
    const { table, sets } = this;
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
    this.held[owner]! -= removed;
    return count - removed;
  }

  /**
   * Adds to `out` each group that holds the first block, with its leading blocks among the first
   * `count`. Every block is looked up, as a cache may have holes; but of its owners only those are
   * looked at that the block before did not have, or had. Allocates nothing.
   */
  match(hashes: HashPairs, count: number, out: CacheMatches): void {
    const { table, sets } = this;
    let before = 0;
    let block = 0;
    this.started_count = 0;
    this.alive_count = 0;
    for (; block < count; block++) {
      if ((block & (TOUCHED - 1)) === 0)
        table.touch(hashes, block, Math.min(count, block + TOUCHED));
      const at = table.find(hashes[2 * block]! | 0, hashes[2 * block + 1]! | 0);
      if (at < 0) break;
      const ref = table.cells[at + 2]!;
      if (ref === before) continue;
      if (block === 0) {
        this.start(ref);
      } else {
        const differing = sets.difference(ref, before, this.members);
        if (differing < 0) this.follow(ref, block);
        else if (differing > 0) this.followDifference(ref, block, differing);
      }
      before = ref;
      if (this.alive_count === 0) break;
    }
    for (let k = 0; k < this.alive_count; k++) this.settle(this.alive[k]!, block);
    if (this.started_count > 0) this.emit(out);
  }

  private start(ref: number): void {
    const { alive, started, since, place, looked } = this;
    const count = this.look(ref);
    for (let k = 0; k < count; k++) {
      const group = looked[k]!;
      alive[k] = group;
      started[k] = group;
      place[group] = k;
      since[group] = 0;
      this.tier_now[group] = this.best[group]!;
    }
    this.started_count = count;
    this.alive_count = count;
  }

  /** From this block on they have what the set says; who is not in it has come to his end. */
  private follow(ref: number, block: number): void {
    const { alive, seen, best } = this;
    this.look(ref);
    for (let k = this.alive_count - 1; k >= 0; k--) {
      const group = alive[k]!;
      this.goOn(group, seen[group] === this.tick ? best[group]! : TIERS, block);
    }
  }

  /** The same, of the owners in which the set differs from the one before. */
  private followDifference(ref: number, block: number, differing: number): void {
    const { members, group_of, alive, place, owner_at, sets } = this;
    for (let k = 0; k < differing; k++) {
      const group = group_of[members[k]!]!;
      if (group === NOBODY || alive[place[group]!] !== group) continue;
      if (place[group]! >= this.alive_count) continue;
      let tier = 0;
      for (; tier < TIERS; tier++) {
        const owner = owner_at[group * TIERS + tier]!;
        if (owner !== NOBODY && sets.has(ref, owner)) break;
      }
      this.goOn(group, tier, block);
    }
  }

  /** `tier` is the fastest one in which the group has this block, TIERS = none. */
  private goOn(group: number, tier: number, block: number): void {
    if (tier === this.tier_now[group]) return;
    this.settle(group, block);
    this.since[group] = block;
    this.tier_now[group] = tier;
    if (tier < TIERS) return;
    const { alive, place } = this;
    const last = alive[--this.alive_count]!;
    const hole = place[group]!;
    alive[hole] = last;
    place[last] = hole;
    place[group] = this.alive_count;
    alive[this.alive_count] = group;
  }

  /** The blocks before `block` that are not counted yet. */
  private settle(group: number, block: number): void {
    this.counts[group * TIERS + this.tier_now[group]!]! += block - this.since[group]!;
  }

  /** Lists the groups of a set, and the fastest tier of each. */
  private look(ref: number): number {
    const { members, group_of, tier_of, seen, best, looked } = this;
    const tick = (this.tick + 1) | 0;
    this.tick = tick;
    const size = this.sets.members(ref, members);
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

  private emit(out: CacheMatches): void {
    const { counts, started, started_count } = this;
    const { slots, ranks } = this.groups;
    out.reserve(started_count, this.seen.length);
    const { slots: out_slots, ranks: out_ranks, blocks: out_blocks, tier_blocks } = out;
    for (let k = 0; k < started_count; k++) {
      const group = started[k]!;
      const at = group * TIERS;
      const blocks = counts[at]! + counts[at + 1]! + counts[at + 2]! + counts[at + 3]!;
      const row = out.claim(group, blocks);
      if (row >= 0) {
        const to = row * TIERS;
        out_slots[row] = slots[group]!;
        out_ranks[row] = ranks[group]!;
        out_blocks[row] = blocks;
        for (let tier = 0; tier < TIERS; tier++) tier_blocks[to + tier] = counts[at + tier]!;
      }
      for (let tier = 0; tier < TIERS; tier++) counts[at + tier] = 0;
    }
  }

  holds(owner: number, lo: number, hi: number): boolean {
    const ref = this.table.get(lo, hi);
    return ref === owner + 1 || (ref < 0 && this.sets.has(ref, owner));
  }

  /**
   * Takes owners that have left out of the sets, at most `segments_max` segments (some 20,000
   * blocks, about a millisecond, each). Memory that this frees is given back. True: there is more.
   */
  sweep(segments_max: number): boolean {
    if (!this.sweeping && !this.beginPass()) return false;
    let budget = segments_max;
    for (const segment of this.table.segments()) {
      if (segment.pass === this.pass) continue;
      if (budget-- === 0) return true;
      this.table.rewrite(segment, (ref) => this.sets.without(ref, this.gone, this.members));
      segment.pass = this.pass;
    }
    this.sweeping = false;
    for (const owner of this.leaving.splice(0)) this.freeOwner(owner);
    if (this.table.count === 0) this.table.clear();
    return this.left.length > 0;
  }

  private beginPass(): boolean {
    const worth_moving = this.sets.compact();
    if (this.left.length === 0 && !worth_moving) return false;
    this.leaving = this.left;
    this.left = [];
    this.pass++;
    this.sweeping = true;
    return true;
  }

  private freeOwner(owner: number): void {
    this.free_owners.push(owner);
  }

  private growOwners(): void {
    const gone = new Uint8Array(this.gone.length * 2);
    gone.set(this.gone);
    this.gone = gone;
    this.group_of = grown(this.group_of, gone.length);
    this.tier_of = grown(this.tier_of, gone.length);
    this.held = grown(this.held, gone.length);
  }

  private growGroups(group: number): void {
    const before = this.seen.length;
    this.seen = grown(this.seen, group + 1);
    const { length } = this.seen;
    this.best = grown(this.best, length);
    this.looked = grown(this.looked, length);
    this.alive = grown(this.alive, length);
    this.started = grown(this.started, length);
    this.place = grown(this.place, length);
    this.tier_now = grown(this.tier_now, length);
    this.since = grown(this.since, length);
    this.counts = grown(this.counts, length * TIERS);
    this.owner_at = grown(this.owner_at, length * TIERS).fill(NOBODY, before * TIERS);
  }
}
