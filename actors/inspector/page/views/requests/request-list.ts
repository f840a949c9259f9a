/** Which requests are listed, and in which order; pure. */
import type { RequestRow, RequestsFrame } from "./request-row.ts";

export type Listed = ReadonlyMap<string, RequestRow>;

/** As many as the page holds, whatever the server tells it. */
const ROWS_LIMIT = 2_000;

/** The rows that changed, over those that are known. */
export function withFrame(rows: Listed, { rows: changed, gone = [] }: RequestsFrame): Listed {
  const next = new Map(rows);
  for (const id of gone) next.delete(id);
  for (const row of changed) next.set(row.id, row);
  if (next.size <= ROWS_LIMIT) return next;
  const kept = [...next.values()].sort(byUrgency).slice(0, ROWS_LIMIT);
  return new Map(kept.map((row) => [row.id, row]));
}

export type RequestFilter = {
  readonly words: string;
  readonly show: "all" | "live" | "stuck" | "failed";
};

export const noFilter: RequestFilter = { words: "", show: "all" };

/** Stuck ones first, then live ones, then those that ended; the newest of each first. */
export function listed(rows: Listed, filter: RequestFilter): readonly RequestRow[] {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  return [...rows.values()]
    .filter((row) => isShown(row, filter.show))
    .filter((row) => matches(row, words))
    .sort(byUrgency);
}

function isShown(row: RequestRow, show: RequestFilter["show"]): boolean {
  switch (show) {
    case "all":
      return true;
    case "live":
      return row.state === "live";
    case "stuck":
      return isStuck(row);
    case "failed":
      return row.state === "failed";
  }
}

/** Each word has to stand somewhere in the row. */
function matches(row: RequestRow, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const { id, trace_id = "", model, frontend, endpoint, phase, state, status, workers } = row;
  const flags = [row.migrations > 0 ? "migrated" : "", row.resumes > 0 ? "resumed" : ""];
  const text = [
    id,
    trace_id,
    model,
    frontend,
    endpoint,
    phase,
    state,
    status,
    ...workers,
    ...flags,
  ];
  const all = text.join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}

export const isStuck = (row: RequestRow): boolean => row.state === "live" && row.stuck;

const urgency = (row: RequestRow): number => (isStuck(row) ? 0 : row.state === "live" ? 1 : 2);

/** Ids break ties, so that rows do not change places from frame to frame. */
function byUrgency(a: RequestRow, b: RequestRow): number {
  return (
    urgency(a) - urgency(b) ||
    b.started_ms - a.started_ms ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

export type RequestCounts = {
  readonly live: number;
  readonly stuck: number;
  readonly failed: number;
};

export function countsOf(rows: Listed): RequestCounts {
  const counts = { live: 0, stuck: 0, failed: 0 };
  for (const row of rows.values()) {
    if (row.state === "live") counts.live += 1;
    if (isStuck(row)) counts.stuck += 1;
    if (row.state === "failed") counts.failed += 1;
  }
  return counts;
}
