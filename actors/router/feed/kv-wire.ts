/** Checks of cache events and dumps from workers, which are not trusted. */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { KvTier } from "../../../llm/blocks/kv-event.ts";
import type { KvDumpPage, WireKvEvent } from "../../../proto/index.ts";
import { tierNumbers } from "../index/cache-index.ts";

export type CheckedKvEvent = {
  readonly kind: "stored" | "removed" | "cleared";
  readonly dp_rank: number;
  /** As in `tierNumbers`. */
  readonly tier: number;
  readonly hashes: HashPairs;
};

const HASH_BYTES = 8;

/** Undefined: it is no valid event. */
export function checkedEvent(event: WireKvEvent): CheckedKvEvent | undefined {
  const { kind, dp_rank } = event;
  const tier = tierNumber(event.tier);
  const hashes = checkedHashes(event.hashes);
  if (kind !== "stored" && kind !== "removed" && kind !== "cleared") return undefined;
  if (tier === undefined || hashes === undefined || !isRank(dp_rank)) return undefined;
  return { kind, dp_rank, tier, hashes };
}

export function tierNumber(tier: string): number | undefined {
  return Object.hasOwn(tierNumbers, tier) ? tierNumbers[tier as KvTier] : undefined;
}

export function isRank(dp_rank: number): boolean {
  return Number.isInteger(dp_rank) && dp_rank >= 0 && dp_rank < 0x8000_0000;
}

/**
 * A frame's bytes lie anywhere; words do not, so they are copied when they must be. (`slice` would
 * not copy where some library hands out a Buffer.)
 */
export function checkedHashes(bytes: Uint8Array): HashPairs | undefined {
  if (!(bytes instanceof Uint8Array) || bytes.length % HASH_BYTES !== 0) return undefined;
  const whole = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(whole.buffer, whole.byteOffset, whole.length / 4);
}

/** Pages come in one direction; a broken worker could send them for ever. */
export function isForward(partition: number, below: number, page: KvDumpPage): boolean {
  if (page.last || page.partition > partition) return true;
  return page.partition === partition && page.below > 0 && (below === 0 || page.below < below);
}
