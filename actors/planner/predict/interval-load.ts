/**
 * The load of intervals from the rows of a trace, to warm predictors up before the first live load.
 * It reads what the figures need of a trace in Mooncake's format and no more: when a request came,
 * and how long its prompt and its answer are.
 */

/** One interval; undefined: unknown, or of no request. */
export type IntervalLoad = {
  readonly requests: number | undefined;
  /** Mean tokens of a prompt and of an answer. */
  readonly isl: number | undefined;
  readonly osl: number | undefined;
};

export type LoadRow = {
  readonly arrival_ms: number;
  readonly input_length: number;
  readonly output_length: number;
};

export class LoadTraceError extends Error {
  readonly code = "load_trace";

  constructor(line: number | undefined, problem: string) {
    super(`${line === undefined ? "" : `line ${line} of `}the warm-up trace: ${problem}`);
    this.name = "LoadTraceError";
  }
}

/** Each line is a JSON object with `timestamp` in ms, `input_length` and `output_length`. */
export function loadRows(text: string): readonly LoadRow[] {
  return text.split("\n").flatMap((line, at) => (line.trim() === "" ? [] : [rowOf(line, at + 1)]));
}

/** Half a year of the usual 180 s. */
const INTERVALS_MAX = 100_000;

/**
 * From the first request on, whole intervals; the last one is left out where it is not full. Throws
 * LoadTraceError for more than predictors can learn from.
 */
export function loadsOf(rows: readonly LoadRow[], interval_ms: number): readonly IntervalLoad[] {
  const first_ms = rows.reduce((least, row) => Math.min(least, row.arrival_ms), Infinity);
  const last_ms = rows.reduce((most, row) => Math.max(most, row.arrival_ms), first_ms);
  if (rows.length === 0) return [];
  const whole = Math.floor((last_ms - first_ms) / interval_ms);
  if (whole > INTERVALS_MAX) {
    const most = `${INTERVALS_MAX} intervals of ${interval_ms / 1_000} s`;
    throw new LoadTraceError(undefined, `it goes over more than ${most}: its times are in ms`);
  }
  const sums = Array.from({ length: Math.max(1, whole) }, () => ({ requests: 0, isl: 0, osl: 0 }));
  for (const row of rows) {
    const sum = sums[Math.floor((row.arrival_ms - first_ms) / interval_ms)];
    if (sum === undefined) continue;
    sum.requests += 1;
    sum.isl += row.input_length;
    sum.osl += row.output_length;
  }
  return sums.map(({ requests, isl, osl }) => ({
    requests,
    isl: requests > 0 ? isl / requests : undefined,
    osl: requests > 0 ? osl / requests : undefined,
  }));
}

function rowOf(line: string, at: number): LoadRow {
  const fields = fieldsOf(line, at);
  const number = (...names: string[]): number => {
    const value = names.map((name) => fields[name]).find((found) => found !== undefined);
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
    throw new LoadTraceError(at, `${names[0]} must be a number from 0 on`);
  };
  return {
    arrival_ms: number("timestamp", "created_time"),
    input_length: number("input_length", "input_tokens"),
    output_length: number("output_length", "output_tokens"),
  };
}

function fieldsOf(line: string, at: number): Readonly<Record<string, unknown>> {
  try {
    const fields: unknown = JSON.parse(line);
    if (typeof fields === "object" && fields !== null) return { ...fields };
  } catch {
    // Said below, as for a line that is JSON but no object.
  }
  throw new LoadTraceError(at, "it is not a JSON object");
}
