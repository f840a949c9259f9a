/** What a trace asks of a service on average. */
import type { TraceRequest } from "../replay/trace.ts";

export type TraceMeans = {
  readonly isl: number;
  readonly osl: number;
  /** Undefined: the trace has no times. */
  readonly requests_per_s: number | undefined;
};

export function traceMeans(rows: readonly TraceRequest[]): TraceMeans {
  const mean = (of: (row: TraceRequest) => number) =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const times = rows.flatMap(({ arrival_ms }) => (arrival_ms === undefined ? [] : [arrival_ms]));
  const span_ms =
    times.reduce((most, at) => Math.max(most, at), 0) - Math.min(...times.slice(0, 1));
  return {
    isl: Math.max(
      1,
      mean((row) => row.input_length),
    ),
    osl: Math.max(
      1,
      mean((row) => row.output_length),
    ),
    // Rows without a time follow others within the same span.
    requests_per_s: span_ms > 0 ? (1000 * rows.length) / span_ms : undefined,
  };
}
