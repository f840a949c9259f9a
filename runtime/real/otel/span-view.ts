/** A finished span as OpenTelemetry's exporters read it, converted when it is exported. */
import { type Attributes, type HrTime, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { FinishedSpan } from "../../observe/telemetry.ts";

const NONE: never[] = [];
const SAMPLED = 1;

export class SpanView implements ReadableSpan {
  readonly #span: FinishedSpan;
  readonly resource: Resource;
  readonly instrumentationScope = SCOPE;
  readonly links = NONE;
  readonly events = NONE;
  readonly ended = true;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;

  constructor(span: FinishedSpan, resource: Resource) {
    this.#span = span;
    this.resource = resource;
  }

  get name(): string {
    return this.#span.name;
  }

  get kind(): SpanKind {
    return this.#span.kind === "server" ? SpanKind.SERVER : SpanKind.INTERNAL;
  }

  readonly spanContext = () => contextOf(this.#span.trace_id, this.#span.span_id);

  get parentSpanContext() {
    const { trace_id, parent_id } = this.#span;
    return parent_id === undefined
      ? undefined
      : { ...contextOf(trace_id, parent_id), isRemote: true };
  }

  get startTime(): HrTime {
    return hrTime(this.#span.start_ms);
  }

  get endTime(): HrTime {
    return hrTime(this.#span.end_ms);
  }

  get duration(): HrTime {
    return hrTime(this.#span.end_ms - this.#span.start_ms);
  }

  get status() {
    const { error } = this.#span;
    if (error === undefined) return { code: SpanStatusCode.UNSET };
    return { code: SpanStatusCode.ERROR, message: error };
  }

  get attributes(): Attributes {
    return this.#span.attributes as Attributes;
  }
}

export const SCOPE = { name: "troupe" };

const contextOf = (traceId: string, spanId: string) => ({ traceId, spanId, traceFlags: SAMPLED });

/** Seconds and nanoseconds. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
