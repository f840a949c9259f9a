/**
 * Cached blocks of one prompt at each worker of a dispatcher, as rows in the order of its table.
 * The rows are used again for the next prompt.
 */
import type { CacheIndex } from "../index/cache-index.ts";
import { CacheMatches } from "../index/cache-matches.ts";
import { type Place, TIER_COUNT, uncachedTokens } from "./place.ts";
import type { PlaceRequest } from "./place-request.ts";
import type { WorkerTable } from "./worker-table.ts";

/** A match is repeated after this time, because guesses in the index expire. */
const MATCH_AGAIN_MS = 1;

export class PromptMatches {
  readonly #index: CacheIndex;
  readonly #table: WorkerTable;
  readonly #matches = new CacheMatches();
  #cached_blocks = new Int32Array(64 * TIER_COUNT);
  #warm = new Uint8Array(64);
  /** Places of the warm workers. */
  #warm_at = new Int32Array(64);
  #warm_count = 0;
  /** The request that the rows are of, when they were filled in, and the index's version then. */
  #matched: PlaceRequest | undefined;
  #matched_ms = 0;
  #matched_version = 0;

  constructor(index: CacheIndex, table: WorkerTable) {
    this.#index = index;
    this.#table = table;
  }

  /** As `Place.cached_blocks`, for the last prompt that `placeOf` was asked for. */
  get cached_blocks(): Int32Array {
    return this.#cached_blocks;
  }

  /** The workers have changed, so the rows no longer hold. */
  forget(): void {
    this.#matched = undefined;
  }

  /** The place is valid until the next call. */
  placeOf(request: PlaceRequest, queued: number, now_ms: number): Place {
    const { workers } = this.#table;
    if (!this.#isMatched(request, now_ms)) this.#match(request, now_ms);
    const cached_blocks = this.#cached_blocks;
    const warm = this.#warm;
    const pool = this.#table.facts();
    return { request, workers, pool, cached_blocks, warm, queued, now_ms };
  }

  /** Prompt tokens that the worker with the most cached blocks would have to compute. */
  leastUncached(request: PlaceRequest, queued: number, now_ms: number): number {
    const { workers } = this.#table;
    if (workers.length === 0) return request.prompt_tokens;
    const place = this.placeOf(request, queued, now_ms);
    const warm_at = this.#warm_at;
    // Workers without a block of the prompt would all compute the whole of it.
    let least = Number.POSITIVE_INFINITY;
    if (this.#warm_count < workers.length) least = Math.max(1, request.prompt_tokens);
    for (let i = 0; i < this.#warm_count; i++) {
      least = Math.min(least, uncachedTokens(place, warm_at[i]!));
    }
    return least;
  }

  /** True: the offer of this request, or an earlier step of its placement, has just filled them. */
  #isMatched(request: PlaceRequest, now_ms: number): boolean {
    if (this.#matched !== request || this.#matched_version !== this.#index.version) return false;
    return now_ms - this.#matched_ms < MATCH_AGAIN_MS;
  }

  /** Fills the rows for this prompt. */
  #match(request: PlaceRequest, now_ms: number): void {
    const table = this.#table;
    const matches = this.#matches;
    const count = table.workers.length;
    if (count > this.#warm.length) {
      this.#cached_blocks = new Int32Array(2 * count * TIER_COUNT);
      this.#warm = new Uint8Array(2 * count);
      this.#warm_at = new Int32Array(2 * count);
    }
    const cached_blocks = this.#cached_blocks;
    const warm = this.#warm;
    const warm_at = this.#warm_at;
    let warm_count = 0;
    cached_blocks.fill(0, 0, count * TIER_COUNT);
    warm.fill(0, 0, count);
    this.#index.match(request.hashes, request.hashes.length >>> 1, matches, now_ms);
    const { slots, ranks, tier_blocks } = matches;
    for (let row = 0; row < matches.count; row++) {
      const at = table.find(slots[row]!, ranks[row]!);
      if (at < 0) continue;
      warm[at] = 1;
      warm_at[warm_count++] = at;
      for (let tier = 0; tier < TIER_COUNT; tier++) {
        cached_blocks[TIER_COUNT * at + tier] = tier_blocks[TIER_COUNT * row + tier]!;
      }
    }
    this.#warm_count = warm_count;
    this.#matched = request;
    this.#matched_ms = now_ms;
    this.#matched_version = this.#index.version;
  }
}
