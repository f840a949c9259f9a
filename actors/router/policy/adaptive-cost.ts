/**
 * The default cost: how many milliseconds of waiting a placement makes, for the request itself and
 * for everybody else.
 *
 *   backlog      until the prompts before it are computed
 *   own          its uncached tokens, × (1 + crowding + queued requests per worker + stalling)
 *   evicting     what the blocks it pushes out would cost to compute again, × evict_weight
 *   decoding     its answer's steps, slower the fuller the worker will be, × decode_weight
 *   others       how much its blocks slow the steps of the answers there, × others_weight
 *   overfull     steps, in full, above fair_share times the mean share of blocks in use
 *
 * Why own counts more than backlog: the backlog is waited for once, by this request; a millisecond
 * of own work stops everyone who comes later (crowding) and everyone who is being answered there
 * (stalling). How many come later depends on the load of the pool: nobody on an idle one, where a
 * cold free worker is as good as a warm one, and everybody in overload. How many are answered there
 * differs between workers: without it requests pile up where their prefix is, and answers stand
 * still there while other workers have time.
 * All rates are learned (pass-rates.ts). Before they are, costs are in tokens: a backlog, own
 * tokens, and one token for each token of blocks in use.
 */
import type { PassRates } from "./pass-rates.ts";
import { creditedBlocks, type Place, promptBlocks, uncachedTokens } from "./place.ts";
import type { Scorer } from "./select.ts";
import {
  backlogTokens,
  type RoutedWorker,
  requestsThere,
  sharedBlocks,
  usedShare,
} from "./worker-state.ts";

export type AdaptiveOptions = {
  /** Own work counts 1 and this much for each request that it is expected to delay. */
  readonly crowd_weight: number;
  /** Added to that for each answer that it stalls, see `stalling`. */
  readonly stall_weight: number;
  /** Added to that for each request per worker that waits in the router. */
  readonly queue_weight: number;
  readonly evict_weight: number;
  readonly decode_weight: number;
  readonly others_weight: number;
  /** A worker with more than this times the mean share of its blocks in use is overfull. */
  readonly fair_share: number;
};

/** A share that nobody needs to level out. */
const FAIR_LEAST = 0.02;

export const adaptiveDefaults: AdaptiveOptions = {
  crowd_weight: 4,
  stall_weight: 7,
  queue_weight: 1,
  evict_weight: 0,
  decode_weight: 0.003,
  others_weight: 0.008,
  fair_share: 1.5,
};

/** What the cost has to be told beside the place; all of it changes while it runs. */
export type AdaptiveInputs = {
  /** Learned rates of this worker; undefined before there are any. */
  readonly rates: (worker: RoutedWorker) => PassRates | undefined;
  /** Share of the pool's time that prompts take. */
  readonly promptLoad: () => number;
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
  let seen: Place | undefined;
  let mean_share = 0;
  let mean_requests = 0;
  return (place, at) => {
    if (place !== seen) {
      seen = place;
      mean_share = meanOf(place.workers, usedShare);
      mean_requests = meanOf(place.workers, requestsThere);
    }
    const worker = place.workers[at]!;
    const queued = place.queued / place.workers.length;
    const crowd = crowding(inputs.promptLoad());
    const own_weight =
      1 +
      options.crowd_weight * crowd +
      options.queue_weight * queued +
      options.stall_weight * stalling(requestsThere(worker), mean_requests);
    const tokens = uncachedTokens(place, at);
    const rates = inputs.rates(worker);
    if (rates === undefined) {
      const in_use = usedShare(worker) * worker.total_blocks * worker.block_size;
      const weight = Math.max(UNRATED_OWN_WEIGHT, own_weight);
      return backlogTokens(worker, place.now_ms) + weight * tokens + in_use;
    }
    const token_ms =
      rates.token_ms +
      (rates.prefill_pass_ms + stepMs(rates, usedShare(worker))) / worker.batch_tokens;
    const backlog = backlogTokens(worker, place.now_ms, token_ms);
    return (
      prefillMs(worker, rates, backlog) +
      own_weight * prefillMs(worker, rates, tokens) +
      ((backlog + tokens) / worker.batch_tokens) * stepMs(rates, usedShare(worker)) +
      evictMs(options, inputs, place, at, rates) +
      decodeMs(options, inputs, place, at, rates, mean_share)
    );
  };
}

/**
 * Without rates nobody knows how little a block in use costs beside a token to compute: at equal
 * weight a cached prompt would flee from its own blocks as long as a report shows them in use.
 */
const UNRATED_OWN_WEIGHT = 4;

/** Above it the queue says more than the load does. */
const LOAD_AT_MOST = 0.6;

/**
 * How the wait of others grows with a little more work at this load, ρ / (1 − ρ)²: the derivative
 * of the mean wait in a queue with one server (Pollaczek and Khinchine), up to a factor.
 */
function crowding(load: number): number {
  const rho = Math.min(LOAD_AT_MOST, load);
  return rho / (1 - rho) ** 2;
}

/**
 * Answers that one more prompt stalls, each counting by how much it minds. Prompts stall answers
 * the more often the more share a worker, and make them that much longer (by 1 + mean); so one more
 * stall is a smaller part of each, and where all stall all the time only the difference between
 * workers is left.
 */
function stalling(requests: number, mean_requests: number): number {
  return requests / (1 + mean_requests) ** 2;
}

/** Computing so many prompt tokens; fixed costs by the part of a pass, since passes are shared. */
export function prefillMs(worker: RoutedWorker, rates: PassRates, tokens: number): number {
  const { batch_tokens } = worker;
  const squared_ms = rates.token_squared_ms * Math.min(tokens, batch_tokens);
  return tokens * (rates.token_ms + squared_ms + rates.prefill_pass_ms / batch_tokens);
}

/** One token for each answer of a worker whose blocks are in use to this share. */
export function stepMs(rates: PassRates, share: number): number {
  return rates.decode_pass_ms + rates.decode_full_ms * share;
}

function evictMs(
  { evict_weight }: AdaptiveOptions,
  inputs: AdaptiveInputs,
  place: Place,
  at: number,
  rates: PassRates,
): number {
  if (evict_weight === 0) return 0;
  const worker = place.workers[at]!;
  const fresh = promptBlocks(place.request, worker.block_size) - creditedBlocks(place, at);
  const evicted = inputs.heldBlocks(worker) + fresh - worker.total_blocks;
  const blocks = Math.max(0, Math.min(fresh, evicted));
  return evict_weight * blocks * worker.block_size * rates.token_ms;
}

function decodeMs(
  options: AdaptiveOptions,
  inputs: AdaptiveInputs,
  place: Place,
  at: number,
  rates: PassRates,
  mean_share: number,
): number {
  const worker = place.workers[at]!;
  const { block_size, total_blocks } = worker;
  const steps = place.request.output_tokens ?? inputs.outputTokens();
  // What is cached but not in use takes up room as well, once it is used.
  const fresh = promptBlocks(place.request, block_size) - sharedBlocks(worker, place.request);
  const grows = fresh / total_blocks;
  const share = Math.min(1, usedShare(worker) + grows);
  const fair_share = options.fair_share * mean_share + FAIR_LEAST;
  const excess_ms = rates.decode_full_ms * Math.max(0, share - fair_share);
  const slower_ms = rates.decode_full_ms * grows * requestsThere(worker);
  const others_ms = options.others_weight * slower_ms;
  return steps * (options.decode_weight * stepMs(rates, share) + others_ms + excess_ms);
}

function meanOf(workers: readonly RoutedWorker[], of: (worker: RoutedWorker) => number): number {
  let sum = 0;
  for (const worker of workers) sum += of(worker);
  return sum / workers.length;
}
