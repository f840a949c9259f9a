/** One question to the policies: a request, the workers, and the blocks that each has cached. */
import type { PoolView } from "./filter.ts";
import type { PlaceRequest } from "./place-request.ts";
import type { RoutedWorker } from "./worker-state.ts";

/** Facts that hold for all workers of a place. */
export type PoolFacts = PoolView & {
  /** Tokens that fit even the smallest cache. */
  readonly room_tokens: number;
  /** Block size of every worker; 0: they differ. */
  readonly block_size: number;
  /** True: no worker uses more than this share of its blocks or has more prompt tokens to do. */
  readonly noneAbove: (share: number, tokens: number) => boolean;
};

export type Place = {
  readonly request: PlaceRequest;
  readonly workers: readonly RoutedWorker[];
  /** Undefined: no facts are known for all workers. */
  readonly pool?: PoolFacts;
  /** Leading blocks of the prompt at worker `at`, by fastest tier: `TIER_COUNT * at + tier`. */
  readonly cached_blocks: Int32Array;
  /** 0 where a worker has none of these blocks in any tier; undefined: look at each worker. */
  readonly warm?: Uint8Array;
  /** Requests that wait in the router beside this one. */
  readonly queued: number;
  readonly now_ms: number;
};

/** Number of tiers: device, host, disk, external, as in the index. */
export const TIER_COUNT = 4;

/** Share of a block's computing that a hit in each tier saves; Dynamo's defaults. */
export const tierCredits: readonly number[] = [1, 0.75, 0.25, 0];

/** Leading blocks of the prompt that worker `at` has, in any tier. */
export function cachedBlocks({ cached_blocks }: Place, at: number): number {
  let blocks = 0;
  for (let tier = 0; tier < TIER_COUNT; tier++) blocks += cached_blocks[TIER_COUNT * at + tier]!;
  return blocks;
}

/** Blocks saved at worker `at`, each tier with its credit. */
function creditedBlocks(place: Place, at: number): number {
  let blocks = 0;
  for (let tier = 0; tier < TIER_COUNT; tier++) {
    blocks += tierCredits[tier]! * place.cached_blocks[TIER_COUNT * at + tier]!;
  }
  return blocks;
}

/** Prompt tokens that worker `at` would have to compute: at least one. */
export function uncachedTokens(place: Place, at: number): number {
  const cached = creditedBlocks(place, at) * place.workers[at]!.block_size;
  return Math.max(1, place.request.prompt_tokens - cached);
}
