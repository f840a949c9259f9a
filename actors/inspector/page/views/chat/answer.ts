/**
 * One answer of the chat as it comes: chunks in, what is shown out. Pure, so that a resumed stream,
 * a migration and an error are tests without a browser.
 */

import { placeOf } from "./event-place.ts";
import type { SseEvent } from "./sse-reader.ts";

/** Stands in a text where the answer moved to another worker; models do not get to write it. */
export const SEAM_MARK = "\uE000";

export type ToolCall = { readonly id: string; readonly name: string; readonly arguments: string };

export type Seam = {
  readonly into: "content" | "reasoning" | "calls";
  readonly from_hint: string;
  readonly to_hint: string;
  /** Tokens that the workers before had delivered. */
  readonly tokens: number;
};

export type AnswerState = "waiting" | "streaming" | "reconnecting" | "done" | "stopped" | "failed";

export type Answer = {
  readonly state: AnswerState;
  /** By which the inspector knows it; a stream may have another id. */
  readonly request: string;
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly ToolCall[];
  readonly seams: readonly Seam[];
  readonly attempt: number;
  readonly hint: string;
  /** Delivered tokens, by the ids of the events. */
  readonly tokens: number;
  readonly sent_ms: number;
  readonly first_ms: number | undefined;
  readonly last_ms: number;
  readonly reconnects: number;
  readonly finish_reason?: string;
  readonly worker?: string;
  readonly prefill_worker?: string;
  readonly usage?: Usage;
  /** As the server measured them. */
  readonly server_ttft_ms?: number;
  readonly server_itl_ms?: number;
  readonly error?: string;
};

export type Usage = {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
  readonly reasoning_tokens: number;
};

export const newAnswer = (sent_ms: number): Answer => ({
  ...{ state: "waiting", request: "", content: "", reasoning: "", calls: [], seams: [] },
  ...{ attempt: 0, hint: "", tokens: 0, sent_ms, first_ms: undefined, last_ms: sent_ms },
  reconnects: 0,
});

export const isOver = ({ state }: Answer): boolean =>
  state === "done" || state === "stopped" || state === "failed";

/** Also true of an answer that the page found in its history when it was opened again. */
export const isEmpty = (answer: Answer): boolean =>
  answer.content === "" && answer.reasoning === "" && answer.calls.length === 0;

type Delta = {
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
  readonly tool_calls?: readonly {
    readonly index: number;
    readonly id?: string;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }[];
};

type Chunk = {
  readonly choices?: readonly { readonly delta?: Delta; readonly finish_reason?: string | null }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
    readonly completion_tokens_details?: { readonly reasoning_tokens?: number } | null;
  } | null;
  readonly nvext?: {
    readonly worker_id?: {
      readonly decode_worker_id?: string;
      readonly prefill_worker_id?: string;
    };
    readonly timing?: { readonly ttft_ms?: number; readonly itl_ms?: number };
  };
  readonly error?: { readonly message?: string; readonly code?: string };
};

/** `now_ms` on the clock of `sent_ms`. */
export function withEvent(answer: Answer, event: SseEvent, now_ms: number): Answer {
  if (isOver(answer)) return answer;
  if (event.data === "[DONE]") return { ...answer, state: "done" };
  const chunk = parsed(event.data);
  if (chunk === undefined) return answer;
  if (chunk.error !== undefined) return failed(answer, errorText(chunk.error));
  const moved = withPlace({ ...answer, state: "streaming" }, event.id, deltaOf(chunk), now_ms);
  return withFacts(withDelta(moved, deltaOf(chunk)), chunk);
}

export const failed = (answer: Answer, error: string): Answer => ({
  ...answer,
  state: "failed",
  error,
});

const errorText = ({ message, code }: NonNullable<Chunk["error"]>): string =>
  `${message ?? "the answer failed"}${code ? ` (${code})` : ""}`;

function parsed(data: string): Chunk | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as Chunk) : undefined;
  } catch {
    return undefined;
  }
}

const deltaOf = ({ choices }: Chunk): Delta => choices?.[0]?.delta ?? {};

/** A place before any token is where it begins; a later one is a seam. */
function withPlace(answer: Answer, event_id: string, delta: Delta, now_ms: number): Answer {
  const place = placeOf(event_id);
  if (place === undefined) return answer;
  const { request, tokens, attempt, hint } = place;
  const grows = tokens > answer.tokens;
  const times = grows ? { first_ms: answer.first_ms ?? now_ms, last_ms: now_ms } : {};
  const now = {
    ...{ ...answer, ...times, request: answer.request || request },
    tokens: Math.max(tokens, answer.tokens),
  };
  if (hint === "" || (attempt === answer.attempt && hint === answer.hint)) return now;
  // The last chunks of an answer name its place once more and bring no text.
  const had = answer.tokens > 0 && answer.attempt > 0;
  if (!had) return { ...now, attempt, hint };
  const into = intoOf(delta, answer);
  const seam = { into, from_hint: answer.hint, to_hint: hint, tokens: answer.tokens };
  const marked = { ...now, attempt, hint, seams: [...answer.seams, seam] };
  return into === "calls" ? marked : { ...marked, [into]: answer[into] + SEAM_MARK };
}

function intoOf(delta: Delta, answer: Answer): Seam["into"] {
  if (delta.tool_calls !== undefined) return "calls";
  if (delta.reasoning_content ?? delta.reasoning) return "reasoning";
  if (delta.content) return "content";
  if (answer.calls.length > 0) return "calls";
  return answer.content === "" && answer.reasoning !== "" ? "reasoning" : "content";
}

const withoutMarks = (text: string): string => text.replaceAll(SEAM_MARK, "\uFFFD");

function withDelta(answer: Answer, delta: Delta): Answer {
  const content = withoutMarks(delta.content ?? "");
  const reasoning = withoutMarks(delta.reasoning_content ?? delta.reasoning ?? "");
  return {
    ...answer,
    content: answer.content + content,
    reasoning: answer.reasoning + reasoning,
    calls: (delta.tool_calls ?? []).reduce(withCall, answer.calls),
  };
}

type CallDelta = NonNullable<Delta["tool_calls"]>[number];

function withCall(calls: readonly ToolCall[], delta: CallDelta): readonly ToolCall[] {
  const before = calls[delta.index] ?? { id: "", name: "", arguments: "" };
  const call = {
    id: delta.id ?? before.id,
    name: before.name + (delta.function?.name ?? ""),
    arguments: before.arguments + (delta.function?.arguments ?? ""),
  };
  const next = [...calls];
  next[delta.index] = call;
  return next;
}

function withFacts(answer: Answer, { choices, usage, nvext }: Chunk): Answer {
  const finish_reason = choices?.[0]?.finish_reason ?? answer.finish_reason;
  const { worker_id, timing } = nvext ?? {};
  return {
    ...answer,
    ...(finish_reason === undefined ? {} : { finish_reason }),
    ...(usage ? { usage: usageOf(usage) } : {}),
    ...(worker_id?.decode_worker_id ? { worker: worker_id.decode_worker_id } : {}),
    ...(worker_id?.prefill_worker_id ? { prefill_worker: worker_id.prefill_worker_id } : {}),
    ...(timing?.ttft_ms === undefined ? {} : { server_ttft_ms: timing.ttft_ms }),
    ...(timing?.itl_ms === undefined ? {} : { server_itl_ms: timing.itl_ms }),
  };
}

const usageOf = (usage: NonNullable<Chunk["usage"]>): Usage => ({
  prompt_tokens: usage.prompt_tokens ?? 0,
  completion_tokens: usage.completion_tokens ?? 0,
  cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
  reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
});

/** From when it was sent to its first token, as the page saw it. */
export const ttftOf = ({ first_ms, sent_ms }: Answer): number | undefined =>
  first_ms === undefined ? undefined : first_ms - sent_ms;

/** In less, nobody can tell how fast tokens came: calls and schemas come in one burst. */
const LEAST_MS = 10;

/** Over the time between its first and its last token; of a burst, as the server saw them. */
export function tokensPerSecond(answer: Answer): number | undefined {
  const { tokens, first_ms, last_ms, server_itl_ms = 0 } = answer;
  if (first_ms === undefined || tokens < 2) return undefined;
  const took_ms = last_ms - first_ms;
  if (took_ms >= LEAST_MS) return ((tokens - 1) / took_ms) * 1_000;
  return server_itl_ms > 0 ? 1_000 / server_itl_ms : undefined;
}
