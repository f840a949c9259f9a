/** Records of the native engine (native/troupe.h, tr_poll) as engine events. */

import { TR } from "../../../native/index.ts";
import type { EngineEvent, FinishReason, TokenLogprob } from "../engine.ts";

/** One buffer seen as words and as floats. */
export type RecordReader = {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
};

type OpenTokens = {
  kind: "tokens";
  handle: number;
  first_index: number;
  tokens: number[];
  logprobs?: TokenLogprob[];
};

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
  for (let at = 0; at < length; at += words[at]!) {
    const kind = words[at + 1]!;
    const handle = words[at + 2]!;
    if (kind === TR.REC_TOKEN) {
      readToken(reader, at, handle, open, events);
      continue;
    }
    open.delete(handle);
    events.push(kind === TR.REC_FINISHED ? finished(words, at) : embedding(reader, at));
  }
  return events;
}

function readToken(
  { words, floats }: RecordReader,
  at: number,
  handle: number,
  open: Map<number, OpenTokens>,
  events: EngineEvent[],
): void {
  const n = words[at + 5]!;
  let event = open.get(handle);
  if (!event) {
    event = { kind: "tokens", handle, first_index: words[at + 3]!, tokens: [] };
    if (n > 0) event.logprobs = [];
    open.set(handle, event);
    events.push(event);
  }
  event.tokens.push(words[at + 4]!);
  if (n === 0) return;
  const top: [number, number][] = [];
  for (let i = 1; i < n; i += 2) top.push([words[at + 6 + i]!, floats[at + 7 + i]!]);
  event.logprobs?.push({ logprob: floats[at + 6]!, top });
}

function finished(words: Uint32Array, at: number): EngineEvent {
  const reason = REASONS[words[at + 3]!] ?? "error";
  const stop = words[at + 4]!;
  return {
    kind: "finished",
    handle: words[at + 2]!,
    reason,
    ...(reason === "stop" && stop > 0 ? { stop_token: stop - 1 } : {}),
    prompt_tokens: words[at + 5]!,
    cached_tokens: words[at + 6]!,
    ...(reason === "error"
      ? { error: "The engine failed while it computed this answer. Send the request again." }
      : {}),
  };
}

function embedding({ words, floats }: RecordReader, at: number): EngineEvent {
  return {
    kind: "embedding",
    handle: words[at + 2]!,
    values: floats.slice(at + 5, at + 5 + words[at + 4]!),
    prompt_tokens: words[at + 3]!,
  };
}
