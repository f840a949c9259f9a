/**
 * The default cost: the milliseconds of waiting that a placement causes, for the request itself and
 * for all others.
 *
 *   backlog      until the prompts before it are computed
 *   own          its uncached tokens, × (1 + crowding + queued requests per worker + stalling)
 *   decoding     its answer's steps, slower the fuller the worker will be, × decode_weight
 *   others       how much its blocks slow the steps of the answers there, × others_weight
 *   overfull     steps above fair_share times the mean share of blocks in use, × overfull_weight
 *
 * Why own counts more than backlog: the backlog is waited for once, by this request; a millisecond
 * of own work stops everyone who comes later (crowding) and everyone who is being answered there
 * (stalling). How many come later depends on the load of the pool: none on an idle one, where a
 * cold free worker is as good as a warm one, and all in overload. The number of answers differs
 * between workers. If it did not count, requests would pile up where their prefix is cached, and
 * stall the answers there while other workers are idle.
 * How much answers count against prompts is a choice: objective.ts sets the weights for it.
 * All rates are learned (pass-rates.ts). Before they are, costs are in tokens: a backlog, own
 * tokens, and one token for each token of blocks in use.
 */
import type { ActiveBlocks } from "../active-blocks.ts";
import { type Place, uncachedTokens } from "../place.ts";
import { promptBlocks } from "../place-request.ts";
import type { Scan, Scorer } from "../select.ts";
import { type RoutedWorker, requestsThere, sharedBlocks, usedShare } from "../worker-state.ts";
import type { WorkerTable } from "../worker-table.ts";
import {
  BATCH_TOKENS,
  BLOCK_SIZE,
  CostRows,
  DECODE_FULL_MS,
  DECODE_PASS_MS,
  DONE_MOST_TOKENS,
  OTHERS_TOKENS,
  PASS_PART_MS,
  PREFILL_TOKENS,
  RATED,
  REQUESTS,
  ROW,
  SHARE,
  SINCE_MS,
  SQUARED_MS,
  TOKEN_MS,
  TOTAL_BLOCKS,
  WHOLE_TOKEN_MS,
} from "./cost-rows.ts";
import type { PassRates } from "./pass-rates.ts";

export type AdaptiveOptions = {
  /** Own work counts 1 and this much for each request that it is expected to delay. */
  readonly crowd_weight: number;
  /** Added to that for each answer that it stalls, see `stall_divisor`. */
  readonly stall_weight: number;
  /** Added to that for each request per worker that waits in the router. */
  readonly queue_weight: number;
  readonly decode_weight: number;
  readonly others_weight: number;
  /** A worker with more than this times the mean share of its blocks in use is overfull. */
  readonly fair_share: number;
  /** Weight of the steps that an overfull worker adds to the answer. */
  readonly overfull_weight: number;
};

/** Below this mean share of blocks in use no worker counts as overfull. */
const FAIR_LEAST = 0.02;

/** Weights with answers counted in full. */
export const adaptiveDefaults: AdaptiveOptions = {
  crowd_weight: 4,
  stall_weight: 7,
  queue_weight: 1,
  decode_weight: 0.003,
  others_weight: 0.008,
  fair_share: 1.5,
  overfull_weight: 1,
};

/** Inputs of the cost beside the place. All of them change while the router runs. */
export type AdaptiveInputs = {
  /** Learned rates of this worker; undefined before there are any. */
  readonly rates: (worker: RoutedWorker) => PassRates | undefined;
  /** Share of the pool's time that prompts take. */
  readonly promptLoad: () => number;
  /** Running mean of answer lengths. */
  readonly outputTokens: () => number;
};

/** The cost of one worker; `adaptiveScan` computes it for all workers of a table. */
export function adaptiveScorer(
  inputs: AdaptiveInputs,
  given: Partial<AdaptiveOptions> = {},
): Scorer {
  const options = { ...adaptiveDefaults, ...given };
  const question = new Question(options);
  const row = new CostRows();
  let seen: Place | undefined;
  return (place, at) => {
    if (place !== seen) {
      seen = place;
      const { workers } = place;
      question.ask(place, inputs, meanOf(workers, usedShare), meanOf(workers, requestsThere));
    }
    const worker = place.workers[at]!;
    row.fill(0, worker, inputs.rates(worker));
    const blocks = promptBlocks(place.request, worker.block_size);
    const fresh = blocks - sharedBlocks(worker, place.request);
    return costOf(row.cells, 0, question, uncachedTokens(place, at), fresh);
  };
}

/** The same costs for all workers of a table at once. It cannot compare blocks of several sizes. */
export function adaptiveScan(
  inputs: AdaptiveInputs,
  table: WorkerTable,
  active: ActiveBlocks,
  given: Partial<AdaptiveOptions> = {},
): Scan {
  const options = { ...adaptiveDefaults, ...given };
  const question = new Question(options);
  let shared = new Int32Array(64);
  return (place, costs) => {
    const { block_size } = table.facts();
    if (block_size === 0 || place.workers !== table.workers) return false;
    const count = place.workers.length;
    if (shared.length < count) shared = new Int32Array(2 * count);
    shared.fill(0, 0, count);
    active.count(place.request, shared);
    table.refresh();
    const { rows } = table;
    question.ask(place, inputs, rows.mean(SHARE, count), rows.mean(REQUESTS, count));
    const blocks = promptBlocks(place.request, block_size);
    const cold_tokens = Math.max(1, place.request.prompt_tokens);
    const { cells } = rows;
    const { warm = all_warm } = place;
    for (let at = 0; at < count; at++) {
      const tokens = warm[at] === 0 ? cold_tokens : uncachedTokens(place, at);
      costs[at] = costOf(cells, ROW * at, question, tokens, blocks - shared[at]!);
    }
    return true;
  };
}

const all_warm = new Uint8Array(0);

/** The inputs of a cost that are the same for all workers. */
export class Question {
  readonly options: AdaptiveOptions;
  now_ms = 0;
  /** Weight of a request's own work at a worker without answers. */
  own_weight = 0;
  /**
   * The answers that one more prompt stalls count as the worker's requests / (1 + mean requests)².
   * With more requests at all workers, answers stall more often and take longer (by 1 + mean), so
   * one more stall is a smaller part of each, and only the difference between workers counts.
   */
  stall_divisor = 1;
  steps = 0;
  fair_share = 0;

  constructor(options: AdaptiveOptions) {
    this.options = options;
  }

  ask(place: Place, inputs: AdaptiveInputs, mean_share: number, mean_requests: number): void {
    const { options } = this;
    const queued = place.queued / place.workers.length;
    const crowd = crowding(inputs.promptLoad());
    this.now_ms = place.now_ms;
    this.own_weight = 1 + options.crowd_weight * crowd + options.queue_weight * queued;
    this.stall_divisor = (1 + mean_requests) ** 2;
    this.steps = inputs.outputTokens();
    this.fair_share = options.fair_share * mean_share + FAIR_LEAST;
  }
}

/**
 * One worker's cost; the page's head says what it is made of.
 * @param row where its row in `cells` begins
 * @param tokens of the prompt that it would have to compute
 * @param fresh blocks of the prompt that no request there uses
 */
function costOf(
  cells: Float64Array,
  row: number,
  question: Question,
  tokens: number,
  fresh: number,
): number {
  const { options } = question;
  const requests = cells[row + REQUESTS]!;
  const share = cells[row + SHARE]!;
  const own_weight =
    question.own_weight + options.stall_weight * (requests / question.stall_divisor);
  const prefill = cells[row + PREFILL_TOKENS]!;
  const others = cells[row + OTHERS_TOKENS]!;
  const total_blocks = cells[row + TOTAL_BLOCKS]!;
  if (cells[row + RATED] === 0) {
    const in_use = share * total_blocks * cells[row + BLOCK_SIZE]!;
    return prefill + others + Math.max(UNRATED_OWN_WEIGHT, own_weight) * tokens + in_use;
  }
  const done_most = cells[row + DONE_MOST_TOKENS]!;
  const since_ms = question.now_ms - cells[row + SINCE_MS]!;
  const done = done_most === 0 ? 0 : Math.min(done_most, since_ms / cells[row + WHOLE_TOKEN_MS]!);
  const backlog = prefill - done + others;
  const batch = cells[row + BATCH_TOKENS]!;
  const token_ms = cells[row + TOKEN_MS]!;
  const squared_ms = cells[row + SQUARED_MS]!;
  const pass_part_ms = cells[row + PASS_PART_MS]!;
  const pass_ms = cells[row + DECODE_PASS_MS]!;
  const full_ms = cells[row + DECODE_FULL_MS]!;
  const backlog_ms = backlog * (token_ms + squared_ms * Math.min(backlog, batch) + pass_part_ms);
  const own_ms = tokens * (token_ms + squared_ms * Math.min(tokens, batch) + pass_part_ms);
  const steps_ms = ((backlog + tokens) / batch) * (pass_ms + full_ms * share);
  // Cached blocks that are not in use take up room once this request uses them.
  const grows = fresh / total_blocks;
  const then = Math.min(1, share + grows);
  const excess = Math.max(0, then - question.fair_share);
  const excess_ms = options.overfull_weight * full_ms * excess;
  const others_ms = options.others_weight * (full_ms * grows * requests);
  const decode_ms =
    question.steps * (options.decode_weight * (pass_ms + full_ms * then) + others_ms + excess_ms);
  return backlog_ms + own_weight * own_ms + steps_ms + decode_ms;
}

/**
 * Without rates the cost of a block in use, compared with a token to compute, is unknown. At equal
 * weight a cached prompt would avoid its own blocks as long as a report shows them in use.
 */
export const UNRATED_OWN_WEIGHT = 4;

/** Largest load that counts; above it the queue is the better measure. */
const LOAD_AT_MOST = 0.6;

/**
 * Growth of others' wait with a little more work at this load, ρ / (1 − ρ)²: the derivative of the
 * mean wait in a queue with one server (Pollaczek and Khinchine), up to a factor.
 */
function crowding(load: number): number {
  const rho = Math.min(LOAD_AT_MOST, load);
  return rho / (1 - rho) ** 2;
}

export function meanOf(
  workers: readonly RoutedWorker[],
  of: (worker: RoutedWorker) => number,
): number {
  let sum = 0;
  for (const worker of workers) sum += of(worker);
  return sum / workers.length;
}
