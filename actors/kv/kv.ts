/**
 * The face of `kv`: blocks beyond the engines. One keeper a machine knows which block is in which
 * slot of a shared segment; workers ask it, and copy blocks into slots and out of them themselves.
 * docs/decisions/030-kv-tiers.md has the picture.
 */

export type { BlockFiles, FileJob, FileOutcome, FileResult } from "./disk/block-files.ts";
export type { DiskOptions } from "./disk/disk-spaces.ts";
export { identityText } from "./keeper/identity-text.ts";
export { BlockKeeper, type KeeperOptions } from "./keeper/keeper.ts";
export type { KeeperEntry, NeighbourOptions } from "./keeper/neighbours.ts";
export { hashesIn, packedHashes } from "./keeper/packed-hashes.ts";
export { slotNumbers } from "./keeper/slot-numbers.ts";
export {
  type HostMemory,
  KvMemoryError,
  type MappedSegment,
  type MapSegment,
} from "./memory/host-memory.ts";
export type { MemoryDoor } from "./memory/memory-door.ts";
export { nativeMapper, openNativeMemory } from "./memory/native-memory.ts";
export type { BlockStore } from "./object/block-store.ts";
export { NatsBlocks } from "./object/nats-blocks.ts";
export { RedisBlocks } from "./object/redis-blocks.ts";
export { NO_PARENT, parentIn } from "./tier/tier.ts";
