/**
 * What an engine says about the blocks in its cache. A block is named by its sequence hash (design:
 * XXH3-64 chained over the blocks before it), so one hash names a whole prefix and a block needs no
 * other to be understood.
 *
 *   engine ── KvEvent ──▶ worker's publisher ── KvEvents, ids from 0 ──▶ each router's index
 *
 * For one (dp_rank, tier) the cache is a set of hashes: `stored` of a block already there changes
 * nothing, one `removed` takes it away. An engine that keeps two copies of a block reports `stored`
 * with the first and `removed` with the last.
 */

/** From fastest to slowest. */
export const kvTiers = ["device", "host", "disk", "remote"] as const;
export type KvTier = (typeof kvTiers)[number];

/**
 * u64 hashes as pairs of u32, low word first: block `i` is at `2 * i` and `2 * i + 1`. On every
 * machine we run on this is the memory of a `BigUint64Array` and, as bytes, what goes on the wire.
 */
export type BlockHashes = Uint32Array;

export type KvStored = {
  readonly kind: "stored";
  readonly dp_rank: number;
  readonly tier: KvTier;
  /** Hash of the block before the first one: one pair, or empty when that one starts a sequence. */
  readonly parent: BlockHashes;
  /** Position of the first block in its sequence, counted in blocks from 0. */
  readonly start: number;
  /** Consecutive blocks of one sequence, at least one. */
  readonly hashes: BlockHashes;
};

export type KvRemoved = {
  readonly kind: "removed";
  readonly dp_rank: number;
  readonly tier: KvTier;
  readonly hashes: BlockHashes;
};

/** The tier of this rank holds nothing any more. */
export type KvCleared = {
  readonly kind: "cleared";
  readonly dp_rank: number;
  readonly tier: KvTier;
};

export type KvEvent = KvStored | KvRemoved | KvCleared;

export const noHashes: BlockHashes = new Uint32Array(0);

export function blockCount(hashes: BlockHashes): number {
  return hashes.length >>> 1;
}

/** The same memory, seen the other way. */
export function pairsOf(hashes: BigUint64Array): BlockHashes {
  return new Uint32Array(hashes.buffer, hashes.byteOffset, hashes.length * 2);
}
