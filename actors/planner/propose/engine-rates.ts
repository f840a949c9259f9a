/**
 * Requests a second that one worker can do within the SLA, by what a pass takes (Dynamo 1.x,
 * `core/perf_model/{prefill,decode,agg}.py`). Where the SLA cannot be met at all, the best rate
 * that can be had: who asks sees by `ttft_ms` and `itl_ms` that it is missed.
 */
import { drainMs, type PassModel } from "../model/pass-model.ts";
import type { WorkerLimits } from "../pipeline/snapshot.ts";

export type EngineRate = {
  readonly requests_per_s: number;
  /** What the model expects at this rate; 0: of no matter for this role. */
  readonly ttft_ms: number;
  readonly itl_ms: number;
};

export type Demand = {
  /** Tokens of a prompt and of an answer. */
  readonly isl: number;
  readonly osl: number;
  /** Of a prompt's tokens, the share that a cache has; 0 to 1. Saves work, but no KV tokens. */
  readonly kv_hit_rate: number;
  /** Tokens that a pass makes for one answer; 1 without speculation. */
  readonly accept_length?: number | undefined;
};

export type Sla = { readonly ttft_ms: number; readonly itl_ms: number };

/** Where neither the model card nor an observation says how many fit. */
const BATCH_UNKNOWN = 256;
const AGGREGATED_BATCH_UNKNOWN = 1024;

/** Tokens of a prompt that must be computed. */
export function computedTokens({ isl, kv_hit_rate }: Demand): number {
  const share = Number.isFinite(kv_hit_rate) ? Math.min(1, Math.max(0, kv_hit_rate)) : 0;
  return isl * (1 - share);
}

function acceptedTokens({ accept_length }: Demand): number {
  return accept_length !== undefined && accept_length > 1 ? accept_length : 1;
}

/** One prompt after the other. A prompt that is all cached still takes a token's pass. */
export function prefillRate(model: PassModel, demand: Demand, limits: WorkerLimits): EngineRate {
  const tokens = Math.max(1, computedTokens(demand));
  const ttft_ms = drainMs(model, tokens, limits.max_batch_tokens);
  return { requests_per_s: 1_000 / ttft_ms, ttft_ms, itl_ms: 0 };
}

/**
 * Little's law over the largest batch whose pass is within the ITL.
 *
 * @param kv_tokens_seen the most that were in use at a worker, where its limit is unknown; 0: none
 */
export function decodeRate(
  model: PassModel,
  demand: Demand,
  limits: WorkerLimits,
  sla: Sla,
  kv_tokens_seen: number,
): EngineRate {
  const context = contextOf(demand);
  const accepted = acceptedTokens(demand);
  const itlMs = (requests: number) =>
    model.passMs({ prefill_tokens: 0, requests, kv_tokens: requests * context }) / accepted;
  const kv_tokens = limits.max_kv_tokens > 0 ? limits.max_kv_tokens : kv_tokens_seen;
  const kv_cap = kv_tokens > 0 ? Math.max(1, Math.floor(kv_tokens / context)) : BATCH_UNKNOWN;
  const cap = Math.min(kv_cap, limits.max_seqs > 0 ? limits.max_seqs : kv_cap);
  const requests = largest(cap, (batch) => itlMs(batch) <= sla.itl_ms);
  const itl_ms = itlMs(requests);
  return { requests_per_s: (1_000 * requests) / (demand.osl * itl_ms), ttft_ms: 0, itl_ms };
}

/**
 * The same for passes that compute prompts and draw tokens together: the batch grows until TTFT or
 * ITL is missed, and never beyond the one whose ends free as many tokens of a pass as the prompts
 * that follow need.
 */
export function aggregatedRate(
  model: PassModel,
  demand: Demand,
  limits: WorkerLimits,
  sla: Sla,
): EngineRate {
  const { isl, osl } = demand;
  const { max_batch_tokens } = limits;
  const context = contextOf(demand);
  const computed = computedTokens(demand);
  const accepted = acceptedTokens(demand);
  const kv_cap =
    limits.max_kv_tokens > 0
      ? Math.max(1, Math.floor(limits.max_kv_tokens / context))
      : AGGREGATED_BATCH_UNKNOWN;
  const seq_cap = limits.max_seqs > 0 ? limits.max_seqs : kv_cap;
  const cap = largest(
    Math.min(kv_cap, seq_cap, max_batch_tokens - 1),
    (batch) => isl / (max_batch_tokens - batch) <= osl,
  );
  const rateOf = (requests: number): EngineRate => {
    const kv_tokens = requests * context;
    // Of a batch, so many answers end in a pass, and as many prompts follow.
    const ended = (requests * accepted) / Math.max(1, osl);
    const prefill_tokens = Math.min(ended * computed, max_batch_tokens);
    const itl_ms = model.passMs({ prefill_tokens, requests, kv_tokens }) / accepted;
    // A prompt that comes now waits for the tokens of the pass that goes before it.
    const ttft_ms = drainMs(model, prefill_tokens + computed, max_batch_tokens, kv_tokens);
    return { requests_per_s: (1_000 * requests) / (osl * itl_ms), ttft_ms, itl_ms };
  };
  let best = rateOf(1);
  for (let requests = 1; requests <= cap; requests++) {
    const rate = rateOf(requests);
    if (rate.itl_ms > sla.itl_ms || rate.ttft_ms > sla.ttft_ms) break;
    best = rate;
  }
  return best;
}

/** Mean tokens of a request's context while its answer is made. */
export function contextOf({ isl, osl }: { readonly isl: number; readonly osl: number }): number {
  return Math.max(1, isl + osl / 2);
}

/** The largest count up to `most` that holds, by halving; 1 where none does. */
function largest(most: number, holds: (count: number) => boolean): number {
  let low = 1;
  let high = Math.max(1, most);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
