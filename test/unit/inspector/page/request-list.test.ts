import { expect, test } from "bun:test";
import {
  countsOf,
  listed,
  noFilter,
  withFrame,
} from "../../../../actors/inspector/page/views/requests/request-list.ts";
import type { RequestRow } from "../../../../actors/inspector/page/views/requests/request-row.ts";
import { routeTable } from "../../../../actors/inspector/page/views/requests/route-costs.ts";

const row = (id: string, more: Partial<RequestRow> = {}): RequestRow => ({
  ...{ id, frontend: "frontend-0", endpoint: "chat_completions", model: "tiny", state: "done" },
  ...{ status: 200, phase: "", started_ms: 0, duration_ms: 5, prompt_tokens: 1, output_tokens: 1 },
  ...{ cached_tokens: 0, ttft_ms: null, itl_ms: null, workers: [], migrations: 0, resumes: 0 },
  stuck: false,
  ...more,
});

const rowsOf = (...rows: RequestRow[]) => withFrame(new Map(), { topic: "requests", rows });
const ids = (rows: readonly RequestRow[]) => rows.map(({ id }) => id);

test("a stuck one stands first, then live ones, then the newest", () => {
  const rows = rowsOf(
    row("old", { started_ms: 1 }),
    row("new", { started_ms: 9 }),
    row("live", { state: "live", started_ms: 3 }),
    row("stuck", { state: "live", stuck: true, started_ms: 2 }),
    row("was-stuck", { stuck: true, started_ms: 4 }),
  );
  expect(ids(listed(rows, noFilter))).toEqual(["stuck", "live", "new", "was-stuck", "old"]);
  expect(countsOf(rows)).toEqual({ live: 2, stuck: 1, failed: 0 });
});

test("a frame changes rows and takes rows away", () => {
  const rows = rowsOf(row("a", { state: "live" }), row("b"));
  const next = withFrame(rows, { topic: "requests", rows: [row("a")], gone: ["b"] });
  expect([...next.values()].map(({ id, state }) => [id, state])).toEqual([["a", "done"]]);
});

test("every word has to be found, in any field", () => {
  const rows = rowsOf(
    row("a", { workers: ["worker-0", "worker-1"], migrations: 1 }),
    row("b", { workers: ["worker-1"], state: "failed", status: 503 }),
    row("c", { model: "large" }),
  );
  const found = (words: string) => ids(listed(rows, { words, show: "all" }));
  expect(found("WORKER-1 tiny")).toEqual(["a", "b"]);
  expect(found("503")).toEqual(["b"]);
  expect(found("migrated")).toEqual(["a"]);
  expect(found("large worker")).toEqual([]);
  expect(ids(listed(rows, { words: "", show: "failed" }))).toEqual(["b"]);
});

test("the page holds no more rows than it can, the urgent ones", () => {
  const many = Array.from({ length: 2_500 }, (_, at) => row(`r${at}`, { started_ms: at }));
  const rows = rowsOf(...many, row("live", { state: "live" }));
  expect(rows.size).toBe(2_000);
  expect(rows.has("live")).toBe(true);
  expect(rows.has("r0")).toBe(false);
});

test("a decision shows the chosen worker, the others by cost, those left out at the end", () => {
  const table = routeTable({
    ...{ at_ms: 1, mode: "kv", chosen: "b", why: "" },
    workers: [
      { worker: "out", cost: null, left_out: "draining" },
      { worker: "c", cost: 9, parts: { prefill: 4 } },
      { worker: "a", cost: 3, parts: { prefill: 1, decode: 2 } },
      { worker: "b", cost: 2 },
      { worker: "gone", cost: null, left_out: "full" },
    ],
  });
  expect(table.workers.map(({ worker }) => worker)).toEqual(["b", "a", "c", "gone", "out"]);
  expect(table.parts).toEqual(["prefill", "decode"]);
  expect(table.highest_cost).toBe(9);
});
