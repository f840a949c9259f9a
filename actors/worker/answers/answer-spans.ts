/**
 * An answer that is over at its worker, as spans for a collector: below the span of the request
 * that the frontend named, one for the worker's part, and in it its steps.
 */
import type { Capabilities } from "../../../runtime/capabilities.ts";
import { type FinishedSpan, isSampled } from "../../../runtime/observe/telemetry.ts";
import type { LiveAnswer } from "./delivery.ts";

/** Of an answer with a trace that is collected; else it does nothing. */
export function exportAnswer(
  { telemetry, clock }: Pick<Capabilities, "telemetry" | "clock">,
  worker: string,
  answer: LiveAnswer,
): void {
  const { trace } = answer.arrival;
  if (telemetry === undefined || trace === undefined || !isSampled(trace)) return;
  const now_ms = clock.now_ms();
  const zero_ms = clock.wall_ms() - now_ms;
  telemetry.export(answerSpans(answer, worker, { now_ms, zero_ms }, () => telemetry.spanId()));
}

/** `zero_ms`: Unix time of 0 on the clock's scale. */
export function answerSpans(
  { arrival, times, generate, transcript }: LiveAnswer,
  worker: string,
  { now_ms, zero_ms }: { readonly now_ms: number; readonly zero_ms: number },
  spanId: () => string,
): FinishedSpan[] {
  const { arrived_ms, trace } = arrival;
  if (trace === undefined) return [];
  const { trace_id } = trace;
  const own_id = spanId();
  const span = (name: string, from_ms: number, to_ms: number): FinishedSpan => ({
    ...{ trace_id, span_id: spanId(), parent_id: own_id, name, kind: "internal" },
    ...{ start_ms: zero_ms + from_ms, end_ms: zero_ms + to_ms },
    attributes: { "troupe.worker": worker },
  });
  const tokens = transcript.choices.reduce((sum, each) => sum + each.tokens.length - each.base, 0);
  const finished = transcript.choices.find((each) => each.finished !== undefined)?.finished;
  const whole: FinishedSpan = {
    ...span("generate", arrived_ms, now_ms),
    ...{ span_id: own_id, parent_id: trace.span_id, kind: "server" },
    attributes: {
      ...{ "troupe.worker": worker, "troupe.request": generate.request },
      "gen_ai.request.model": generate.model,
      "gen_ai.usage.output_tokens": tokens,
      "gen_ai.usage.input_tokens": finished?.prompt_tokens ?? 0,
      "gen_ai.usage.cache_read.input_tokens": finished?.cached_tokens ?? 0,
    },
    error: finished?.reason === "error" ? finished.error : undefined,
  };
  if (times === undefined) return [whole];
  const queue_ms = arrived_ms + times.transfer_ms;
  const prefill_ms = queue_ms + times.queue_ms;
  const first_ms = prefill_ms + times.prefill_ms;
  const transfer = times.transfer_ms > 0 ? [span("transfer", arrived_ms, queue_ms)] : [];
  return [
    ...[whole, ...transfer, span("queue", queue_ms, prefill_ms)],
    ...[span("prefill", prefill_ms, first_ms), span("decode", first_ms, now_ms)],
  ];
}
