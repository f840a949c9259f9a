/** Records of the native engine (native/troupe.h, tr_poll) as engine events. */

import { TR } from "../../../native/index.ts";
import type { BlockMove } from "../block-port.ts";
import type { EngineEvent, FinishReason, TokenLogprob } from "../engine.ts";

/** One buffer seen as words and as floats. */
export type RecordReader = {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  /** Vectors of tokens, by handle, of those whose last record has not come. */
  readonly vectors: Map<number, Float32Array[]>;
  /** Hears of moves of blocks, which are no events of a request. */
  moved(handle: number, blocks: readonly BlockMove[]): void;
};

type OpenTokens = {
  kind: "tokens";
  handle: number;
  first_index: number;
  tokens: number[];
  logprobs?: TokenLogprob[];
  prefill_ms?: number;
};

type OpenScores = {
  kind: "scores";
  handle: number;
  first_index: number;
  scores: TokenLogprob[];
};

const MOVES: readonly BlockMove[] = ["moved", "gone", "no_room", "odd"];
const REASONS: readonly FinishReason[] = ["stop", "length", "cancelled", "error"];

/**
 * Reads `length` words of whole records, oldest first. Each record is [words, kind, handle, …].
 * Tokens of one handle are merged into its last event, which no finished event of that handle can
 * follow before: so an event's tokens are always consecutive.
 */
export function readRecords(reader: RecordReader, length: number): readonly EngineEvent[] {
  const { words } = reader;
  const events: EngineEvent[] = [];
  const open = new Map<number, OpenTokens>();
  const scored = new Map<number, OpenScores>();
  for (let at = 0; at < length; at += words[at]!) {
    const kind = words[at + 1]!;
    const handle = words[at + 2]!;
    if (kind === TR.REC_TOKEN) {
      readToken(reader, at, handle, open, events);
      continue;
    }
    if (kind === TR.REC_MOVED) {
      readMoved(reader, at, handle);
      continue;
    }
    if (kind === TR.REC_VECTOR) {
      readVector(reader, at, handle);
      continue;
    }
    if (kind === TR.REC_SCORE) {
      readScore(reader, at, handle, scored, events);
      continue;
    }
    open.delete(handle);
    events.push(kind === TR.REC_FINISHED ? finished(reader, at) : embedding(reader, at));
  }
  return events;
}

/** Of a token's record without what `n` counts. */
const TOKEN_WORDS = 6;

function readToken(
  reader: RecordReader,
  at: number,
  handle: number,
  open: Map<number, OpenTokens>,
  events: EngineEvent[],
): void {
  const { words, floats } = reader;
  const n = words[at + 5]!;
  let event = open.get(handle);
  if (!event) {
    event = { kind: "tokens", handle, first_index: words[at + 3]!, tokens: [] };
    if (n > 0) event.logprobs = [];
    open.set(handle, event);
    events.push(event);
  }
  event.tokens.push(words[at + 4]!);
  if (words[at]! > TOKEN_WORDS + n) event.prefill_ms = floats[at + TOKEN_WORDS + n]!;
  if (n === 0) return;
  event.logprobs?.push({ logprob: floats[at + 6]!, top: topOf(reader, at, n) });
}

/** Of a record whose logprob stands at `at + 6`: `n` words with the pairs of the likeliest. */
function topOf({ words, floats }: RecordReader, at: number, n: number): [number, number][] {
  const top: [number, number][] = [];
  for (let i = 1; i < n; i += 2) top.push([words[at + 6 + i]!, floats[at + 7 + i]!]);
  return top;
}

/** All scores of a handle come before its tokens: so an event's scores are consecutive too. */
function readScore(
  reader: RecordReader,
  at: number,
  handle: number,
  open: Map<number, OpenScores>,
  events: EngineEvent[],
): void {
  const { words, floats } = reader;
  let event = open.get(handle);
  if (!event) {
    event = { kind: "scores", handle, first_index: words[at + 3]!, scores: [] };
    open.set(handle, event);
    events.push(event);
  }
  const rank = words[at + 4]!;
  const top = topOf(reader, at, words[at + 5]!);
  event.scores.push({ logprob: floats[at + 6]!, top, rank });
}

function readVector({ words, floats, vectors }: RecordReader, at: number, handle: number): void {
  const vector = floats.slice(at + 5, at + 5 + words[at + 4]!);
  const before = vectors.get(handle);
  if (before === undefined) vectors.set(handle, [vector]);
  else before.push(vector);
}

function finished(reader: RecordReader, at: number): EngineEvent {
  const { words, floats, vectors } = reader;
  if (vectors.size > 0) vectors.delete(words[at + 2]!); // cancelled between two of them
  const reason = REASONS[words[at + 3]!] ?? "error";
  const stop = words[at + 4]!;
  const [right, wrong] = [words[at + 7]!, words[at + 8]!];
  const n = words[at + 9]!;
  return {
    kind: "finished",
    handle: words[at + 2]!,
    reason,
    ...(reason === "stop" && stop > 0 ? { stop_token: stop - 1 } : {}),
    ...(n > 0
      ? { stop_logprob: { logprob: floats[at + 10]!, top: topOf(reader, at + 4, n) } }
      : {}),
    prompt_tokens: words[at + 5]!,
    cached_tokens: words[at + 6]!,
    ...(right + wrong > 0 ? { drafts: { right, wrong } } : {}),
    ...(reason === "error"
      ? { error: "The engine failed while it computed this answer. Send the request again." }
      : {}),
  };
}

function readMoved({ words, moved }: RecordReader, at: number, handle: number): void {
  const codes = words.subarray(at + 4, at + 4 + words[at + 3]!);
  moved(
    handle,
    Array.from(codes, (code) => MOVES[code] ?? "odd"),
  );
}

function embedding({ words, floats, vectors }: RecordReader, at: number): EngineEvent {
  const handle = words[at + 2]!;
  const of_tokens = vectors.get(handle);
  vectors.delete(handle);
  return {
    kind: "embedding",
    handle,
    values:
      of_tokens === undefined
        ? floats.slice(at + 5, at + 5 + words[at + 4]!)
        : joinedFloats(of_tokens),
    prompt_tokens: words[at + 3]!,
  };
}

function joinedFloats(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
