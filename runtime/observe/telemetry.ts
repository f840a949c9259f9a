/**
 * What a process tells the outside world of its requests and figures, where somebody collects them.
 * Nothing here waits: what a collector does not take in time is dropped.
 */
import type { Metrics } from "./metrics.ts";
import type { TraceContext } from "./trace.ts";

export type SpanAttributes = Readonly<
  Record<string, string | number | boolean | readonly string[]>
>;

/** A span that is over. Times are Unix ms. */
export type FinishedSpan = {
  readonly trace_id: string;
  readonly span_id: string;
  /** Undefined: it is the root of its trace. */
  readonly parent_id: string | undefined;
  readonly name: string;
  readonly kind: "server" | "internal";
  readonly start_ms: number;
  readonly end_ms: number;
  readonly attributes: SpanAttributes;
  /** What went wrong; undefined: nothing. */
  readonly error?: string | undefined;
};

/** A second name of a family of series, with what changes in their labels. */
export type SecondName = {
  readonly name: string;
  readonly unit: string;
  /** Added to each. */
  readonly labels: Readonly<Record<string, string>>;
  /** Other names of labels. */
  readonly renamed: Readonly<Record<string, string>>;
};

/** By the family's own name. */
export type SecondNames = Readonly<Record<string, SecondName>>;

export interface Telemetry {
  /**
   * The context of a span that begins now: of the same trace as its parent, or of a new one. Bit 0
   * of its flags says whether it is to be exported.
   */
  begin(parent: TraceContext | undefined): TraceContext;
  /** 16 hex digits. */
  spanId(): string;
  export(spans: readonly FinishedSpan[]): void;
  /** From now on these figures are exported too. `second`: some also under another name. */
  follow(metrics: Metrics, second: SecondNames): void;
  /** Sends what is left, for a bounded time. */
  close(): Promise<void>;
}

export const isSampled = ({ flags }: TraceContext): boolean => (flags & 1) === 1;
