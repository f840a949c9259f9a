/** A line of the tree as `bun run top` keeps it, out of what the inspector says. Pure. */
import type { LoadSums, PageRow } from "../../actors/inspector/inspector.ts";

/** What was not said is 0 or "". */
export type Row = Required<Omit<PageRow, "node">>;

const numberIn = (from: Readonly<Record<string, unknown>>, name: string): number => {
  const value = from[name];
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
};

const textIn = (from: Readonly<Record<string, unknown>>, name: string): string => {
  const value = from[name];
  if (typeof value === "string") return plain(value);
  return value === undefined || value === null ? "" : plain(JSON.stringify(value));
};

/** What a terminal would obey is not written to it. */
export const plain = (text: string): string => text.replace(/\p{Cc}+/gu, " ");

/** Undefined: it is no row. */
export function readRow(said: unknown): Row | undefined {
  if (typeof said !== "object" || said === null) return undefined;
  const from = said as Readonly<Record<string, unknown>>;
  const { id, children } = from;
  if (typeof id !== "string") return undefined;
  const listed = Array.isArray(children) ? children : [];
  return {
    id,
    path: textIn(from, "path"),
    kind: textIn(from, "kind"),
    role: textIn(from, "role"),
    pid: numberIn(from, "pid"),
    state: textIn(from, "state"),
    restarts: numberIn(from, "restarts"),
    mailbox: numberIn(from, "mailbox"),
    oldest_ms: numberIn(from, "oldest_ms"),
    handled: numberIn(from, "handled"),
    rate: numberIn(from, "rate"),
    ms_per_message: numberIn(from, "ms_per_message"),
    resident_bytes: numberIn(from, "resident_bytes"),
    children: listed.filter((child) => typeof child === "string"),
    more: numberIn(from, "more"),
    last_crash: textIn(from, "last_crash"),
  };
}

export type Rows = ReadonlyMap<string, Row>;

/** `{"topic":"tree","full","nodes","gone"}` onto what was known. */
export function applyTree(known: Rows, frame: Readonly<Record<string, unknown>>): Rows {
  const rows = new Map(frame["full"] === true ? [] : known);
  for (const id of Array.isArray(frame["gone"]) ? frame["gone"] : []) rows.delete(id);
  for (const said of Array.isArray(frame["nodes"]) ? frame["nodes"] : []) {
    const row = readRow(said);
    if (row !== undefined) rows.set(row.id, row);
  }
  return rows;
}

/** Rates out of two whole trees, for an inspector that is asked and does not tell. */
export function withRates(before: Rows, now: Rows, elapsed_ms: number): Rows {
  const rows = new Map<string, Row>();
  for (const [id, row] of now) {
    const handled = row.handled - (before.get(id)?.handled ?? row.handled);
    const rate = elapsed_ms > 0 && handled > 0 ? (1_000 * handled) / elapsed_ms : 0;
    rows.set(id, row.rate > 0 ? row : { ...row, rate });
  }
  return rows;
}

/** The whole cluster's load in one line; null: not known. */
export type Totals = Omit<LoadSums, "cached_share">;

/** Out of a LoadPoint. */
export function readTotals(point: unknown): Totals | undefined {
  if (typeof point !== "object" || point === null) return undefined;
  const total = (point as Readonly<Record<string, unknown>>)["total"];
  if (typeof total !== "object" || total === null) return undefined;
  const from = total as Readonly<Record<string, unknown>>;
  const orNull = (name: string) => (typeof from[name] === "number" ? numberIn(from, name) : null);
  return {
    requests_per_s: numberIn(from, "requests_per_s"),
    tokens_per_s: numberIn(from, "tokens_per_s"),
    ...{ ttft_p50_ms: orNull("ttft_p50_ms"), ttft_p99_ms: orNull("ttft_p99_ms") },
    ...{ itl_p50_ms: orNull("itl_p50_ms"), itl_p99_ms: orNull("itl_p99_ms") },
    running: numberIn(from, "running"),
    waiting: numberIn(from, "waiting"),
  };
}
