/** What an interval teaches, and when it teaches nothing. */
import { expect, test } from "bun:test";
import type { Traffic } from "../../../../actors/planner/pipeline/snapshot.ts";
import {
  learned,
  lostScaleOf,
  spreadsOf,
  withTails,
  workOf,
} from "../../../../actors/planner/propose-tail/learn.ts";
import { type TailMemory, tailStart } from "../../../../actors/planner/propose-tail/tail-memory.ts";
import {
  tail_config as config,
  tail_passes as passes,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

const tail = (p50: number, p95: number) => ({ mean: p50, p50, p95, p99: p95 });
const uncached_tokens = tail(800, 2_000);

const snapshotAt = (at_ms: number, traffic: Partial<Traffic>) =>
  planSnapshot({
    at_ms,
    workers: planWorkers("aggregated", 2, { passes }),
    traffic: planTraffic({ started: 30, ended: 30, isl: 1_000, osl: 100, ...traffic }),
  });

type Given = {
  readonly rate?: number;
  readonly behind?: boolean;
  readonly traffic?: Partial<Traffic>;
};

/** With an interval of two workers that get `rate` requests a second. */
function after(memory: TailMemory, at_ms: number, { rate = 6, behind, traffic = {} }: Given) {
  const snapshot = snapshotAt(at_ms, traffic);
  const seen = learned(memory, snapshot, config);
  const work = workOf(seen, "aggregated", rate, 8_192);
  const side = work && { work, workers: 2 };
  return withTails(seen, snapshot, config, { first: side, answers: side }, behind ?? false);
}

test("the tokens of prompts that no cache has come from the hit rate, else from passes", () => {
  const by_rate = learned(tailStart, snapshotAt(5_000, { kv_hit_rate: 0.25 }), config);
  expect(by_rate.uncached).toEqual({ value: 750, weight: 30 });
  const workers = planWorkers("aggregated", 2, { passes, cached_tokens: 10_000 });
  const by_passes = learned(tailStart, { ...snapshotAt(5_000, {}), workers }, config);
  // Of 80,000 tokens 20,000 lay in caches.
  expect(by_passes.uncached).toEqual({ value: 750, weight: 30 });
  expect(by_passes.arrivals).toEqual([{ at_ms: 5_000, started: 30, interval_ms: 5_000 }]);
});

test("without traffic the passes count, and nothing else", () => {
  const silent = { ...snapshotAt(5_000, {}), traffic: undefined };
  const memory = learned(tailStart, silent, config);
  expect(memory).toEqual({ ...tailStart, roles: memory.roles });
  expect(memory.roles.aggregated?.passes.prefill_passes).toBe(60);
});

test("own times follow the tokens of prompts, else what was measured, else the mean", () => {
  const median = (memory: TailMemory) => {
    const work = workOf(memory, "aggregated", 6, 8_192);
    if (work === undefined) throw new Error("no pass was seen");
    return { work, own: spreadsOf(memory, work).own[50] ?? 0 };
  };
  const by_tokens = median(after(tailStart, 5_000, { traffic: { uncached_tokens } }));
  expect(by_tokens.own / by_tokens.work.promptMs(800)).toBeCloseTo(1, 1);
  const measured = after(tailStart, 5_000, { traffic: { ttft_ms: tail(300, 700) } });
  expect(measured.spreads.tokens_log.weight).toBe(0);
  // Less what the load of the two workers adds.
  expect(median(measured).own).toBeGreaterThan(250);
  expect(median(measured).own).toBeLessThan(300);
  const by_mean = median(after(tailStart, 5_000, {}));
  expect(by_mean.own / (by_mean.work.prefill * Math.exp(-0.32))).toBeCloseTo(1, 1);
});

test("more late answers than expected ask for more, fewer for less, within bounds", () => {
  expect(lostScaleOf(tailStart)).toBe(1);
  const scale = (attainment: number) => {
    let memory = tailStart;
    for (let i = 1; i <= 40; i++) {
      const traffic = { uncached_tokens, attainment };
      memory = after(memory, 5_000 * i, { rate: 15, traffic });
    }
    return lostScaleOf(memory);
  };
  expect(scale(0.5)).toBe(10);
  expect(scale(0.9)).toBeGreaterThan(1);
  expect(scale(1)).toBeLessThan(1);
  expect(scale(1)).toBeGreaterThanOrEqual(0.5);
});

test("an overload teaches nothing, nor does what began in it", () => {
  const calm = { uncached_tokens, attainment: 0.99, itl_ms: tail(10, 12) };
  const before = after(tailStart, 5_000, { traffic: calm });
  expect(before.lost.measured.weight).toBe(30);
  const late = { uncached_tokens, attainment: 0.1, itl_ms: tail(200, 900) };
  const tails = ({ lost, spreads }: TailMemory) => [lost, spreads.itl_sigma, spreads.itl_scale];
  const during = after(before, 10_000, { rate: 60, traffic: late });
  expect(during.overloaded_ms).toBe(10_000);
  expect(tails(during)).toEqual(tails(before));
  // Still at work on what has waited.
  const catching_up = after(during, 15_000, { behind: true, traffic: late });
  expect(catching_up.overloaded_ms).toBe(15_000);
  // Answers take up to 12 s.
  const traffic = { ...late, duration_ms: tail(8_000, 12_000) };
  const ending = after(catching_up, 30_000, { traffic });
  expect(ending.overloaded_ms).toBe(15_000);
  expect(tails(ending)).toEqual(tails(before));
  const again = after(ending, 35_000, { traffic });
  expect(again.lost.measured.weight).toBeGreaterThan(30);
});

test("what waits by chance while there is enough to do it teaches as any other interval", () => {
  const traffic = { uncached_tokens, attainment: 0.99 };
  const memory = after(tailStart, 5_000, { behind: true, traffic });
  expect(memory.overloaded_ms).toBeUndefined();
  expect(memory.lost.measured.weight).toBe(30);
});
