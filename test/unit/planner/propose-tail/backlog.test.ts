/** What waits, whether those that serve come through with it, and how many do until more serve. */
import { expect, test } from "bun:test";
import { backlogOf } from "../../../../actors/planner/propose-tail/backlog.ts";
import type { Work } from "../../../../actors/planner/propose-tail/work.ts";
import { planSnapshot, planTraffic, planWorkers } from "../../../support/planner/plan-cases.ts";

/** 200 ms of a worker for each request. */
const work = (requests_per_s: number): Work => ({
  ...{ requests_per_s, token: 0.1, prefill: 150, prefill_passes: 1, decode: 50, decode_pass: 6 },
  promptMs: (tokens) => 0.1 * tokens,
});

function backlog(rate: number, queued: number, serving: number, starting = 0, begun_ms = 0) {
  const workers = [
    ...planWorkers("aggregated", serving),
    ...planWorkers("aggregated", starting, {
      ...{ state: "starting", since_ms: 1_000_000 - begun_ms },
    }).map((each, i) => ({ ...each, worker: `new-${i}` })),
  ];
  const snapshot = planSnapshot({ workers, traffic: planTraffic({ queued }) });
  return backlogOf(snapshot, "aggregated", work(rate), rate, 30_000);
}

test.each([
  ["nothing waits", 10, 0, 4, { work_ms: 0, workers: 0 }],
  ["what chance makes wait", 10, 15, 4, { work_ms: 0, workers: 0 }],
  ["it is gone before anybody could come", 10, 200, 4, { work_ms: 36_000, workers: 0 }],
] as const)("%s: nobody is wanted for it", (_, rate, queued, serving, expected) => {
  expect(backlog(rate, queued, serving)).toEqual(expected);
});

test("more comes than they can do: so many that all is done an interval after they serve", () => {
  // 8 workers' work for 4, 30 s long: 4 × 30 s of it are left, in 5 s.
  expect(backlog(40, 0, 4)).toEqual({ work_ms: 120_000, workers: 8 + 24 });
  // What waits already comes on top.
  expect(backlog(40, 220, 4).work_ms).toBe(120_000 + 40_000);
});

test("the nearer the start of new workers, the less is added until then", () => {
  expect(backlog(40, 0, 4, 8, 20_000)).toEqual({ work_ms: 40_000, workers: 8 + 8 });
  expect(backlog(40, 0, 4, 8, 40_000)).toEqual({ work_ms: 0, workers: 0 });
});

test("without a known cost what waits is counted, and nobody is wanted for it", () => {
  const snapshot = planSnapshot({ traffic: planTraffic({ queued: 3 }) });
  const unknown = backlogOf(snapshot, "aggregated", undefined, 5, 30_000);
  expect(unknown).toEqual({ work_ms: 3, workers: 0 });
});
