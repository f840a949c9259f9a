/** The load loop: thresholds, estimates against the SLA, guards, floors. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { noRegression } from "../../../../actors/planner/model/regression.ts";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { PlanRole, WorkerView } from "../../../../actors/planner/pipeline/snapshot.ts";
import { guardOf, loadProposal } from "../../../../actors/planner/propose/load-guards.ts";
import { itlMs, slaSignal, ttftMs } from "../../../../actors/planner/propose/load-sla.ts";
import { staticSignal } from "../../../../actors/planner/propose/load-static.ts";
import { plan_config, planSnapshot, planWorker } from "../../../support/planner/plan-cases.ts";

const workersOf = (role: PlanRole, views: readonly Partial<WorkerView>[]) =>
  views.map((view, i) => planWorker(role, { worker: `${role}-${i}`, ...view }));

describe("static thresholds", () => {
  type Case = [PlannerConfig["optimization_target"], PlanRole, keyof WorkerView, number[], number];
  test.each<Case>([
    // Context length 10,000.
    ["throughput", "prefill", "queued_prefill_tokens", [10_000, 0], 1],
    ["throughput", "prefill", "queued_prefill_tokens", [9_999, 0], 0],
    ["throughput", "prefill", "queued_prefill_tokens", [999, 0], -1],
    ["throughput", "prefill", "queued_prefill_tokens", [1_000, 0], 0],
    ["throughput", "prefill", "queued_prefill_tokens", [0], 0],
    ["latency", "prefill", "queued_prefill_tokens", [1_000, 0], 1],
    ["latency", "prefill", "queued_prefill_tokens", [1, 0], 0],
    ["latency", "prefill", "queued_prefill_tokens", [0, 0], -1],
    ["load", "prefill", "queued_prefill_tokens", [700, 0], 1],
    ["load", "prefill", "queued_prefill_tokens", [699, 0], 0],
    ["load", "prefill", "queued_prefill_tokens", [49, 0], -1],
    // 100,000 KV tokens.
    ["throughput", "decode", "kv_used_tokens", [100_000, 0], 0],
    ["throughput", "decode", "kv_used_tokens", [100_001, 0], 1],
    ["throughput", "decode", "kv_used_tokens", [60_000, 0], 0],
    ["throughput", "decode", "kv_used_tokens", [59_999, 0], -1],
    ["throughput", "decode", "kv_used_tokens", [59_999], 0],
    ["latency", "decode", "kv_used_tokens", [40_000, 0], 0],
    ["latency", "decode", "kv_used_tokens", [40_001, 0], 1],
    ["latency", "decode", "kv_used_tokens", [9_999, 9_999], -1],
    ["latency", "decode", "kv_used_tokens", [9_999, 10_000], 0],
    ["load", "decode", "kv_used_tokens", [90_001, 0], 1],
    ["load", "decode", "kv_used_tokens", [90_000, 0], 0],
    ["load", "decode", "kv_used_tokens", [69_999, 0], -1],
    ["throughput", "aggregated", "kv_used_tokens", [100_001, 0], 1],
    ["throughput", "aggregated", "queued_prefill_tokens", [100_001, 0], 1],
    ["latency", "aggregated", "queued_prefill_tokens", [9_999, 0], -1],
  ])("%s, %s, %s %j: %d", (optimization_target, role, name, values, step) => {
    const config = {
      ...plan_config,
      optimization_target,
      prefill_scale_up_queue_tokens: 700,
      prefill_scale_down_queue_tokens: 50,
      decode_scale_up_kv_rate: 90,
      decode_scale_down_kv_rate: 70,
    };
    const workers = workersOf(
      role,
      values.map((value) => ({ [name]: value })),
    );
    expect(staticSignal(config, planSnapshot({ workers }), role).step).toBe(step as 0);
  });

  test("what waits at a decode worker counts with the mean context of what runs", () => {
    const config = { ...plan_config, optimization_target: "throughput" } as const;
    const view = { kv_used_tokens: 80_000, running: 8, waiting: 2 };
    const signal = (waiting: number) =>
      staticSignal(
        config,
        planSnapshot({ workers: workersOf("decode", [{ ...view, waiting }]) }),
        "decode",
      );
    expect(signal(2).step).toBe(0);
    expect(signal(3).step).toBe(1);
  });

  test.each([
    // Context length 10,000.
    ["each has its share of what waits in routers", [6_000, 2_000], 8_000, 1],
    ["less than what is too much", [5_999, 2_000], 8_000, 0],
    ["while one has nothing to do, it waits for others", [9_000, 0], 80_000, 0],
    ["nobody waits in routers", [900, 900], 0, -1],
  ] as const)("prompts in routers wait for prefill workers: %s", (_, queues, held, step) => {
    const config = { ...plan_config, optimization_target: "throughput" } as const;
    const views = queues.map((queued_prefill_tokens) => ({ queued_prefill_tokens }));
    const snapshot = planSnapshot({ workers: workersOf("prefill", views) });
    expect(staticSignal(config, snapshot, "prefill", held).step).toBe(step);
  });

  test.each([
    ["prefill", { context_length: 0 }, {}],
    ["decode", { max_kv_tokens: 0 }, { kv_total_tokens: 0 }],
    ["aggregated", { max_kv_tokens: 0 }, { kv_total_tokens: 0 }],
  ] as const)("%s without its limit: insufficient_data", (role, limit, view) => {
    const snapshot = planSnapshot({
      workers: workersOf(role, [view]),
      limits: { ...planSnapshot().limits, ...limit },
    });
    const config = { ...plan_config, optimization_target: "throughput" } as const;
    expect(staticSignal(config, snapshot, role)).toMatchObject({ reason: "insufficient_data" });
  });
});

/** ms: 10 a pass, 0.1 a prompt token, 1 a request, 0.001 a KV token. */
const of_role = {
  model: {
    passMs: (pass: { prefill_tokens: number; requests: number; kv_tokens: number }) =>
      10 + 0.1 * pass.prefill_tokens + pass.requests + 0.001 * pass.kv_tokens,
  },
  known: { ...noRegression, mean_context: 500, mean_prefill_tokens: 30, mean_requests: 4 },
  mean_prompt: 1_000,
};

describe("estimates", () => {
  test.each([
    // 2,048 tokens a pass; 3,000 + 1,000 tokens are 2,048 + 1,952.
    ["prefill", { queued_prefill_tokens: 3_000, kv_used_tokens: 9_000 }, 20 + 400],
    ["prefill", { queued_prefill_tokens: 0 }, 110],
    // The same beside 9,000 KV tokens.
    ["aggregated", { queued_prefill_tokens: 3_000, kv_used_tokens: 9_000 }, 20 + 400 + 18],
  ] as const)("TTFT of %s %j", (role, view, ms) => {
    expect(ttftMs(planWorker(role, view), of_role, 2_048)).toBeCloseTo(ms, 9);
  });

  test.each([
    ["decode", { kv_used_tokens: 10_000 }, 10 + 5 + 10.5],
    ["decode", { kv_used_tokens: 10_000, running: 5, waiting: 2 }, 10 + 5 + 14.5],
    ["aggregated", { kv_used_tokens: 10_000, queued_prefill_tokens: 99 }, 10 + 3 + 5 + 10.5],
  ] as const)("ITL of %s %j", (role, view, ms) => {
    expect(itlMs(planWorker(role, view), of_role)).toBeCloseTo(ms, 9);
  });
});

describe("against the SLA", () => {
  const config = { ...plan_config, ttft_ms: 500, itl_ms: 50 };
  const stepOf = (
    role: PlanRole,
    views: Partial<WorkerView>[],
    part: Partial<PlannerConfig> = {},
  ) =>
    slaSignal(
      { ...config, ...part },
      planSnapshot({ workers: workersOf(role, views) }),
      role,
      of_role,
    ).step;
  const late = { queued_prefill_tokens: 10_000 };
  const calm = { queued_prefill_tokens: 0 };
  // 100 + 10 × passes + 0.1 × queued: 2,900 tokens are 2 passes and 410 ms, between 400 and 500.
  const tight = { queued_prefill_tokens: 2_900 };
  const full = { kv_used_tokens: 90_000 };
  test.each<[string, PlanRole, Partial<WorkerView>[], 0 | 1 | -1]>([
    ["all miss", "prefill", [late, late], 1],
    ["one is in time", "prefill", [late, calm], 0],
    ["all are calm", "prefill", [calm, calm], -1],
    ["one is not calm", "prefill", [tight, calm], 0],
    ["the last one stays", "prefill", [calm], 0],
    ["all are slow", "decode", [full, full], 1],
    ["all are quick", "decode", [{}, {}], -1],
    ["one is quick", "decode", [full, {}], 0],
    ["TTFT alone", "aggregated", [late, late], 1],
    ["ITL alone", "aggregated", [full, full], 1],
    ["TTFT of one, ITL of the other", "aggregated", [late, full], 0],
    ["both down", "aggregated", [calm, calm], -1],
    ["only ITL is down", "aggregated", [tight, tight], 0],
  ])("%s (%s)", (_, role, views, step) => expect(stepOf(role, views)).toBe(step));

  test("a sensitivity of 0 never shrinks", () => {
    expect(stepOf("prefill", [calm, calm], { load_scaling_down_sensitivity: 0 })).toBe(0);
  });

  test("an aggregated pass of unknown size is judged by its ITL", () => {
    const snapshot = planSnapshot({
      workers: workersOf("aggregated", [late, late]),
      limits: { ...planSnapshot().limits, max_batch_tokens: 0 },
    });
    expect(slaSignal(config, snapshot, "aggregated", of_role).step).toBe(-1);
    const prefill = { ...snapshot, workers: workersOf("prefill", [late]) };
    const signal = slaSignal(config, prefill, "prefill", of_role);
    expect(signal).toMatchObject({ step: undefined, reason: "insufficient_data" });
  });

  test("no model yet", () => {
    const snapshot = planSnapshot({ workers: workersOf("decode", [full]) });
    const signal = slaSignal(config, snapshot, "decode", undefined);
    expect(signal).toMatchObject({ step: undefined, reason: "insufficient_data" });
  });
});

describe("guards", () => {
  const at_ms = 1_000_000;
  const starting = (seconds: number) =>
    ({ state: "starting", since_ms: at_ms - seconds * 1_000 }) as const;
  test.each<[string | undefined, Partial<WorkerView>[], Partial<PlannerConfig>]>([
    [undefined, [{}, {}], {}],
    ["no_fpm_data", [], {}],
    ["no_fpm_data", [{ reports: false }], {}],
    ["worker_count_mismatch", [{}, { reports: false }], {}],
    ["scaling_in_progress", [{}, starting(10)], {}],
    ["scaling_in_progress", [{}, { state: "retiring" }], {}],
    // 120 s at most, or what a start takes.
    ["scaling_in_progress", [{}, starting(120)], {}],
    [undefined, [{}, starting(121)], {}],
    [undefined, [{}, starting(31)], { startup_seconds: 30 }],
    ["scaling_in_progress", [{}, starting(31), starting(2)], { startup_seconds: 30 }],
  ])("%s %#", (reason, views, config) => {
    const workers = [...workersOf("decode", views), planWorker("prefill", starting(1))];
    const guard = guardOf(
      { ...plan_config, ...config },
      planSnapshot({ workers, at_ms }),
      "decode",
    );
    expect(guard?.reason as string | undefined).toBe(reason);
  });
});

describe("what becomes of a step", () => {
  const at = (
    step: -1 | 0 | 1,
    serving: number,
    floor: number,
    min = 1,
    starting = 0,
    downs = 1,
  ) => {
    const workers = workersOf("decode", [
      ...Array.from({ length: serving }, () => ({})),
      ...Array.from({ length: starting }, () => ({ state: "starting" as const })),
    ]);
    const config = { ...plan_config, decode_min_endpoint: min };
    const signal = { step, why: "So." };
    const proposal = loadProposal(
      config,
      planSnapshot({ workers }),
      "decode",
      signal,
      floor,
      downs,
    );
    return [proposal.wanted, proposal.reason as string];
  };
  test.each([
    ["up", at(1, 3, 0), [4, "scale_up"]],
    ["down", at(-1, 3, 0), [2, "scale_down"]],
    ["nothing", at(0, 3, 0), [3, "no_change"]],
    ["down to the minimum only", at(-1, 3, 0, 3), [3, "no_change"]],
    ["a minimum above adds none here", at(-1, 3, 0, 5), [3, "no_change"]],
    ["down under the floor", at(-1, 3, 3), [3, "scale_down_capped_by_throughput"]],
    ["down above the floor", at(-1, 3, 2), [2, "scale_down"]],
    ["nothing, but the floor is higher", at(0, 3, 5), [5, "scale_up"]],
    ["down, but the floor is higher", at(-1, 3, 5), [5, "scale_up"]],
    ["up beside one that cannot start", at(1, 3, 0, 1, 1), [undefined, "scaling_in_progress"]],
    ["down beside it, once", at(-1, 3, 0, 1, 1, 2), [undefined, "scaling_in_progress"]],
    ["down beside it, again and again", at(-1, 3, 0, 1, 1, 3), [2, "scale_down"]],
  ])("%s", (_, found, expected) => expect(found).toEqual(expected));

  test("never under floor or minimum, never more than one step beyond them", () => {
    const count = fc.integer({ min: 1, max: 20 });
    const step = fc.constantFrom(-1, 0, 1) as fc.Arbitrary<-1 | 0 | 1>;
    fc.assert(
      fc.property(step, count, count, count, (step, serving, floor, min) => {
        const [wanted] = at(step, serving, floor, min) as [number, string];
        expect(wanted).toBeGreaterThanOrEqual(floor);
        expect(wanted).toBeGreaterThanOrEqual(Math.min(serving, min));
        expect(wanted).toBeLessThanOrEqual(Math.max(serving + 1, floor));
        expect(wanted).toBeGreaterThanOrEqual(serving - 1);
      }),
    );
  });
});

test("more load never asks for fewer workers", () => {
  const load = fc.integer({ min: 0, max: 120_000 });
  const goals = fc.constantFrom("throughput" as const, "latency" as const, "sla" as const);
  const roles = fc.constantFrom("prefill" as const, "decode" as const, "aggregated" as const);
  const loads = fc.array(fc.tuple(load, load, load, load), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(goals, roles, loads, (optimization_target, role, loads) => {
      const config = { ...plan_config, optimization_target };
      const step = (more: boolean) => {
        const views = loads.map(([queued, kv, queued_more, kv_more]) => ({
          queued_prefill_tokens: queued + (more ? queued_more : 0),
          kv_used_tokens: kv + (more ? kv_more : 0),
        }));
        const snapshot = planSnapshot({ workers: workersOf(role, views) });
        return optimization_target === "sla"
          ? slaSignal(config, snapshot, role, of_role).step
          : staticSignal(config, snapshot, role).step;
      };
      expect(step(true)).toBeGreaterThanOrEqual(step(false) ?? Number.NaN);
    }),
    { numRuns: 1_000 },
  );
});
