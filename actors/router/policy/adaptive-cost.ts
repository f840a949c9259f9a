/**
 * The default cost: how many milliseconds of waiting a placement makes, for the request itself and
 * for everybody else.
 *
 *   backlog      until the prompts before it are computed
 *   own          its uncached tokens, × own_weight + queued requests per worker
 *   evicting     what the blocks it pushes out would cost to compute again, × evict_weight
 *   decoding     its answer's steps, slower the fuller the worker will be, × decode_weight
 *   others       how much its blocks slow the steps of the answers there, × others_weight
 *
 * Why own counts more than backlog: the backlog is waited for once, by this request; a millisecond
 * of own work stops everyone who decodes there or comes later. How many come later depends on the
 * load, so the weight grows with the router's queue: that is what makes it right in overload too.
 * All rates are learned (pass-rates.ts). Before they are, costs are in tokens: a backlog, own
 * tokens, and one token for each token of blocks in use.
 */
import type { PassRates } from "./pass-rates.ts";
import { creditedBlocks, type Place, promptBlocks, uncachedTokens } from "./place.ts";
import type { Scorer } from "./select.ts";
import { backlogTokens, type RoutedWorker, requestsThere, usedShare } from "./worker-state.ts";

export type AdaptiveOptions = {
  readonly own_weight: number;
  /** Added to `own_weight` for each request per worker that waits in the router. */
  readonly queue_weight: number;
  readonly evict_weight: number;
  readonly decode_weight: number;
  readonly others_weight: number;
};

export const adaptiveDefaults: AdaptiveOptions = {
  own_weight: 5,
  queue_weight: 1,
  evict_weight: 0,
  decode_weight: 0.015,
  others_weight: 0.01,
};

/** What the cost has to be told beside the place; all of it changes while it runs. */
export type AdaptiveInputs = {
  /** Learned rates of this worker; undefined before there are any. */
  readonly rates: (worker: RoutedWorker) => PassRates | undefined;
  /** Running mean of answer lengths. */
  readonly outputTokens: () => number;
  /** Blocks in this worker's cache, in use or not. */
  readonly heldBlocks: (worker: RoutedWorker) => number;
};

export function adaptiveScorer(
  inputs: AdaptiveInputs,
  given: Partial<AdaptiveOptions> = {},
): Scorer {
  const options = { ...adaptiveDefaults, ...given };
  return (place, at) => {
    const worker = place.workers[at]!;
    const own_weight =
      options.own_weight + (options.queue_weight * place.queued) / place.workers.length;
    const tokens = uncachedTokens(place, at);
    const rates = inputs.rates(worker);
    if (rates === undefined) {
      const in_use = usedShare(worker) * worker.total_blocks * worker.block_size;
      return backlogTokens(worker) + own_weight * tokens + in_use;
    }
    const own_ms = tokens * rates.token_ms;
    const prefill_ms = backlogMs(worker, rates) + own_weight * own_ms;
    const evict_ms =
      options.evict_weight === 0
        ? 0
        : options.evict_weight *
          evictedBlocks(place, at, inputs.heldBlocks(worker)) *
          worker.block_size *
          rates.token_ms;
    const env = (globalThis as any).process.env;
    if (env.PS) {
      const passes = (backlogTokens(worker) + tokens) / worker.batch_tokens;
      const step = rates.decode_pass_ms + rates.decode_full_ms * usedShare(worker);
      return (
        prefill_ms +
        Number(env.QD ?? 0) *
          (own_weight *
            ((rates.prefill_pass_ms * tokens) / worker.batch_tokens +
              rates.token_squared_ms * tokens * Math.min(tokens, worker.batch_tokens)) +
            rates.token_squared_ms *
              backlogTokens(worker) *
              Math.min(worker.batch_tokens, backlogTokens(worker))) +
        Number(env.PS) * (Number(env.PC ?? 0) + passes) * step +
        evict_ms +
        decodeMs(options, inputs, place, at, rates)
      );
    }
    return prefill_ms + evict_ms + decodeMs(options, inputs, place, at, rates);
  };
}

/** Until everything sent there before is computed. */
export function backlogMs(worker: RoutedWorker, rates: PassRates): number {
  const tokens = backlogTokens(worker);
  if (tokens <= 0) return 0;
  const passes = Math.ceil(tokens / worker.batch_tokens);
  return tokens * rates.token_ms + passes * rates.prefill_pass_ms;
}

function decodeMs(
  options: AdaptiveOptions,
  inputs: AdaptiveInputs,
  place: Place,
  at: number,
  rates: PassRates,
): number {
  const worker = place.workers[at]!;
  const { block_size, total_blocks } = worker;
  const steps = place.request.output_tokens ?? inputs.outputTokens();
  const fresh = promptBlocks(place.request, block_size) - creditedBlocks(place, at);
  const grows = Math.max(0, fresh) / total_blocks;
  const share = Math.min(1, usedShare(worker) + grows);
  const step_ms = rates.decode_pass_ms + rates.decode_full_ms * share;
  const slower_ms = rates.decode_full_ms * grows * requestsThere(worker);
  return steps * (options.decode_weight * step_ms + options.others_weight * slower_ms);
}

/** Blocks that have to go for this request's new ones. */
function evictedBlocks(place: Place, at: number, held_blocks: number): number {
  const worker = place.workers[at]!;
  const fresh = promptBlocks(place.request, worker.block_size) - creditedBlocks(place, at);
  return Math.max(0, Math.min(fresh, held_blocks + fresh - worker.total_blocks));
}
