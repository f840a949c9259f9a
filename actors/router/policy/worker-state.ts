/**
 * The state of one worker (one data-parallel rank of it) that the policies read. Plain data; the
 * load book and the dispatcher write it.
 */
import type { PassRates } from "./cost/pass-rates.ts";
import type { WorkerView } from "./filter.ts";
import { type Sharer, sharerOf } from "./pairs/sharing.ts";
import { blockName, type PlaceRequest } from "./place-request.ts";

/** Limits from the model card. */
export type WorkerLimits = {
  readonly block_size: number;
  readonly total_blocks: number;
  /** Tokens of one scheduler pass (`max_num_batched_tokens`). */
  readonly batch_tokens: number;
};

/** The worker's last load report. */
export type ReportedLoad = {
  /** Blocks that running sequences refer to. */
  readonly used_blocks: number;
  readonly running: number;
  readonly waiting: number;
  /** Prompt tokens at the worker, from all routers, that no pass has computed yet. */
  readonly waiting_prefill_tokens: number;
};

export type RoutedWorker = WorkerLimits &
  WorkerView & {
    /** Changed in place by its owner. */
    readonly sharer: Sharer;
    readonly rank: number;
    /** The worker's number in the cache index. */
    readonly slot: number;
    /** Uncached prompt tokens that we sent and whose first token we have not seen. */
    prefill_tokens: number;
    /** The same by request, in the order sent. */
    readonly prefilling: Map<string, number>;
    /** When the computing of the first of these began, estimated. */
    prefill_since_ms: number;
    /** Blocks of the prompts that we sent and that have not ended; shared ones count once. */
    active_blocks: number;
    /** Requests that we sent and that have not ended. */
    requests: number;
    /** How often each named active block is in use; the name is 53 bits of its hash. */
    readonly uses: Map<number, number>;
    /** The worker's engine failed lately: it is avoided until this time; 0: it did not fail. */
    avoid_until_ms: number;
    reported: ReportedLoad | undefined;
    /** Rates learned from the worker's reports; undefined: too few reports so far. */
    rates: PassRates | undefined;
    /** Our counts when `reported` came; the worker did not know of what came since. */
    active_blocks_then: number;
    prefill_tokens_then: number;
    requests_then: number;
    /** The worker's place in the dispatcher's table. */
    at: number;
    /** The worker's row in that table is out of date, and the worker is in `changed`. */
    stale: boolean;
    changed: RoutedWorker[] | undefined;
  };

export type WorkerIdentity = WorkerLimits & {
  readonly key: string;
  /** Not given: the worker has a process of its own. */
  readonly process?: string;
  readonly worker: string;
  readonly rank?: number;
  readonly slot: number;
  readonly labels?: readonly string[];
  readonly taints?: readonly string[];
  readonly adapters?: readonly string[];
  /** Not given: it shares its blocks with nobody. */
  readonly sharer?: Sharer;
};

export function newRoutedWorker(identity: WorkerIdentity): RoutedWorker {
  return {
    ...identity,
    sharer: identity.sharer ?? sharerOf({}),
    rank: identity.rank ?? 0,
    process: identity.process ?? "",
    labels: [...(identity.labels ?? []), ...(identity.taints ?? [])],
    taints: identity.taints ?? [],
    adapters: identity.adapters ?? [],
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

/** Has the worker's row filled again. Call it after every change of a field above. */
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
 * Prompt tokens that the worker has to compute, from all routers. Our prompts count until their
 * first token. From the oldest one we subtract the part that must be done by now at `token_ms` a
 * token, else a long prompt would count in full to its end.
 */
export function backlogTokens(worker: RoutedWorker, now_ms: number, token_ms?: number): number {
  const done = token_ms === undefined ? 0 : doneTokens(worker, now_ms, token_ms);
  return worker.prefill_tokens - done + othersTokens(worker);
}

/** Prompt tokens that the worker has to compute and that only its report told us of. */
export function othersTokens({ reported, prefill_tokens_then }: RoutedWorker): number {
  if (reported === undefined) return 0;
  return Math.max(0, reported.waiting_prefill_tokens - prefill_tokens_then);
}

/** Largest part of a prompt that counts as done before its first token is here. */
export const DONE_AT_MOST = 0.9;

function doneTokens(worker: RoutedWorker, now_ms: number, token_ms: number): number {
  for (const tokens of worker.prefilling.values()) {
    return Math.min(DONE_AT_MOST * tokens, (now_ms - worker.prefill_since_ms) / token_ms);
  }
  return 0;
}

/** Requests at the worker, from all routers. */
export function requestsThere(worker: RoutedWorker): number {
  const { reported, requests, requests_then } = worker;
  if (reported === undefined) return requests;
  return requests + Math.max(0, reported.running + reported.waiting - requests_then);
}

/** Share of the blocks that is in use once all waiting requests run: 0 to 1. */
export function usedShare(worker: RoutedWorker): number {
  const { reported, active_blocks, active_blocks_then, total_blocks } = worker;
  const since = active_blocks - active_blocks_then;
  const blocks = reported === undefined ? active_blocks : reported.used_blocks + since;
  return Math.min(1, Math.max(0, blocks / total_blocks));
}

/** Leading blocks of the prompt that our requests at the worker use. */
export function sharedBlocks({ uses }: RoutedWorker, { hashes }: PlaceRequest): number {
  const full = hashes.length >>> 1;
  let shared = 0;
  while (shared < full && uses.has(blockName(hashes, shared))) shared++;
  return shared;
}
