/** Puts blocks into the prefix cache of a pool, and says so: what became visible, what went. */
import type { BlockMove } from "../block-port.ts";
import type { KvEventLog } from "../kv-event-log.ts";
import type { BlockPool } from "./block-pool.ts";
import { type BlockNames, Sequence } from "./sequence.ts";

const FIRST = -1;
const pair = new BigUint64Array(1);
const pair_words = new Int32Array(pair.buffer);

export class CacheNews {
  readonly #pool: BlockPool;
  readonly #log: KvEventLog | undefined;
  readonly #dp_rank: number;

  constructor(pool: BlockPool, log: KvEventLog | undefined, dp_rank: number) {
    this.#pool = pool;
    this.#log = log;
    this.#dp_rank = dp_rank;
  }

  /** The block is cached. */
  has(hash: bigint): boolean {
    pair[0] = hash;
    return this.#pool.find(pair_words[0]!, pair_words[1]!) >= 0;
  }

  /**
   * Names the sequence's blocks up to the `full`th, which must all be allocated. Blocks whose name
   * is there already are given back for their twin.
   */
  register(sequence: Sequence, full: number): void {
    const { names, blocks } = sequence;
    names.nameTo?.(full);
    let fresh_from = sequence.registered;
    for (let at = sequence.registered; at < full; at++) {
      const own = blocks[at]!;
      // After the cache was cleared, whoever shares the block may have named it again.
      const fresh = !this.#pool.isNamed(own) && this.#name(sequence, at) === own;
      if (fresh) continue;
      this.#stored(sequence, fresh_from, at);
      fresh_from = at + 1;
    }
    sequence.registered = full;
    this.#stored(sequence, fresh_from, full);
  }

  /**
   * Caches the row's blocks up to the `end`th as if they had been computed, as far as there is room
   * that nobody uses; those before the `first`th have to be there. Says what became of each.
   */
  bringIn(names: BlockNames, first: number, end: number): readonly BlockMove[] {
    const pool = this.#pool;
    names.nameTo?.(end);
    const row = new Sequence(names, 0, 0);
    const { blocks } = row;
    while (blocks.length < end) {
      const at = 2 * blocks.length;
      const slot = pool.find(names.sequence_words[at]!, names.sequence_words[at + 1]!);
      if (slot < 0) break;
      pool.retain(slot);
      blocks.push(slot);
    }
    row.registered = blocks.length;
    const follows = blocks.length >= first;
    if (follows) {
      pool.allocate(Math.min(end - blocks.length, pool.capacity - pool.used), blocks);
      this.evicted();
      this.register(row, blocks.length);
    }
    // Last block first, as sequences do.
    for (let i = blocks.length - 1; i >= 0; i--) pool.release(blocks[i]!);
    return Array.from({ length: end - first }, (_, i) => {
      if (!follows) return "gone";
      return first + i < blocks.length ? "moved" : "no_room";
    });
  }

  #name({ names, blocks }: Sequence, at: number): number {
    const parent = at === 0 ? FIRST : blocks[at - 1]!;
    const { sequence_words, local_words } = names;
    const slot = this.#pool.register(blocks[at]!, at, parent, sequence_words, local_words);
    blocks[at] = slot;
    return slot;
  }

  #stored({ names }: Sequence, from: number, to: number): void {
    const log = this.#log;
    if (log === undefined || to <= from) return;
    log.append({
      kind: "stored",
      event_id: log.nextId(),
      dp_rank: this.#dp_rank,
      tier: "device",
      parent_hash: from === 0 ? undefined : hashAt(names.sequence_words, from - 1),
      start_block: from,
      sequence_hashes: hashesOf(names.sequence_words, from, to),
      local_hashes: hashesOf(names.local_words, from, to),
    });
  }

  /** Tells the blocks that the pool's last `allocate` evicted. */
  evicted(): void {
    const log = this.#log;
    const pool = this.#pool;
    if (log === undefined || pool.evicted === 0) return;
    log.append({
      kind: "removed",
      event_id: log.nextId(),
      dp_rank: this.#dp_rank,
      tier: "device",
      sequence_hashes: hashesOf(pool.evicted_words, 0, pool.evicted),
    });
  }

  cleared(): void {
    const log = this.#log;
    const dp_rank = this.#dp_rank;
    log?.append({ kind: "cleared", event_id: log.nextId(), dp_rank, tier: "device" });
  }
}

function hashAt(words: Int32Array, index: number): bigint {
  pair_words[0] = words[2 * index]!;
  pair_words[1] = words[2 * index + 1]!;
  return pair[0]!;
}

/** A copy: events outlive the sequence, and are sent elsewhere. */
function hashesOf(words: Int32Array, from: number, to: number): BigUint64Array {
  return new BigUint64Array(words.slice(2 * from, 2 * to).buffer);
}
