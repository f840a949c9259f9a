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

export class BlockIndex {
  private readonly groups: GroupNames;
  private readonly blocks_max: number;
  private readonly table = new BlockTable();
  private readonly sets = new OwnerSets();
  private owners_end = 0;
  private readonly free_owners: number[] = [];
  /** 1: has left, but may still be in sets. */
  private gone = new Uint8Array(64);
  private group_of = new Int32Array(64);
  private tier_of = new Int32Array(64);
  private held = new Int32Array(64);
  /** Gone before the pass under way began, and since. */
  private leaving: number[] = [];
  private left: number[] = [];
  private sweeping = false;
  private pass = 0;
  private readonly members = new Uint16Array(OWNERS_MAX);
  // Of one lookup, by group: seen in the set at hand, its fastest tier there, blocks by tier.
  private tick = 0;
  private seen = new Int32Array(64);
  private best = new Int32Array(64);
  private counts = new Int32Array(64 * TIERS);
  private alive = new Int32Array(64);
  private started = new Int32Array(64);
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
    this.held[owner] = 0;
    return owner;
  }

  /** Its blocks count no more from now on. */
  removeOwner(owner: number): void {
    this.gone[owner] = 1;
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
    for (let i = 0; i < hashes.length; i += 2) {
      const lo = hashes[i]! | 0;
      const hi = hashes[i + 1]! | 0;
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
    for (let i = 0; i < hashes.length; i += 2) {
      const at = table.find(hashes[i]! | 0, hashes[i + 1]! | 0);
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
    return (hashes.length >>> 1) - removed;
  }

  /**
   * Adds to `out` each group that holds the first block, with its leading blocks among the first
   * `count`. Every block is looked up, as a cache may have holes; but while the next block has the
   * same owners as the one before, their members are not looked at. Allocates nothing.
   */
  match(hashes: HashPairs, count: number, out: CacheMatches): void {
    const { table, sets } = this;
    let before = 0;
    let run = 0;
    let alive = 0;
    let started = 0;
    for (let i = 0; i < count; i++) {
      const at = table.find(hashes[2 * i]! | 0, hashes[2 * i + 1]! | 0);
      if (at < 0) break;
      const ref = table.cells[at + 2]!;
      if (ref === before || (before < 0 && sets.same(ref, before))) {
        run++;
        continue;
      }
      if (run > 0) this.credit(alive, run);
      run = 1;
      before = ref;
      const looked = this.look(ref);
      if (i === 0) {
        for (let k = 0; k < looked; k++) {
          this.started[k] = this.looked[k]!;
          this.alive[k] = this.looked[k]!;
        }
        started = looked;
        alive = looked;
      } else {
        alive = this.stillAlive(alive);
      }
      if (alive === 0) break;
    }
    this.credit(alive, run);
    this.emit(started, out);
  }

  /** Lists the groups of a set, and the fastest tier of each. */
  private look(ref: number): number {
    const { members, gone, group_of, tier_of, seen, best, looked } = this;
    this.tick = (this.tick + 1) | 0;
    const { tick } = this;
    const size = this.sets.members(ref, members);
    let count = 0;
    for (let k = 0; k < size; k++) {
      const owner = members[k]!;
      if (gone[owner] !== 0) continue;
      const group = group_of[owner]!;
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

  /** Those alive that `look` has just seen. */
  private stillAlive(count: number): number {
    const { alive, seen, tick } = this;
    let after = 0;
    for (let k = 0; k < count; k++) {
      const group = alive[k]!;
      if (seen[group] === tick) alive[after++] = group;
    }
    return after;
  }

  /** `run` more blocks for each group alive, in the tier of the set looked at last. */
  private credit(count: number, run: number): void {
    const { alive, counts, best } = this;
    for (let k = 0; k < count; k++) {
      const group = alive[k]!;
      counts[group * TIERS + best[group]!]! += run;
    }
  }

  private emit(started: number, out: CacheMatches): void {
    const { counts } = this;
    const { slots, ranks } = this.groups;
    for (let k = 0; k < started; k++) {
      const group = this.started[k]!;
      const base = group * TIERS;
      const blocks = counts[base]! + counts[base + 1]! + counts[base + 2]! + counts[base + 3]!;
      const row = out.claim(group, slots[group]!, ranks[group]!, blocks);
      for (let tier = 0; tier < TIERS; tier++) {
        if (row >= 0) out.tier_blocks[row * TIERS + tier] = counts[base + tier]!;
        counts[base + tier] = 0;
      }
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
    this.seen = grown(this.seen, group + 1);
    const { length } = this.seen;
    this.best = grown(this.best, length);
    this.alive = grown(this.alive, length);
    this.started = grown(this.started, length);
    this.looked = grown(this.looked, length);
    this.counts = grown(this.counts, length * TIERS);
  }
}
