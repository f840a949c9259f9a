/** Least squares, the sample store, and the three models that live figures make. */
import { describe, expect, test } from "bun:test";
import { leastSquares, type Sample } from "../../../../actors/planner/model/least-squares.ts";
import { drainMs, type PassModel } from "../../../../actors/planner/model/pass-model.ts";
import {
  learn,
  learnPasses,
  type MeasuredPass,
  noRegression,
  regressionModel,
} from "../../../../actors/planner/model/regression.ts";
import { addSamples, noSamples, SAMPLES_MAX } from "../../../../actors/planner/model/samples.ts";
import {
  planPasses,
  planSnapshot,
  planTraffic,
  planWorker,
} from "../../../support/planner/plan-cases.ts";

const sample = (ms: number, ...x: number[]): Sample => ({ x, ms });

describe("least squares", () => {
  test.each([
    ["a line", [sample(10, 0), sample(12, 1), sample(14, 2)], 10, [2]],
    // scikit-learn 1.7, LinearRegression().fit.
    [
      "a line with noise",
      [sample(1, 0), sample(4, 1), sample(4, 2), sample(9, 4)],
      1.2,
      [1.885714],
    ],
    ["one place only", [sample(10, 5), sample(12, 5)], 11, [0]],
    [
      "a plane",
      [sample(1, 0, 0), sample(3, 1, 0), sample(4, 0, 1), sample(6, 1, 1), sample(11, 2, 2)],
      1,
      [2, 3],
    ],
    // Both features say the same: the shortest coefficients, 2 × (1, 2) / 5 … a ms of 1 + 2t.
    [
      "features on one line",
      [sample(1, 0, 0), sample(3, 1, 2), sample(5, 2, 4)],
      1,
      [2 / 5, 4 / 5],
    ],
    ["a feature without spread", [sample(1, 7, 0), sample(3, 7, 1)], 1, [0, 2]],
  ])("%s", (_, samples, intercept, coefficients) => {
    const fit = leastSquares(samples);
    expect(fit?.intercept).toBeCloseTo(intercept, 5);
    expect(fit?.coefficients.length).toBe(coefficients.length);
    for (const [i, value] of coefficients.entries()) {
      expect(fit?.coefficients[i]).toBeCloseTo(value, 5);
    }
  });

  test("of nothing there is none", () => expect(leastSquares([])).toBeUndefined());
});

describe("the sample store", () => {
  test("keeps 64, and of the fullest bucket the oldest goes", () => {
    const ends = [sample(1, 0), sample(2, 1_600)];
    const crowd = Array.from({ length: 70 }, (_, i) => sample(100 + i, 50));
    const { samples } = addSamples(noSamples, [...ends, ...crowd]);
    expect(samples.length).toBe(SAMPLES_MAX);
    // 0 and 50 share the first of 16 buckets, so 0 was the oldest in it.
    expect(samples.filter(({ x }) => x[0] === 1_600).length).toBe(1);
    expect(samples.filter(({ x }) => x[0] === 0).length).toBe(0);
    expect(samples.at(-1)?.ms).toBe(169);
    expect(samples.find(({ x }) => x[0] === 50)?.ms).toBe(107);
  });

  test("two features have 4 × 4 buckets, and a new range sorts anew", () => {
    const crowd = Array.from({ length: 64 }, (_, i) => sample(1 + i, i % 2, i % 2));
    const wide = addSamples(addSamples(noSamples, crowd), [sample(9, 100, 100), sample(9, 0, 100)]);
    // The 64 are now all in one corner: two of them made way for the two that came.
    expect(wide.samples.length).toBe(64);
    expect(wide.samples.filter(({ x }) => x[1] === 100).length).toBe(2);
    expect(wide.samples[0]?.ms).toBe(3);
    expect([wide.low, wide.high]).toEqual([
      [0, 0],
      [100, 100],
    ]);
  });

  test("what is no measurement is left out", () => {
    const bad = [sample(0, 1), sample(-1, 1), sample(Number.NaN, 1), sample(1, Number.NaN)];
    expect(addSamples(noSamples, bad).samples).toEqual([]);
  });

  test("it is plain data", () => {
    const store = addSamples(noSamples, [sample(1, 2), sample(3, 4)]);
    const again: typeof store = JSON.parse(JSON.stringify(store));
    expect(addSamples(again, [sample(5, 6)])).toEqual(addSamples(store, [sample(5, 6)]));
  });
});

const pass = (ms: number, part: Partial<MeasuredPass>): MeasuredPass => ({
  passes: 1,
  ms,
  prefill_tokens: 0,
  requests: 0,
  kv_tokens: 0,
  ...part,
});

describe("live regression", () => {
  test("a prefill worker's sums give a line over prompt tokens", () => {
    let known = {};
    for (const tokens of [100, 200, 400, 800, 1_600]) {
      const passes = planPasses({
        prefill_passes: 4,
        prefill_tokens: 4 * tokens,
        busy_ms: 4 * (10 + 0.05 * tokens),
      });
      known = learn(known, planSnapshot({ workers: [planWorker("prefill", { passes })] }), [
        "prefill",
      ]);
    }
    const model = regressionModel(
      (known as { prefill: typeof noRegression }).prefill,
      "prefill",
      5,
    );
    expect(model?.passMs({ prefill_tokens: 1_000, requests: 9, kv_tokens: 9 })).toBeCloseTo(60, 6);
  });

  test("a decode worker's give a plane over requests and KV tokens", () => {
    let known = {};
    for (const [requests, kv_tokens] of [
      [1, 500],
      [4, 9_000],
      [8, 3_000],
      [16, 40_000],
      [2, 20_000],
    ]) {
      const passes = planPasses({
        decode_passes: 10,
        decode_tokens: 10 * requests!,
        decode_share: (10 * kv_tokens!) / 100_000,
        busy_ms: 10 * (5 + 0.2 * requests! + 0.001 * kv_tokens!),
      });
      known = learn(known, planSnapshot({ workers: [planWorker("decode", { passes })] }), [
        "decode",
      ]);
    }
    const { decode } = known as { decode: typeof noRegression };
    const model = regressionModel(decode, "decode", 5);
    expect(model?.passMs({ prefill_tokens: 0, requests: 10, kv_tokens: 10_000 })).toBeCloseTo(
      17,
      6,
    );
    expect(decode.kv_tokens_max).toBeCloseTo(40_000, 6);
    expect(decode.mean_context).toBeCloseTo(10_000, 6);
    expect(decode.mean_requests).toBeCloseTo(2, 6);
  });

  test("an aggregated worker's give a plane over prompt and KV tokens", () => {
    let known = {};
    for (const [tokens, kv_tokens] of [
      [0, 500],
      [64, 9_000],
      [128, 3_000],
      [512, 40_000],
      [32, 20_000],
    ]) {
      const passes = planPasses({
        prefill_passes: tokens === 0 ? 0 : 3,
        prefill_tokens: 10 * tokens!,
        decode_passes: 10,
        decode_tokens: 40,
        decode_share: (10 * kv_tokens!) / 100_000,
        busy_ms: 10 * (5 + 0.02 * tokens! + 0.001 * kv_tokens!),
      });
      const workers = [planWorker("aggregated", { passes })];
      known = learn(known, planSnapshot({ workers }), ["aggregated"]);
    }
    const { aggregated } = known as { aggregated: typeof noRegression };
    const model = regressionModel(aggregated, "aggregated", 5);
    expect(model?.passMs({ prefill_tokens: 100, requests: 1, kv_tokens: 10_000 })).toBeCloseTo(
      17,
      6,
    );
    expect(aggregated.mean_prefill_tokens).toBeCloseTo(32, 6);
  });

  test("with speculation a pass draws more tokens than it has requests", () => {
    const passes = planPasses({ decode_passes: 10, decode_tokens: 100, busy_ms: 50 });
    const workers = [planWorker("decode", { passes })];
    const traffic = planTraffic({ accept_length: 2.5 });
    const { decode } = learn({}, planSnapshot({ workers, traffic }), ["decode"]);
    expect(decode?.mean_requests).toBeCloseTo(4, 9);
  });

  test("workers that start, report nothing or were idle say nothing", () => {
    const passes = planPasses({ prefill_passes: 1, prefill_tokens: 10, busy_ms: 1 });
    const workers = [
      planWorker("prefill", { passes, state: "starting" }),
      planWorker("prefill", { passes, reports: false }),
      planWorker("prefill", { passes: planPasses({ prefill_passes: 1 }) }),
      planWorker("prefill", { passes: planPasses({ busy_ms: 1 }) }),
      planWorker("decode", { passes }),
    ];
    expect(learn({}, planSnapshot({ workers }), ["prefill"])).toEqual({ prefill: noRegression });
  });

  test("fewer samples than asked for make no model", () => {
    const four = learnPasses(
      noRegression,
      "prefill",
      [1, 2, 3, 4].map((n) => pass(n, { prefill_tokens: n })),
    );
    expect(regressionModel(four, "prefill", 5)).toBeUndefined();
    expect(regressionModel(four, "prefill", 4)).toBeDefined();
    expect(regressionModel(undefined, "prefill", 0)).toBeUndefined();
  });

  test("more requests that take less time count as none, more tokens that do make no model", () => {
    const falling = learnPasses(noRegression, "decode", [
      pass(30, { requests: 1, kv_tokens: 1_000 }),
      pass(20, { requests: 11, kv_tokens: 1_000 }),
      pass(40, { requests: 1, kv_tokens: 2_000 }),
      pass(30, { requests: 11, kv_tokens: 2_000 }),
    ]);
    const model = regressionModel(falling, "decode", 4);
    const at = (requests: number) =>
      model?.passMs({ prefill_tokens: 0, requests, kv_tokens: 1_000 });
    expect(at(1)).toBe(at(100)!);
    const shrinking = learnPasses(noRegression, "prefill", [
      pass(30, { prefill_tokens: 1 }),
      pass(20, { prefill_tokens: 2 }),
    ]);
    expect(regressionModel(shrinking, "prefill", 2)).toBeUndefined();
  });

  test("an idle interval leaves the means as they were", () => {
    const before = learnPasses(noRegression, "decode", [pass(5, { requests: 2, kv_tokens: 600 })]);
    expect(learnPasses(before, "decode", [])).toEqual(before);
    expect(before.mean_context).toBe(300);
  });
});

describe("prompts in chunks", () => {
  const line: PassModel = {
    passMs: ({ prefill_tokens, kv_tokens }) => 10 + prefill_tokens + kv_tokens,
  };
  test.each([
    [0, 100, 0, 0],
    [50, 100, 0, 60],
    [100, 100, 0, 110],
    [101, 100, 0, 110 + 11],
    [250, 100, 0, 110 + 110 + 60],
    [250, 0, 0, 260],
    [250, 100, 5, 115 + 115 + 65],
  ])("%d tokens, %d a pass, beside %d", (tokens, chunk, kv_tokens, ms) => {
    expect(drainMs(line, tokens, chunk, kv_tokens)).toBeCloseTo(ms, 9);
  });
});
