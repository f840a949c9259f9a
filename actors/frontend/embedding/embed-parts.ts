/**
 * A long request for embeddings in parts, because a question and its reply have to fit into one
 * message each. The parts may go to several workers. When one part fails, the request fails.
 */
import type { Embedding, Embeddings, Refused } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import { type EmbedHandle, type EmbedRequest, refused, type StartEmbedding } from "./embed.ts";

/** The most bytes of one message; a frame may hold far more. One single input may be larger. */
export const PART_BYTES = 1024 * 1024;
export const PART_INPUTS = 64;
/** Parts on their way at once: enough for several workers, and few in the queue of one. */
const PARTS_AT_ONCE = 16;
/** Of all parts on their way: half of what may wait for one process. */
const BYTES_AT_ONCE = 4 * 1024 * 1024;

/** Bytes that are answered for one input. */
export type AnswerBytes = (input: Uint32Array) => number;

/** In order; none empty. */
export function partsOf(
  inputs: readonly Uint32Array[],
  answerBytes: AnswerBytes,
): readonly (readonly Uint32Array[])[] {
  const parts: Uint32Array[][] = [];
  let part: Uint32Array[] = [];
  let asked_bytes = 0;
  let answer_bytes = 0;
  for (const input of inputs) {
    const asked = asked_bytes + input.byteLength;
    const answered = answer_bytes + answerBytes(input);
    const full = part.length >= PART_INPUTS || asked > PART_BYTES || answered > PART_BYTES;
    if (full && part.length > 0) {
      parts.push(part);
      part = [];
      asked_bytes = 0;
      answer_bytes = 0;
    }
    part.push(input);
    asked_bytes += input.byteLength;
    answer_bytes += answerBytes(input);
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

export function embedInParts(
  start: StartEmbedding,
  request: EmbedRequest,
  answerBytes: AnswerBytes,
  clock: Clock,
  trace: TraceContext | undefined,
): EmbedHandle {
  const parts = partsOf(request.inputs, answerBytes);
  if (parts.length <= 1) return start(request, trace);
  const late_at_ms = clock.now_ms() + request.deadline_ms;
  const live = new Set<EmbedHandle>();
  let stopped: Refused | undefined;
  const abandon = (reason: string) => {
    for (const handle of live) handle.abandon(reason);
  };
  const one = async (inputs: readonly Uint32Array[], at: number): Promise<readonly Embedding[]> => {
    if (stopped !== undefined) return [];
    const deadline_ms = Math.max(0, late_at_ms - clock.now_ms());
    const part = { ...request, request: `${request.request}-${at}`, inputs, deadline_ms };
    const handle = start(part, trace);
    live.add(handle);
    const answer = await handle.result;
    live.delete(handle);
    if (answer.kind === "embeddings") return answer.items;
    stopped ??= answer;
    abandon("another part of the request failed");
    return [];
  };
  const run = async (): Promise<Embeddings | Refused> => {
    const items: (readonly Embedding[])[] = new Array(parts.length).fill([]);
    let next = 0;
    const lane = async () => {
      for (let at = next++; at < parts.length; at = next++) items[at] = await one(parts[at]!, at);
    };
    await Promise.all(Array.from({ length: lanesOf(parts, answerBytes) }, lane));
    return stopped ?? { kind: "embeddings", request: request.request, items: items.flat() };
  };
  return {
    result: run(),
    abandon: (reason) => {
      stopped ??= refused(request.request, "cancelled", reason);
      abandon(reason);
    },
  };
}

function lanesOf(parts: readonly (readonly Uint32Array[])[], answerBytes: AnswerBytes): number {
  let largest_bytes = 1;
  for (const inputs of parts) {
    let asked = 0;
    let answered = 0;
    for (const input of inputs) {
      asked += input.byteLength;
      answered += answerBytes(input);
    }
    largest_bytes = Math.max(largest_bytes, asked, answered);
  }
  const fitting = Math.max(1, Math.floor(BYTES_AT_ONCE / largest_bytes));
  return Math.min(PARTS_AT_ONCE, parts.length, fitting);
}
