/**
 * One request as lines of a request trace: Dynamo's `dynamo.request.trace.v1`, which its replay and
 * ours read. Fields beyond Dynamo's (`key`, `endpoint`, `outcome`, `workers`) are those of an audit.
 * Pure. Field names are those of Dynamo's lib/llm/src/request_trace/types.rs.
 */
import { BLOCK_HASH_SEED, chainHash, localHash } from "../../../llm/blocks/block-hash.ts";

/** What is known of a request when its answer has ended. Times are Unix ms. */
export type RequestFacts = {
  readonly request_id: string;
  readonly x_request_id: string | undefined;
  readonly session_id: string | undefined;
  readonly key: string | undefined;
  readonly endpoint: string;
  readonly model: string;
  readonly received_ms: number;
  readonly ended_ms: number;
  /** Undefined: there was no token. */
  readonly ttft_ms: number | undefined;
  readonly last_token_ms: number | undefined;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cached_tokens: number;
  /** "success", "disconnected", or "error" and a status. */
  readonly outcome: string;
  readonly finish_reasons: readonly string[];
  readonly workers: readonly string[];
  /** The one prompt, where a replay can make the request again; it has one answer then. */
  readonly prompt: Uint32Array | undefined;
  readonly block_size: number;
  /** As the client sent it; undefined: it is not kept. */
  readonly body: object | undefined;
};

const SCHEMA = '"schema":"dynamo.request.trace.v1"';

/** One line, or two with the payload; each ends. */
export function traceLines(facts: RequestFacts): string {
  const { session_id, ended_ms, body } = facts;
  const context =
    session_id === undefined ? "" : `,"agent_context":${JSON.stringify({ session_id })}`;
  const head = (event: string) =>
    `{${SCHEMA},"event_type":"${event}","event_time_unix_ms":${Math.round(ended_ms)},` +
    `"event_source":"dynamo"${context}`;
  const end = `${head("request_end")},"request":${requestText(facts)}}\n`;
  if (body === undefined) return end;
  const { request_id, endpoint, model } = facts;
  const payload = {
    ...{ request_id, endpoint, model, request: body },
    // Answers are not kept.
    ...{ payload_complete: false, payload_drop_reason: "response_not_kept" },
  };
  return `${head("request_payload")},"payload":${JSON.stringify(payload)}}\n${end}`;
}

function requestText(facts: RequestFacts): string {
  const { received_ms, ended_ms, ttft_ms, last_token_ms, output_tokens, finish_reasons } = facts;
  const [finish_reason] = finish_reasons;
  const decode_ms = (last_token_ms ?? received_ms) - received_ms - (ttft_ms ?? 0);
  const request = {
    request_id: facts.request_id,
    x_request_id: facts.x_request_id,
    model: facts.model,
    input_tokens: facts.input_tokens,
    output_tokens,
    cached_tokens: facts.cached_tokens,
    request_received_ms: Math.round(received_ms),
    ttft_ms: ttft_ms === undefined ? undefined : rounded(ttft_ms),
    total_time_ms: rounded(ended_ms - received_ms),
    avg_itl_ms: output_tokens > 1 ? rounded(decode_ms / (output_tokens - 1)) : undefined,
    kv_hit_rate: facts.input_tokens > 0 ? rounded(facts.cached_tokens / facts.input_tokens) : 0,
    finish_reason_metadata: finish_reason === undefined ? undefined : { finish_reason },
    ...{ key: facts.key, endpoint: facts.endpoint, outcome: facts.outcome },
    workers: facts.workers,
  };
  const text = JSON.stringify(request);
  if (facts.prompt === undefined) return text;
  return `${text.slice(0, -1)},"replay":${replayText(facts.prompt, facts.block_size)}}`;
}

/** Hashes are whole numbers of 64 bits, which no double holds: they are written by hand. */
function replayText(prompt: Uint32Array, block_size: number): string {
  const hashes = sequenceNames(prompt, block_size).join(",");
  return (
    `{"trace_block_size":${block_size},"input_length":${prompt.length},` +
    `"input_sequence_hashes":[${hashes}]}`
  );
}

/** Names of the blocks of a prompt in order, of the last one also where it is not full. */
export function sequenceNames(prompt: Uint32Array, block_size: number): readonly bigint[] {
  const names: bigint[] = [];
  for (let from = 0; from < prompt.length; from += block_size) {
    const local = localHash(prompt.subarray(from, from + block_size), BLOCK_HASH_SEED);
    const parent = names.at(-1);
    names.push(parent === undefined ? local : chainHash(parent, local));
  }
  return names;
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
