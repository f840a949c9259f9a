/** One question to the policies: this request, these workers, what each has of it already. */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { RoutedWorker } from "./worker-state.ts";

export type PlaceRequest = {
  /** Unique among live requests. */
  readonly request: string;
  readonly prompt_tokens: number;
  /** Sequence hashes of the prompt's full blocks. */
  readonly hashes: HashPairs;
  /** Higher tiers go strictly first. Default 0. */
  readonly strict_priority?: number;
  /** Within its class the request counts as if it had come that much earlier. Default 0. */
  readonly priority_jump_ms?: number;
  /** Name of a policy class; unknown or none is the default class. */
  readonly policy_class?: string;
  readonly session?: string;
  /** Its client has a part of it: to wait here would be a pause in the middle of its answer. */
  readonly continued?: boolean;
  /** Only this worker, by name. */
  readonly pin?: string;
  /** Only these workers, by name. */
  readonly allow?: readonly string[];
  /** Starts of workers that failed this request already. */
  readonly exclude?: readonly string[];
  /** Only to a worker that can begin with it now; it never waits. */
  readonly spare?: boolean;
  /** A worker whose taints are not all among these, or required, gets nothing of it. */
  readonly tolerated_taints?: readonly string[];
  /** All of them, labels or taints, must be on the worker. */
  readonly required_taints?: readonly string[];
  /** Weight by label or taint: positive draws, negative repels. */
  readonly preferred_taints?: Readonly<Record<string, number>>;
};

/** It does not simply wait for whichever worker has room first. */
export function isParticular(request: PlaceRequest): boolean {
  const { pin, allow, exclude, required_taints, session } = request;
  const wishes = pin ?? allow ?? exclude ?? required_taints ?? session;
  return wishes !== undefined || request.continued === true || request.spare === true;
}

/** What holds of all workers of a place. */
export type PoolFacts = {
  /** A taint that not every request tolerates is on some worker. */
  readonly tainted: string | undefined;
  /** Tokens that fit even the smallest cache. */
  readonly room_tokens: number;
  /** Of every worker; 0 when they have several. */
  readonly block_size: number;
  /** No worker has more than this share of its blocks in use, nor more prompt tokens before it. */
  readonly noneAbove: (share: number, tokens: number) => boolean;
  /** Until then the engine's failures of some worker count; 0 = nobody's do. */
  readonly avoid_until_ms: number;
};

export type Place = {
  readonly request: PlaceRequest;
  readonly workers: readonly RoutedWorker[];
  /** Undefined: nothing is known of all of them. */
  readonly pool?: PoolFacts;
  /** Leading blocks of the prompt at worker `at`, by fastest tier: `TIER_COUNT * at + tier`. */
  readonly cached_blocks: Int32Array;
  /** 0 where a worker has none of them in any tier; undefined: each has to be looked at. */
  readonly warm?: Uint8Array;
  /** Requests that wait in the router beside this one. */
  readonly queued: number;
  readonly now_ms: number;
};

/** Device, host, disk, external, as in the index. */
export const TIER_COUNT = 4;

/** How much of a block's computing is saved by finding it in a tier: Dynamo's defaults. */
export const tierCredits: readonly number[] = [1, 0.75, 0.25, 0];

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

export function promptBlocks(request: PlaceRequest, block_size: number): number {
  return Math.ceil(request.prompt_tokens / block_size);
}

/** 53 bits of the hash of block `index`: enough to tell active blocks apart, and no bigint. */
export function blockName(hashes: HashPairs, index: number): number {
  return (hashes[2 * index + 1]! & 0x1fffff) * 2 ** 32 + hashes[2 * index]!;
}
