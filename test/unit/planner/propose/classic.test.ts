/** The classic planner: its formulas by hand, its corrections, what skips an adjustment. */
import { describe, expect, test } from "bun:test";
import { classicCurves } from "../../../../actors/planner/model/classic-curves.ts";
import type { Curves } from "../../../../actors/planner/model/curves.ts";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { Prediction } from "../../../../actors/planner/pipeline/decision.ts";
import type { PlanSnapshot, Traffic } from "../../../../actors/planner/pipeline/snapshot.ts";
import { decodeGpus, prefillGpus } from "../../../../actors/planner/propose/classic.ts";
import { proposeStages } from "../../../../actors/planner/propose/propose.ts";
import {
  plan_config,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

/** TTFT 0.1 ms a token, 10,000 tokens/s; ITL 10 + 40 × share, 1,000 × share tokens/s. */
const shares = Array.from({ length: 21 }, (_, i) => i / 20);
const curves: Curves = {
  prefill: [500, 1_000, 2_000, 4_000, 8_000].map((isl) => ({
    isl,
    ttft_ms: isl / 10,
    thpt_per_gpu: 10_000,
  })),
  decode: [0, 2_000, 4_100].flatMap((context_length) =>
    shares.map((kv_usage) => ({
      kv_usage,
      context_length,
      itl_ms: 10 + 40 * kv_usage,
      thpt_per_gpu: 1_000 * kv_usage,
    })),
  ),
  max_kv_tokens: 100_000,
};
const classic = classicCurves(curves)!;
const load = { requests: 1_800, isl: 1_000, osl: 400, interval_ms: 180_000 };

describe("formulas", () => {
  test.each([
    // 10 requests/s × 1,000 tokens / 10,000.
    ["as on the curve", 1, 1],
    ["slower than the curve counts as on it", 3, 1],
    ["twice as quick, by cached prefixes", 0.5, 0.5],
  ])("prefill, %s", (_, prefill, gpus) => {
    expect(prefillGpus(classic, load, { prefill, decode: 1 })).toBeCloseTo(gpus, 9);
  });

  test.each([
    // 10 × 400 = 4,000 tokens/s. 30 ms: a share of 0.5, at most the cell below, 49/99.
    ["within the limit", 30, 1, 4_000 / (1_000 * (49 / 99))],
    ["twice as slow as the curve: half of the limit", 60, 2, 4_000 / (1_000 * (49 / 99))],
    ["a correction of 0 changes nothing", 30, 0, 4_000 / (1_000 * (49 / 99))],
  ])("decode, %s", (_, itl_ms, decode, gpus) => {
    expect(decodeGpus(classic, load, itl_ms, { prefill: 1, decode })).toBeCloseTo(gpus, 6);
  });
});

const tail = (mean: number) => ({ mean, p50: mean, p95: mean, p99: mean });
/** 10 requests/s for 180 s, each 8.1 s long. */
const traffic = (part: Partial<Traffic> = {}) =>
  planTraffic({
    started: 1_800,
    ended: 1_800,
    isl: 1_000,
    osl: 400,
    ttft_ms: tail(100),
    itl_ms: tail(20),
    duration_ms: tail(8_100),
    ...part,
  });
const prediction: Prediction = load;

function run(
  config: Partial<PlannerConfig>,
  ticks: readonly Partial<PlanSnapshot>[],
  predicted = prediction,
  given: Curves | undefined = curves,
) {
  const whole: PlannerConfig = {
    ...plan_config,
    mode: "disagg",
    sla_planner: "classic",
    itl_ms: 30,
    ...config,
  };
  const [stage] = proposeStages(whole, given);
  let memory = stage!.start;
  return ticks.map((tick, i) => {
    const snapshot = planSnapshot({
      at_ms: 180_000 * (i + 1),
      interval_ms: 180_000,
      workers: [...planWorkers("prefill", 1), ...planWorkers("decode", 9)],
      traffic: traffic(),
      ...tick,
    });
    const staged = stage!.propose({ config: whole, snapshot, prediction: predicted, memory });
    memory = JSON.parse(JSON.stringify(staged.memory));
    const { corrections } = memory as { corrections: { prefill: number; decode: number } };
    return {
      wanted: staged.result.map(({ wanted }) => wanted),
      reasons: [...new Set(staged.result.map(({ reason }) => reason as string))],
      corrections,
    };
  });
}

describe("corrections", () => {
  test("are what was measured over the curve", () => {
    // At 9 workers 10 × 8.1 / 9 = 9 requests at a time, 10,800 KV tokens: cell 11, 14.44 ms.
    const [tick] = run({}, [{ traffic: traffic({ ttft_ms: tail(50) }) }]);
    expect(tick!.corrections.prefill).toBeCloseTo(0.5, 9);
    expect(tick!.corrections.decode).toBeCloseTo(20 / (10 + 40 * (11 / 99)), 6);
    expect(tick!.reasons).toEqual(["scale"]);
    // The limit is 30 / 1.3846 = 21.67 ms, cell 28: 4,000 / 282.8 = 14.1.
    expect(tick!.wanted).toEqual([1, 15]);
  });

  test("are 1 where they are switched off", () => {
    const [tick] = run({ no_correction: true }, [{ traffic: traffic({ itl_ms: tail(90) }) }]);
    expect([tick!.corrections, tick!.wanted]).toEqual([{ prefill: 1, decode: 1 }, [1, 9]]);
  });

  test("stay as they were over an interval without requests", () => {
    const [first, idle] = run({}, [{}, { traffic: planTraffic() }]);
    expect(idle!.corrections).toEqual(first!.corrections);
    expect(idle!.reasons).toEqual(["scale"]);
  });

  test("are of the whole interval, whatever its ticks are", () => {
    const half = { interval_ms: 90_000 };
    const parts = [
      { ...half, at_ms: 90_000, traffic: traffic({ started: 300, ended: 300 }) },
      { ...half, at_ms: 180_000, traffic: traffic({ started: 600, ended: 600, itl_ms: tail(30) }) },
      { ...half, at_ms: 270_000, traffic: traffic({ started: 1_200, ended: 1_200 }) },
    ];
    const found = run({}, parts);
    const [first, second, third] = found.map(({ corrections }) => corrections.decode);
    expect(second).toBe(first!);
    // 1,800 in 180 s as before, a third of them 10 ms slower.
    expect(third).toBeCloseTo((20 + 10 / 3) / (10 + 40 * (11 / 99)), 6);
  });
});

describe("what changes nothing", () => {
  test.each([
    ["no_traffic_data", { traffic: undefined }],
    ["no_traffic_data", { traffic: traffic({ ttft_ms: undefined }) }],
    ["no_traffic_data", { traffic: traffic({ isl: undefined }) }],
    ["no_traffic_data", { traffic: traffic({ itl_ms: tail(Number.NaN) }) }],
  ] as const)("%s %#", (reason, tick) => {
    const [before, after] = run({}, [{}, tick]);
    expect(after).toEqual({ ...before!, reasons: [reason] });
  });

  test.each([
    ["predict_failed", { ...prediction, isl: undefined }, curves],
    ["model_not_ready", prediction, undefined],
    ["no_traffic_data", { ...prediction, requests: undefined }, curves],
  ] as const)("%s, from the start", (reason, predicted, given) => {
    const whole = { ...plan_config, sla_planner: "classic", mode: "disagg" } as const;
    const [stage] = proposeStages(whole, given);
    const snapshot = planSnapshot({ traffic: traffic() });
    const input = { config: whole, snapshot, prediction: predicted, memory: stage!.start };
    expect(
      stage!.propose(input).result.map(({ wanted, reason }) => [wanted, reason as string]),
    ).toEqual([
      [undefined, reason],
      [undefined, reason],
    ]);
  });
});

test("no request expected: the minima", () => {
  const [tick] = run({ decode_min_endpoint: 2 }, [{}], { ...prediction, requests: 0 });
  expect([tick!.wanted, tick!.reasons]).toEqual([[1, 2], ["no_traffic"]]);
});

test.each([
  ["prefill", [1], {}],
  ["decode", [9], {}],
  // An aggregated worker does both: 1 + 8.08.
  ["agg", [10], {}],
  // 8.08 / 4.
  ["decode", [3], { decode_engine_num_gpu: 4 }],
] as const)("mode %s wants %j with %j", (mode, wanted, gpus) => {
  const [tick] = run({ mode, no_correction: true, ...gpus }, [{}]);
  expect(tick!.wanted).toEqual([...wanted]);
});
