/**
 * Guesses: blocks that an owner probably holds because a prompt with them was sent there. They
 * expire some time after the last prompt that had them. Used for workers that publish no cache
 * events, and until the event that a sent prompt's blocks are stored.
 */
import { BlockTable, type HashPairs } from "../../../llm/blocks/block-table.ts";
import { BlockIndex } from "./block-index.ts";
import { type CacheMatches, type GroupNames, grown } from "./cache-matches.ts";

/** The blocks of one owner in the order in which they were last named. */
type Recent = {
  readonly stamps: BlockTable;
  /** Low word, high word, stamp; an entry whose stamp is not the table's was named again later. */
  queue: Int32Array;
  head: number;
  tail: number;
};

const WORDS = 3;
/** How often expiry is looked at, as a share of the ttl. */
const SWEEPS_A_TTL = 64;

export class AgedBlocks {
  readonly #index: BlockIndex;
  readonly #ttl_ms: number;
  readonly #owners = new Map<number, Recent>();
  /** Stamp of each owner's first entry, by owner; 0 = it has none. Each look reads all of them. */
  #first_stamps = new Int32Array(64);
  #look_again_ms = Number.NEGATIVE_INFINITY;
  readonly #pair = new Uint32Array(2);

  /** `ttl_ms`: a block is forgotten so long after the last prompt that had it. */
  constructor(groups: GroupNames, ttl_ms: number) {
    this.#index = new BlockIndex(groups);
    this.#ttl_ms = ttl_ms;
  }

  get bytes(): number {
    let bytes = this.#index.bytes;
    for (const recent of this.#owners.values())
      bytes += recent.stamps.bytes + recent.queue.byteLength;
    return bytes;
  }

  get block_count(): number {
    return this.#index.block_count;
  }

  heldBy(owner: number): number {
    return this.#index.heldBy(owner);
  }

  addOwner(group: number): number | undefined {
    const owner = this.#index.addOwner(group, 0);
    if (owner === undefined) return undefined;
    const queue = new Int32Array(16 * WORDS);
    if (owner >= this.#first_stamps.length)
      this.#first_stamps = grown(this.#first_stamps, owner + 1);
    this.#first_stamps[owner] = 0;
    this.#owners.set(owner, { stamps: new BlockTable(), queue, head: 0, tail: 0 });
    return owner;
  }

  removeOwner(owner: number): void {
    this.#owners.delete(owner);
    this.#first_stamps[owner] = 0;
    this.#index.removeOwner(owner);
  }

  sweep(segments_max: number): boolean {
    return this.#index.sweep(segments_max);
  }

  /** A prompt with these leading blocks went to the owner. */
  name(owner: number, hashes: HashPairs, count: number, now_ms: number): void {
    const recent = this.#owners.get(owner);
    if (recent === undefined) return;
    const stamp = stampOf(now_ms);
    if (count > 0 && this.#first_stamps[owner] === 0) this.#first_stamps[owner] = stamp;
    // From the end, so that of one prompt the tail is forgotten first, as caches evict.
    for (let i = count - 1; i >= 0; i--) {
      const lo = hashes[2 * i]! | 0;
      const hi = hashes[2 * i + 1]! | 0;
      recent.stamps.set(lo, hi, stamp);
      push(recent, lo, hi, stamp);
    }
    this.#index.store(owner, hashes.subarray(0, 2 * count));
  }

  /** Fills `out` with what is probably there. */
  match(hashes: HashPairs, count: number, out: CacheMatches, now_ms: number): void {
    out.count = 0;
    if (this.#owners.size === 0) return;
    if (now_ms >= this.#look_again_ms) this.#expire(now_ms, this.#ttl_ms);
    this.#index.match(hashes, count, out);
  }

  #expire(now_ms: number, ttl_ms: number): void {
    this.#look_again_ms = now_ms + ttl_ms / SWEEPS_A_TTL;
    const now = stampOf(now_ms);
    const first_stamps = this.#first_stamps;
    for (let owner = 0; owner < first_stamps.length; owner++) {
      const first = first_stamps[owner]!;
      // u32 milliseconds, so that the difference is right across the wrap.
      if (first === 0 || (now - first) >>> 0 < ttl_ms) continue;
      first_stamps[owner] = this.#expireOf(owner, now, ttl_ms);
    }
  }

  /** Returns the stamp of the first entry that stays, 0 when none does. */
  #expireOf(owner: number, now: number, ttl_ms: number): number {
    const recent = this.#owners.get(owner);
    if (recent === undefined) return 0;
    while (recent.head < recent.tail) {
      const first = recent.queue[recent.head * WORDS + 2]!;
      if ((now - first) >>> 0 < ttl_ms) return first;
      this.#dropOldest(owner, recent);
    }
    return 0;
  }

  #dropOldest(owner: number, recent: Recent): void {
    const { queue, stamps } = recent;
    const at = recent.head * WORDS;
    recent.head++;
    const lo = queue[at]!;
    const hi = queue[at + 1]!;
    if (stamps.get(lo, hi) !== queue[at + 2]) return;
    stamps.delete(lo, hi);
    this.#pair[0] = lo;
    this.#pair[1] = hi;
    this.#index.remove(owner, this.#pair);
  }
}

/** Never 0: a table takes 0 for an empty cell. */
function stampOf(now_ms: number): number {
  return Math.floor(now_ms) | 0 || 1;
}

function push(recent: Recent, lo: number, hi: number, stamp: number): void {
  if (recent.tail * WORDS === recent.queue.length) makeRoom(recent);
  const at = recent.tail * WORDS;
  recent.queue[at] = lo;
  recent.queue[at + 1] = hi;
  recent.queue[at + 2] = stamp;
  recent.tail++;
}

/** Drops entries that were named again since; doubles the row if that is not enough. */
function makeRoom(recent: Recent): void {
  const { queue, stamps } = recent;
  let live = 0;
  for (let entry = recent.head; entry < recent.tail; entry++) {
    const at = entry * WORDS;
    if (stamps.get(queue[at]!, queue[at + 1]!) !== queue[at + 2]) continue;
    queue.copyWithin(live * WORDS, at, at + WORDS);
    live++;
  }
  recent.head = 0;
  recent.tail = live;
  const entries = queue.length / WORDS;
  if (live * 2 <= entries && live * 8 >= entries) return;
  recent.queue = new Int32Array(Math.max(16, live * 3) * WORDS);
  recent.queue.set(queue.subarray(0, live * WORDS));
}
