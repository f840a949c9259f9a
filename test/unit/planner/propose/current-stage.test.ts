/** Dynamo's current planner as one stage: its two intervals, what holds between, its memory. */
import { describe, expect, test } from "bun:test";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { Prediction } from "../../../../actors/planner/pipeline/decision.ts";
import type { PlanSnapshot, WorkerView } from "../../../../actors/planner/pipeline/snapshot.ts";
import { isDue } from "../../../../actors/planner/propose/current.ts";
import { proposeStages } from "../../../../actors/planner/propose/propose.ts";
import {
  plan_config,
  planPasses,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

const prediction: Prediction = { requests: 1_800, isl: 1_000, osl: 100, interval_ms: 60_000 };
const limits = { ...planSnapshot().limits, max_batch_tokens: 4_000, max_seqs: 1_000 };
/** 5 ms a pass, 0.1 for a prompt token, 0.002 for a KV token. */
const passes = (tokens: number, share: number) =>
  planPasses({
    prefill_passes: 10,
    prefill_tokens: 10 * tokens,
    decode_passes: 10,
    decode_tokens: 40,
    decode_share: 10 * share,
    busy_ms: 10 * (5 + 0.1 * tokens + 200 * share),
  });
const learned: Partial<WorkerView>[] = [
  { passes: passes(10, 0.1) },
  { passes: passes(40, 0.3) },
  { passes: passes(20, 0.6) },
  { passes: passes(90, 0.2) },
  { passes: passes(70, 0.4) },
];

function workers(count: number, view: Partial<WorkerView> = {}) {
  return planWorkers("aggregated", count).map((worker, i) => ({
    ...worker,
    ...learned[i],
    ...view,
  }));
}

/** Runs the ticks one after the other; the memory goes through JSON each time. */
function run(config: Partial<PlannerConfig>, ticks: readonly Partial<PlanSnapshot>[]) {
  const whole = { ...plan_config, max_throughput_scaling_replicas: 0, ...config };
  const [stage] = proposeStages(whole);
  let memory = stage!.start;
  return ticks.map((tick) => {
    const snapshot = planSnapshot({ traffic: planTraffic({ isl: 1_000 }), limits, ...tick });
    const staged = stage!.propose({ config: whole, snapshot, prediction, memory });
    const stored: unknown = JSON.parse(JSON.stringify(staged.memory));
    expect(stored).toEqual(JSON.parse(JSON.stringify(staged.memory)));
    memory = stored;
    const { estimated_ttft_ms: ttft_ms, estimated_itl_ms: itl_ms } = staged.result[0]!;
    const estimated = { ttft_ms, itl_ms };
    const of = (loop: string) => {
      const found = staged.result.find((each) => each.loop === loop);
      return [found?.wanted, found?.reason as string | undefined];
    };
    return { throughput: of("throughput"), load: of("load"), estimated };
  });
}

describe("the throughput loop", () => {
  test("decides as soon as it can, holds for its interval, and then again", () => {
    const at = (seconds: number, count: number) => ({
      at_ms: seconds * 1_000,
      workers: workers(count),
    });
    const found = run({}, [at(0, 1), at(5, 5), at(10, 5), at(180, 5), at(185, 5)]);
    const decided = found[1]!.throughput;
    expect(found[0]!.throughput).toEqual([undefined, "model_not_ready"]);
    expect(decided[1]).toBe("scale");
    expect(decided[0]).toBeGreaterThan(5);
    expect(found.slice(2).map(({ throughput }) => throughput)).toEqual([decided, decided, decided]);
    expect(found.map(({ load }) => load[1])).toEqual(Array(5).fill("disabled"));
  });

  test("what it decided holds while nobody counts requests", () => {
    const at = (seconds: number) => ({ at_ms: seconds * 1_000, workers: workers(5) });
    const found = run({}, [at(0), { ...at(180), traffic: undefined }, at(185)]);
    expect(found[1]!.throughput).toEqual([found[0]!.throughput[0], "no_traffic_data"]);
    expect(found[2]!.throughput).toEqual([found[0]!.throughput[0], "no_traffic_data"]);
  });
});

describe("the load loop", () => {
  test("has the throughput loop's number as its floor", () => {
    const [tick] = run({ enable_load_scaling: true }, [{ workers: workers(5) }]);
    expect(tick!.throughput[1]).toBe("set_lower_bound");
    expect(tick!.load).toEqual([tick!.throughput[0], "scale_up"]);
  });

  test("takes one worker away when all are calm and the floor allows it", () => {
    const config = { enable_load_scaling: true, enable_throughput_scaling: false };
    const [tick] = run(config, [{ workers: workers(5) }]);
    expect([tick!.throughput, tick!.load]).toEqual([
      [undefined, "disabled"],
      [4, "scale_down"],
    ]);
  });

  test("adds one when all are late, and not while it starts", () => {
    const config = { enable_load_scaling: true, enable_throughput_scaling: false };
    const late = workers(5, { queued_prefill_tokens: 20_000 });
    const [first, second] = run(config, [
      { at_ms: 0, workers: late },
      { at_ms: 5_000, workers: [...late, ...workers(1, { state: "starting" })] },
    ]);
    expect(first!.load).toEqual([6, "scale_up"]);
    expect(second!.load).toEqual([undefined, "scaling_in_progress"]);
    // 21,000 tokens in passes of 4,000.
    expect(first!.estimated.ttft_ms).toBeCloseTo(6 * 5 + 2_100, 6);
    expect(first!.estimated.itl_ms).toBeGreaterThan(0);
  });
});

test("a static target has only the load loop, whatever is switched on", () => {
  const config = {
    optimization_target: "latency",
    enable_load_scaling: false,
    enable_throughput_scaling: true,
  } as const;
  const [tick] = run(config, [
    { workers: workers(2, { kv_used_tokens: 50_000, passes: undefined }) },
  ]);
  expect([tick!.throughput, tick!.load]).toEqual([
    [undefined, "disabled"],
    [3, "scale_up"],
  ]);
  expect(tick!.estimated).toEqual({ ttft_ms: undefined, itl_ms: undefined });
});

test("a plan by tails has a stage of its own", () => {
  expect(proposeStages({ ...plan_config, sla_planner: "tail" })).toEqual([]);
  expect(
    proposeStages({ ...plan_config, sla_planner: "tail", optimization_target: "load" }).length,
  ).toBe(1);
});

test.each([
  [null, 1_000, true],
  [0, 4_999, true],
  [0, 2_500, true],
  [0, 2_499, false],
] as const)("decided at %p, now %d: due is %p", (at_ms, now_ms, due) => {
  expect(isDue(at_ms, planSnapshot({ at_ms: now_ms, interval_ms: 5_000 }), 5)).toBe(due);
});
