/**
 * W3C trace context (https://www.w3.org/TR/trace-context/, version 00): which request a message
 * belongs to. The kernel carries it from message to message; exporters live elsewhere.
 */

export type TraceContext = {
  /** 32 lower-case hex digits, not all zero. */
  readonly trace_id: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly span_id: string;
  /** Bit 0 = sampled. */
  readonly flags: number;
  /** Our own id of the request, from `Ids`; crosses process edges beside the traceparent. */
  readonly correlation?: string;
};

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);

/** Undefined for anything that is not a valid `traceparent`: a bad header never fails a request. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const parts = SHAPE.exec(header.trim());
  if (parts === null) return undefined;
  const [, version, trace_id, span_id, flags, rest] = parts;
  if (version === undefined || trace_id === undefined || span_id === undefined) return undefined;
  if (flags === undefined || version === "ff") return undefined;
  // Version 00 has exactly four fields; later versions may append some.
  if (version === "00" && rest !== undefined) return undefined;
  if (trace_id === NO_TRACE || span_id === NO_SPAN) return undefined;
  return { trace_id, span_id, flags: Number.parseInt(flags, 16) };
}

export function formatTraceparent(trace: TraceContext): string {
  const flags = (trace.flags & 0xff).toString(16).padStart(2, "0");
  return `00-${trace.trace_id}-${trace.span_id}-${flags}`;
}
