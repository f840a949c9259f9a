/**
 * Events of a worker's cache. Ids count from 0 without gaps, one sequence for all ranks and
 * tiers of a worker. A block is stored after its parent and removed before it.
 */

/** Where a block lies: the device's memory, the host's, a disk, elsewhere. */
export type KvTier = "device" | "host" | "disk" | "external";

type Origin = {
  readonly event_id: number;
  readonly dp_rank: number;
  readonly tier: KvTier;
};

/** Consecutive blocks of one sequence, `start_block` the index of the first within it. */
export type KvStored = Origin & {
  readonly kind: "stored";
  /** Sequence hash of the block before the first; undefined when the first begins its sequence. */
  readonly parent_hash: bigint | undefined;
  readonly start_block: number;
  readonly sequence_hashes: BigUint64Array;
  readonly local_hashes: BigUint64Array;
};

export type KvRemoved = Origin & {
  readonly kind: "removed";
  readonly sequence_hashes: BigUint64Array;
};

/** Every block of this rank and tier is gone. */
export type KvCleared = Origin & { readonly kind: "cleared" };

export type KvEvent = KvStored | KvRemoved | KvCleared;

/** A whole cache at one instant: the events after `last_event_id` go on from it. */
export type KvDump = {
  /** -1: nothing was said yet. */
  readonly last_event_id: number;
  /** Parents before children; each carries `last_event_id` as its id. */
  readonly blocks: Iterable<KvStored>;
};
