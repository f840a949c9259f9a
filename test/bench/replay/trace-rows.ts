/**
 * The rows of a trace file: JSON, one object a line. A byte order mark, CRLF and blank lines are
 * no part of a row. Whole numbers that a double cannot hold come as bigint, so that ids of 64 bits
 * stay apart.
 */

export class TraceError extends Error {
  readonly code = "bad_trace";
  constructor(
    readonly line: number,
    readonly problem: string,
  ) {
    super(`line ${line}: ${problem}`);
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export type TraceRow = { readonly line: number; readonly fields: Fields };

/** Throws TraceError that names the line. */
export function traceRows(text: string): TraceRow[] {
  const rows: TraceRow[] = [];
  let line = 0;
  for (const row of text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/)) {
    line++;
    if (row.trim() !== "") rows.push({ line, fields: parsed(row, line) });
  }
  return rows;
}

/** As it stands in the trace, for messages. */
export function shownValue(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "bigint" ? String(each) : each,
  );
}

/** Fewer digits than this are exact in a double. */
const MANY_DIGITS = /\d{16}/;
const WHOLE = /^-?\d+$/;

type Source = { readonly source?: string };

function parsed(row: string, line: number): Fields {
  let value: unknown;
  try {
    // Most rows have no such number, and asking for the digits of each costs ten times as much.
    value = MANY_DIGITS.test(row) ? JSON.parse(row, exact) : JSON.parse(row);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    // It may name a byte that a terminal obeys.
    throw new TraceError(line, `not JSON (${problem.replaceAll(/\p{Cc}/gu, "?")})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TraceError(line, "not a JSON object");
  }
  return value as Fields;
}

function exact(_key: string, value: unknown, context?: Source): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const digits = context?.source ?? "";
  return WHOLE.test(digits) ? BigInt(digits) : value;
}
