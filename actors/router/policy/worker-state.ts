/**
 * What the policies read of one worker (one data-parallel rank of it). Plain data; the load book
 * and the dispatcher write it.
 */
import type { PassRates } from "./cost/pass-rates.ts";
import type { WorkerView } from "./filter.ts";
import { blockName, type PlaceRequest } from "./place-request.ts";

/** From the model card. */
export type WorkerLimits = {
  readonly block_size: number;
  readonly total_blocks: number;
  /** Tokens of one scheduler pass (`max_num_batched_tokens`). */
  readonly batch_tokens: number;
};

/** The worker's last word of itself, and our own count at that moment. */
export type ReportedLoad = {
  /** Blocks that running sequences refer to. */
  readonly used_blocks: number;
  readonly running: number;
  readonly waiting: number;
  /** Prompt tokens there, of every router's requests, that no pass has computed yet. */
  readonly waiting_prefill_tokens: number;
};

export type RoutedWorker = WorkerLimits &
  WorkerView & {
    readonly rank: number;
    /** Its number in the cache index. */
    readonly slot: number;
    /** Uncached prompt tokens that we sent and whose first token we have not seen. */
    prefill_tokens: number;
    /** Of those, each request's, in the order sent. */
    readonly prefilling: Map<string, number>;
    /** Since when the first of them is being computed, as far as we can tell. */
    prefill_since_ms: number;
    /** Blocks of the prompts that we sent and that have not ended; shared ones count once. */
    active_blocks: number;
    /** Requests that we sent and that have not ended. */
    requests: number;
    /** How often each named active block is in use; the name is 53 bits of its hash. */
    readonly uses: Map<number, number>;
    /** Its engine failed lately: until then others are asked first; 0 = it did not. */
    avoid_until_ms: number;
    reported: ReportedLoad | undefined;
    /** Learned from its own reports; undefined until they are enough. */
    rates: PassRates | undefined;
    /** Our own counts when `reported` came: the difference is what it does not know yet. */
    active_blocks_then: number;
    prefill_tokens_then: number;
    requests_then: number;
    /** Its place in the table of its dispatcher. */
    at: number;
    /** Its row in that table is out of date, and it stands in `changed`. */
    stale: boolean;
    changed: RoutedWorker[] | undefined;
  };

export type WorkerIdentity = WorkerLimits & {
  readonly key: string;
  readonly worker: string;
  readonly rank?: number;
  readonly slot: number;
  readonly labels?: readonly string[];
  readonly taints?: readonly string[];
};

export function newRoutedWorker(identity: WorkerIdentity): RoutedWorker {
  return {
    ...identity,
    rank: identity.rank ?? 0,
    labels: [...(identity.labels ?? []), ...(identity.taints ?? [])],
    taints: identity.taints ?? [],
    prefill_tokens: 0,
    prefilling: new Map(),
    prefill_since_ms: 0,
    active_blocks: 0,
    requests: 0,
    uses: new Map(),
    avoid_until_ms: 0,
    reported: undefined,
    rates: undefined,
    active_blocks_then: 0,
    prefill_tokens_then: 0,
    requests_then: 0,
    at: 0,
    stale: false,
    changed: undefined,
  };
}

/** Call it after every change of a field above: the worker's row is filled again. */
export function touch(worker: RoutedWorker): void {
  if (worker.stale || worker.changed === undefined) return;
  worker.stale = true;
  worker.changed.push(worker);
}

export function report(worker: RoutedWorker, load: ReportedLoad): void {
  worker.reported = load;
  worker.active_blocks_then = worker.active_blocks;
  worker.prefill_tokens_then = worker.prefill_tokens;
  worker.requests_then = worker.requests;
  touch(worker);
}

/**
 * Prompt tokens to compute there, other routers' too. What we sent counts until its first token,
 * but for the part of the oldest prompt that must be done by now at `token_ms` a token: without
 * that a long prompt looks as far from its end as when it began.
 */
export function backlogTokens(worker: RoutedWorker, now_ms: number, token_ms?: number): number {
  const done = token_ms === undefined ? 0 : doneTokens(worker, now_ms, token_ms);
  return worker.prefill_tokens - done + othersTokens(worker);
}

/** Prompt tokens to compute there of which only the worker has told us. */
export function othersTokens({ reported, prefill_tokens_then }: RoutedWorker): number {
  if (reported === undefined) return 0;
  return Math.max(0, reported.waiting_prefill_tokens - prefill_tokens_then);
}

/** The last pass of a prompt is never taken for done before its token is here. */
export const DONE_AT_MOST = 0.9;

function doneTokens(worker: RoutedWorker, now_ms: number, token_ms: number): number {
  for (const tokens of worker.prefilling.values()) {
    return Math.min(DONE_AT_MOST * tokens, (now_ms - worker.prefill_since_ms) / token_ms);
  }
  return 0;
}

/** Requests there, other routers' too. */
export function requestsThere(worker: RoutedWorker): number {
  const { reported, requests, requests_then } = worker;
  if (reported === undefined) return requests;
  return requests + Math.max(0, reported.running + reported.waiting - requests_then);
}

/** Share of the blocks that is in use, once what waits there runs: 0 to 1. */
export function usedShare(worker: RoutedWorker): number {
  const { reported, active_blocks, active_blocks_then, total_blocks } = worker;
  const since = active_blocks - active_blocks_then;
  const blocks = reported === undefined ? active_blocks : reported.used_blocks + since;
  return Math.min(1, Math.max(0, blocks / total_blocks));
}

/** Leading blocks of the prompt that requests of ours there are using. */
export function sharedBlocks({ uses }: RoutedWorker, { hashes }: PlaceRequest): number {
  const full = hashes.length >>> 1;
  let shared = 0;
  while (shared < full && uses.has(blockName(hashes, shared))) shared++;
  return shared;
}
