/** A Route as the KV-aware policies see it: the prompt as the names of its blocks. */
import { BLOCK_HASH_SEED, blockHashes, blockSeed } from "../../llm/blocks/block-hash.ts";
import { type HashPairs, pairsOf } from "../../llm/blocks/block-table.ts";
import { tokensOf } from "../../llm/tokens/token-bytes.ts";
import type {
  ActorRef,
  PrefetchKv,
  Route,
  RouteHints,
  TaintWeight,
  WorkerLoad,
  WorkerRecord,
} from "../../proto/index.ts";
import type { Candidate } from "./candidate.ts";
import type { Constraints } from "./policy/constraints.ts";
import type { PassSums } from "./policy/cost/pass-rates.ts";
import type { Prefetch } from "./policy/cost/prefetch.ts";
import type { PlaceRequest } from "./policy/place-request.ts";
import type { ReportedLoad, WorkerLimits } from "./policy/worker-state.ts";
import { LOWEST_PRIORITY } from "./traffic.ts";

/** Blocks of a worker that has no block cache: it is never full. */
const ENDLESS = 2 ** 30;
const no_blocks: HashPairs = new Uint32Array(0);

export function placeRequestOf(
  route: Route,
  constraints: Constraints,
  block_size: number,
): PlaceRequest {
  const { request, prompt, max_tokens, hints } = route;
  // A request without an answer (an embedding) neither uses nor fills the cache.
  const answered = max_tokens > 0 && prompt.length >= 4 * block_size;
  return {
    ...constraints,
    request,
    prompt_tokens: prompt.length >>> 2,
    hashes: answered ? hashesOf(route, block_size) : no_blocks,
    ...(hints === undefined ? {} : preferencesOf(hints)),
    ...(route.whole ? { whole: true } : {}),
    ...(route.explain ? { explain: true } : {}),
    ...(route.continued ? { continued: true, strict_priority: priorityBehind(hints) } : {}),
  };
}

/** An answer that has begun goes on before others begin, but for one that nobody waits for. */
const priorityBehind = (hints: RouteHints | undefined): number =>
  hints?.strict_priority === LOWEST_PRIORITY ? LOWEST_PRIORITY : FIRST_OF_ALL;

/** Above every priority of a client, which is an i32 on the wire. */
const FIRST_OF_ALL = 2 ** 31;

function hashesOf({ prompt, adapter, salt }: Route, block_size: number): HashPairs {
  const own = adapter !== undefined || salt !== undefined;
  const seed = own ? blockSeed({ adapter, salt }) : BLOCK_HASH_SEED;
  return pairsOf(blockHashes(tokensOf(prompt), block_size, seed).sequence_hashes);
}

function preferencesOf(hints: RouteHints) {
  const { session, strict_priority, priority_jump_ms, policy_class, preferred_taints } = hints;
  return {
    strict_priority,
    priority_jump_ms,
    ...(session === "" ? {} : { session }),
    ...(policy_class === "" ? {} : { policy_class }),
    ...(preferred_taints.length === 0 ? {} : { preferred_taints: weightsOf(preferred_taints) }),
  };
}

const weightsOf = (weights: readonly TaintWeight[]) =>
  Object.fromEntries(weights.map(({ taint, weight }) => [taint, weight]));

/** Limits in blocks of the model's size, also for a worker with another block size. */
export function limitsOf({ record }: Candidate, block_size: number): WorkerLimits {
  const { card } = record;
  const tokens = (card?.total_blocks ?? 0) * (card?.block_size ?? 0);
  if (tokens === 0) return { block_size, total_blocks: ENDLESS, batch_tokens: ENDLESS };
  const total_blocks = Math.max(1, Math.floor(tokens / block_size));
  return { block_size, total_blocks, batch_tokens: card?.max_num_batched_tokens || ENDLESS };
}

export function reportedLoad(load: WorkerLoad, own_block_size: number, block_size: number) {
  const { running, waiting, used_blocks, waiting_prefill_tokens } = load;
  const scale = own_block_size / block_size;
  const reported: ReportedLoad = {
    used_blocks: scale * used_blocks,
    running,
    waiting,
    waiting_prefill_tokens,
  };
  return reported;
}

/** Sums over the passes between two reports; undefined: there is no earlier report. */
export function passesBetween(
  before: PassSums | undefined,
  after: PassSums | undefined,
): PassSums | undefined {
  if (after === undefined || before === undefined) return after;
  return {
    prefill_passes: after.prefill_passes - before.prefill_passes,
    prefill_tokens: after.prefill_tokens - before.prefill_tokens,
    prefill_tokens_squared: after.prefill_tokens_squared - before.prefill_tokens_squared,
    decode_passes: after.decode_passes - before.decode_passes,
    decode_share: after.decode_share - before.decode_share,
    busy_ms: after.busy_ms - before.busy_ms,
  };
}

export type PrefetchHint = { readonly worker: ActorRef; readonly message: PrefetchKv };

/** Undefined: names of blocks of this size mean nothing there. */
export function prefetchHint(
  { hashes: pairs }: Prefetch,
  { ref, card }: WorkerRecord,
  block_size: number,
): PrefetchHint | undefined {
  if (ref === undefined || card?.block_size !== block_size) return undefined;
  const hashes = new Uint8Array(pairs.buffer, pairs.byteOffset, pairs.byteLength);
  return { worker: ref, message: { kind: "prefetch_kv", space: 0, hashes, from: 0 } };
}
