/** The throughput loop: numbers of workers, reasons, caps and floors. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PassModel } from "../../../../actors/planner/model/pass-model.ts";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { PlanRole } from "../../../../actors/planner/pipeline/snapshot.ts";
import { throughputLoop } from "../../../../actors/planner/propose/throughput-loop.ts";
import { plan_config, planSnapshot, planWorkers } from "../../../support/planner/plan-cases.ts";

/** A prompt of 1,000 tokens takes 100 ms; 20 requests of any context draw in 50 ms. */
const model: PassModel = {
  passMs: ({ prefill_tokens, requests }) => 0.1 * prefill_tokens + 2.5 * requests,
};
const limits = {
  ...planSnapshot().limits,
  max_batch_tokens: 4_000,
  max_seqs: 1_000,
  max_kv_tokens: 1e9,
};

const failure = { code: "predict_failed", why: "So." } as const;

function loop(
  config: Partial<PlannerConfig>,
  options: {
    requests?: number | undefined;
    isl?: number | undefined;
    counts?: Partial<Record<PlanRole, number>>;
    models?: Partial<Record<PlanRole, PassModel>>;
    traffic?: undefined;
    failure?: object;
    max_batch_tokens?: number;
  } = {},
) {
  const { counts = {}, models = { prefill: model, decode: model, aggregated: model } } = options;
  const snapshot = planSnapshot({
    workers: Object.entries(counts).flatMap(([role, count]) =>
      planWorkers(role as PlanRole, count),
    ),
    limits: { ...limits, max_batch_tokens: options.max_batch_tokens ?? 4_000 },
    ...("traffic" in options ? { traffic: undefined } : {}),
  });
  const prediction = {
    requests: "requests" in options ? options.requests : 1_800,
    isl: "isl" in options ? options.isl : 1_000,
    osl: 100,
    interval_ms: 60_000,
    ...("failure" in options ? { failure } : {}),
  };
  const proposals = throughputLoop({
    config: { ...plan_config, max_throughput_scaling_replicas: 100, ...config },
    snapshot,
    prediction,
    modelOf: (role) => models[role],
    kvTokensSeen: () => 0,
  });
  return proposals.map(({ role, wanted, floor, reason }) => [role, wanted, floor, reason]);
}

describe("numbers", () => {
  test.each([
    // 30 requests/s; a worker prefills 10/s; 20 × 1,000 / (100 × 50) = 4/s.
    ["prefill", [["prefill", 3, false, "scale"]]],
    ["decode", [["decode", 8, false, "scale"]]],
    [
      "disagg",
      [
        ["prefill", 3, false, "scale"],
        ["decode", 8, false, "scale"],
      ],
    ],
    // A batch of x takes 0.1 × 10x + 2.5x ms: 14 in 49 ms, so 2.857/s.
    ["agg", [["aggregated", 11, false, "scale"]]],
  ] as const)("%s", (mode, proposals) => {
    expect(loop({ mode })).toEqual(proposals.map((each) => [...each]));
  });

  test("with the load loop on they are floors", () => {
    const config = { mode: "disagg", enable_load_scaling: true } as const;
    expect(loop(config)).toEqual([
      ["prefill", 3, true, "set_lower_bound"],
      ["decode", 8, true, "set_lower_bound"],
    ]);
  });

  test.each([
    ["a step up", 0, { aggregated: 2 }, 4, 6],
    ["a step down", 60, { aggregated: 10 }, 4, 6],
    ["no cap", 1_800, { aggregated: 2 }, 0, 11],
    ["the minimum goes first", 0, { aggregated: 0 }, 1, 3],
  ] as const)("at most so many at once: %s", (_, requests, counts, cap, wanted) => {
    const config = {
      max_throughput_scaling_replicas: cap,
      min_endpoint: requests === 0 && cap === 1 ? 3 : 1,
    };
    const asked = requests === 0 && cap === 4 ? 1_800 : requests;
    expect(loop(config, { requests: asked, counts })[0]?.[1]).toBe(wanted);
  });

  test("each role has its own minimum", () => {
    const own = { mode: "disagg", prefill_min_endpoint: 4, decode_min_endpoint: 0 } as const;
    expect(loop(own, { requests: 1 }).map(([, wanted]) => wanted)).toEqual([4, 1]);
  });

  test("no request expected needs no lengths and no model", () => {
    const nothing = { requests: 0, isl: undefined, models: {} };
    expect(loop({}, nothing)).toEqual([["aggregated", 1, false, "no_traffic"]]);
    expect(loop({ min_endpoint: 0 }, nothing)).toEqual([["aggregated", 0, false, "no_traffic"]]);
  });
});

describe("why nothing is wanted", () => {
  test.each([
    ["disabled", { enable_throughput_scaling: false }, {}],
    ["no_traffic_data", {}, { traffic: undefined }],
    ["no_traffic_data", {}, { requests: undefined }],
    ["predict_failed", {}, { requests: undefined, failure }],
    ["predict_failed", {}, { isl: undefined }],
    ["model_not_ready", {}, { models: {} }],
    ["model_not_ready", {}, { max_batch_tokens: 0 }],
  ] as const)("%s %#", (reason, config, options) => {
    expect(loop(config, options)).toEqual([["aggregated", undefined, false, reason]]);
  });

  test("one role without a model holds both", () => {
    expect(loop({ mode: "disagg" }, { models: { prefill: model } })).toEqual([
      ["prefill", undefined, false, "model_not_ready"],
      ["decode", undefined, false, "model_not_ready"],
    ]);
  });
});

test("more requests never want fewer workers, and none is below its minimum", () => {
  const requests = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(requests, requests, fc.integer({ min: 0, max: 9 }), (a, b, min_endpoint) => {
      const least = { prefill_min_endpoint: min_endpoint, decode_min_endpoint: min_endpoint };
      const wanted = (count: number) =>
        loop(
          { mode: "disagg", ...least, max_throughput_scaling_replicas: 0 },
          { requests: count },
        ).map(([, number]) => number as number);
      const [few, many] = [wanted(Math.min(a, b)), wanted(Math.max(a, b))];
      for (const i of [0, 1]) {
        expect(few[i]).toBeGreaterThanOrEqual(min_endpoint);
        expect(many[i]).toBeGreaterThanOrEqual(few[i]!);
      }
    }),
  );
});
