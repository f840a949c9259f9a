/**
 * A request that has ended as spans for a collector: one of the server, by the conventions for
 * generative models (https://opentelemetry.io/docs/specs/semconv/gen-ai/), and one for each of its
 * steps. What a worker does it tells by itself, below the server's span. Pure.
 */
import type { FinishedSpan, SpanAttributes } from "../../../runtime/observe/telemetry.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import type { RequestEntry } from "./request-entry.ts";
import type { Span } from "./span.ts";

/** By the name of the dialect. */
const operations: Readonly<Record<string, string>> = {
  chat_completions: "chat",
  messages: "chat",
  responses: "chat",
  completions: "text_completion",
  embeddings: "embeddings",
};

/** Told by the worker itself. */
const workers: readonly string[] = ["queue", "transfer", "prefill"];

/**
 * @param trace of the server's span
 * @param wall_ms Unix time of 0 on the clock's scale
 */
export function requestSpans(
  entry: RequestEntry,
  trace: TraceContext,
  wall_ms: number,
  spanId: () => string,
): FinishedSpan[] {
  const { trace_id, span_id } = trace;
  const { arrival, error, state, model } = entry;
  const operation = operations[entry.endpoint] ?? entry.endpoint;
  const server: FinishedSpan = {
    ...{ trace_id, span_id, parent_id: entry.parent?.span_id, kind: "server" },
    name: model === "" ? operation : `${operation} ${model}`,
    start_ms: wall_ms + arrival.arrived_ms,
    end_ms: wall_ms + entry.ended_ms,
    attributes: attributesOf(entry, operation),
    error: state === "done" ? undefined : (error ?? state),
  };
  const steps = entry.spans.filter(({ name }) => !workers.includes(name));
  return [server, ...steps.map((span) => stepOf(span, trace, wall_ms, spanId()))];
}

function stepOf(span: Span, trace: TraceContext, wall_ms: number, span_id: string): FinishedSpan {
  const { name, from_ms, to_ms, worker, prompt, notes } = span;
  const attributes: Record<string, string | number | boolean> = {};
  if (worker !== undefined) attributes["troupe.worker"] = worker;
  if (prompt !== undefined) attributes["troupe.prompt"] = prompt;
  for (const [key, value] of Object.entries(notes ?? {}))
    attributes[`troupe.${name}.${key}`] = value;
  const times = { start_ms: wall_ms + from_ms, end_ms: wall_ms + to_ms };
  const { trace_id, span_id: parent_id } = trace;
  return { trace_id, span_id, parent_id, name, kind: "internal", ...times, attributes };
}

function attributesOf(entry: RequestEntry, operation: string): SpanAttributes {
  const { arrival, status, first_ms, model, finish_reasons, state } = entry;
  return {
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": "troupe",
    ...(model === "" ? {} : { "gen_ai.request.model": model, "gen_ai.response.model": model }),
    "gen_ai.response.id": arrival.id,
    "gen_ai.response.finish_reasons": finish_reasons,
    "gen_ai.usage.input_tokens": entry.prompt_tokens,
    "gen_ai.usage.output_tokens": entry.output_tokens,
    "gen_ai.usage.cache_read.input_tokens": entry.cached_tokens,
    ...(first_ms === 0
      ? {}
      : { "gen_ai.server.time_to_first_token": (first_ms - arrival.arrived_ms) / 1_000 }),
    "http.request.method": arrival.request.method,
    "http.route": arrival.path,
    "http.response.status_code": status,
    ...(state === "done" ? {} : { "error.type": `${status}` }),
    "troupe.workers": entry.workers,
    "troupe.migrations": entry.migrations,
  };
}
