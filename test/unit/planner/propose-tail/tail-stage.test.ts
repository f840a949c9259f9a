/** When our own proposal adds workers and when it lets them go. */
import { expect, test } from "bun:test";
import { tailStage } from "../../../../actors/planner/propose-tail/tail-stage.ts";
import {
  plan_config,
  planPasses,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

const sla = { ttft_ms: 500, itl_ms: 50, max_workers: 64 };
const config = { ...plan_config, sla_planner: "tail", ...sla } as const;
const tail = { mean: 1_000, p50: 800, p95: 2_000, p99: 4_000 };

/** Of a worker that had so many requests: 100 ms of prompt each, 100 tokens. */
const passesOf = (requests: number) =>
  planPasses({
    ...{ prefill_passes: requests, prefill_tokens: 1_000 * requests },
    ...{ prefill_tokens_squared: 1e6 * requests, decode_tokens: 100 * requests },
    ...{ decode_passes: 300, decode_share: 30, busy_ms: 1_800 + 100 * requests },
  });

/** Wanted after the last of the intervals, in which so many requests came to so many workers. */
function wanted(counts: readonly number[], serving: number): number | undefined {
  let memory = tailStage.start;
  let last: number | undefined;
  for (const [i, started] of counts.entries()) {
    const traffic = planTraffic({
      ...{ started, ended: started, isl: 1_000, osl: 100, uncached_tokens: tail },
    });
    const passes = passesOf(started / serving);
    const workers = planWorkers("aggregated", serving, { passes });
    const snapshot = planSnapshot({ at_ms: 5_000 * (i + 1), traffic, workers });
    const prediction = { requests: started, isl: 1_000, osl: 100, interval_ms: 5_000 };
    const staged = tailStage.propose({ config, snapshot, memory, prediction });
    memory = staged.memory;
    last = staged.result[0]?.wanted;
  }
  return last;
}

const steady = (count: number, intervals: number) => new Array<number>(intervals).fill(count);

test("of workers that are too many some go, and fewer of them while the load rises", () => {
  const rising = Array.from({ length: 20 }, (_, i) => 40 + 3 * i);
  // As many as come when a worker that is started now serves.
  const level = wanted(steady(118, 20), 12) ?? 0;
  expect(level).toBeLessThan(12);
  expect(wanted(rising, 12)).toBeGreaterThan(level);
});

test("in the first three intervals with requests only work that is too much adds workers", () => {
  // What two can do, but not within the limits.
  expect(wanted(steady(68, 3), 2)).toBe(2);
  expect(wanted(steady(68, 4), 2)).toBeGreaterThan(2);
  // More than they can do.
  expect(wanted(steady(120, 2), 2)).toBeGreaterThan(2);
});
