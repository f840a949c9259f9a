/**
 * NVIDIA Dynamo's cost, term for term (docs/components/router/router-concepts.md, version 1.6):
 *
 *   prefill = max(active prefill blocks + blocks of the prompt − credits, 0)
 *   cost    = prefill_load_scale × prefill + decode blocks
 *             + decode_active_request_weight × active requests
 *
 * in blocks, with decode blocks as they would be with this request there. Credits are the cached
 * leading blocks times a weight for their tier.
 */
import { type Place, TIER_COUNT, tierCredits } from "../place.ts";
import { type PlaceRequest, promptBlocks } from "../place-request.ts";
import type { Explainer } from "../reasons/reasons.ts";
import type { Factor, Scorer } from "../select.ts";
import { type RoutedWorker, sharedBlocks } from "../worker-state.ts";

/**
 * Names and defaults of `KvRouterConfig`. `bun run replay --router-policy dynamo` sets them by
 * `--router-option NAME=VALUE`; the served policy has the defaults.
 */
export type DynamoCostOptions = {
  readonly overlap_score_credit: number;
  readonly host_cache_hit_weight: number;
  readonly disk_cache_hit_weight: number;
  /** Credit of blocks in storage that all workers share. */
  readonly shared_cache_multiplier: number;
  /** Lowers the device credit of workers with more prefill than the least loaded one. */
  readonly overlap_score_credit_decay: number;
  readonly prefill_load_scale: number;
  readonly decode_active_request_weight: number;
  /** prefill × (decode blocks + 1) instead of the sum. */
  readonly lmetric: boolean;
};

export const dynamoCostDefaults: DynamoCostOptions = {
  overlap_score_credit: 1,
  host_cache_hit_weight: tierCredits[1]!,
  disk_cache_hit_weight: tierCredits[2]!,
  shared_cache_multiplier: 0,
  overlap_score_credit_decay: 0,
  prefill_load_scale: 1,
  decode_active_request_weight: 0,
  lmetric: false,
};

export function dynamoScorer(given: Partial<DynamoCostOptions> = {}): Scorer {
  const options = { ...dynamoCostDefaults, ...given };
  return (place, at) => {
    const worker = place.workers[at]!;
    const prefill = prefillBlocks(options, place, at);
    const decode = decodeBlocks(worker, place.request);
    if (options.lmetric) return prefill * (decode + 1);
    return (
      options.prefill_load_scale * prefill +
      decode +
      options.decode_active_request_weight * worker.requests
    );
  };
}

/** What a cost is made of; with `lmetric` its two factors. */
export function dynamoParts(given: Partial<DynamoCostOptions> = {}): Explainer {
  const options = { ...dynamoCostDefaults, ...given };
  return (place, at) => {
    const worker = place.workers[at]!;
    const prefill = prefillBlocks(options, place, at);
    const decode = decodeBlocks(worker, place.request);
    const active = options.decode_active_request_weight * worker.requests;
    const parts: Record<string, number> = options.lmetric
      ? { prefill, "× decode + 1": decode + 1 }
      : { prefill: options.prefill_load_scale * prefill, decode, active };
    return { unit: "blocks", parts };
  };
}

function prefillBlocks(options: DynamoCostOptions, place: Place, at: number): number {
  const { request, workers, cached_blocks } = place;
  const { prefill_tokens, block_size } = workers[at]!;
  const device = options.overlap_score_credit * creditLeft(options, place, at);
  const credits =
    device * cached_blocks[TIER_COUNT * at]! +
    options.host_cache_hit_weight * cached_blocks[TIER_COUNT * at + 1]! +
    options.disk_cache_hit_weight * cached_blocks[TIER_COUNT * at + 2]! +
    options.shared_cache_multiplier * cached_blocks[TIER_COUNT * at + 3]!;
  const blocks = (prefill_tokens + request.prompt_tokens) / block_size;
  return Math.max(0, blocks - credits);
}

/** 1 / (1 + decay × excess), the excess of prefill in units of this request. */
function creditLeft({ overlap_score_credit_decay }: DynamoCostOptions, place: Place, at: number) {
  if (overlap_score_credit_decay === 0) return 1;
  let least = Number.POSITIVE_INFINITY;
  for (const { prefill_tokens } of place.workers) least = Math.min(least, prefill_tokens);
  const excess = (place.workers[at]!.prefill_tokens - least) / place.request.prompt_tokens;
  return 1 / (1 + overlap_score_credit_decay * excess);
}

/**
 * Active blocks with this request at the worker; blocks that are active already are shared.
 */
function decodeBlocks(worker: RoutedWorker, request: PlaceRequest): number {
  return (
    worker.active_blocks + promptBlocks(request, worker.block_size) - sharedBlocks(worker, request)
  );
}

/** Preferred taints: exp(−tanh Σ weights), so between 0.37 and 2.72. */
export const taintFactor: Factor = {
  concerns: ({ preferred_taints }) => preferred_taints !== undefined,
  of: ({ request, workers }, at) => {
    let sum = 0;
    for (const taint of workers[at]!.labels) sum += request.preferred_taints?.[taint] ?? 0;
    return Math.exp(-Math.tanh(sum));
  },
};
