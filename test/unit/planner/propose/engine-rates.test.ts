/** Requests a second of one worker, against Dynamo's formulas computed by hand. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PassModel } from "../../../../actors/planner/model/pass-model.ts";
import {
  aggregatedRate,
  computedTokens,
  decodeRate,
  prefillRate,
} from "../../../../actors/planner/propose/engine-rates.ts";
import { planSnapshot } from "../../../support/planner/plan-cases.ts";

const limits = {
  ...planSnapshot().limits,
  max_batch_tokens: 2_000,
  max_kv_tokens: 100_000,
  max_seqs: 64,
};
const sla = { ttft_ms: 500, itl_ms: 50 };
const line = (base: number, token: number, request: number, kv: number): PassModel => ({
  passMs: ({ prefill_tokens, requests, kv_tokens }) =>
    base + token * prefill_tokens + request * requests + kv * kv_tokens,
});
const demand = (isl: number, osl: number, kv_hit_rate = 0) => ({ isl, osl, kv_hit_rate });

describe("prefill", () => {
  const model = line(10, 0.1, 0, 0);
  test.each([
    // 1 / wall(ISL).
    [demand(1_000, 100), 110, 1_000 / 110],
    // Beyond a pass: 2,000 + 500 tokens.
    [demand(2_500, 100), 210 + 60, 1_000 / 270],
    // Half of it cached: 1,250 in one pass.
    [demand(2_500, 100, 0.5), 135, 1_000 / 135],
    // Missed by far: the rate that can be had.
    [demand(20_000, 100), 2_100, 1_000 / 2_100],
    // All cached: a token is computed anyway.
    [demand(1_000, 100, 1), 10.1, 1_000 / 10.1],
  ])("%j", (asked, ttft_ms, requests_per_s) => {
    const rate = prefillRate(model, asked, limits);
    expect(rate.ttft_ms).toBeCloseTo(ttft_ms, 9);
    expect(rate.requests_per_s).toBeCloseTo(requests_per_s, 9);
  });

  test.each([
    [0.25, 750],
    [-1, 1_000],
    [2, 0],
    [Number.NaN, 1_000],
  ])("a hit rate of %d leaves %d of 1,000 tokens", (kv_hit_rate, tokens) =>
    expect(computedTokens({ isl: 1_000, osl: 1, kv_hit_rate })).toBe(tokens),
  );
});

describe("decode", () => {
  test.each([
    // ctx 1,100; 5 + b × (0.5 + 1.1) ≤ 50 → b = 28.
    ["the SLA limits", line(5, 0, 0.5, 0.001), demand(1_000, 200), limits, 28],
    // KV: 100,000 / 1,100 = 90, but 64 sequences at most.
    ["the sequences limit", line(5, 0, 0, 0), demand(1_000, 200), limits, 64],
    ["the KV tokens limit", line(5, 0, 0, 0), demand(1_000, 200), { ...limits, max_seqs: 0 }, 90],
    ["a context beyond all KV", line(5, 0, 0, 0), demand(200_000, 200), limits, 1],
    ["no batch is fast enough", line(60, 0, 1, 0), demand(1_000, 200), limits, 1],
    [
      "only what was seen is known: 22,000 / 1,100",
      line(5, 0, 0, 0),
      demand(1_000, 200),
      { ...limits, max_kv_tokens: 0 },
      20,
    ],
  ] as const)("%s", (_, model, asked, given, batch) => {
    const rate = decodeRate(model, asked, given, sla, 22_000);
    const itl_ms = model.passMs({
      prefill_tokens: 0,
      requests: batch,
      kv_tokens: batch * (asked.isl + asked.osl / 2),
    });
    expect(rate.itl_ms).toBeCloseTo(itl_ms, 9);
    // Little: batch / (OSL × wall).
    expect(rate.requests_per_s).toBeCloseTo((1_000 * batch) / (asked.osl * itl_ms), 9);
  });

  test("speculation makes more tokens of a pass", () => {
    // 100 ms a pass are 40 ms a token at 2.5 accepted tokens.
    const asked = { ...demand(1_000, 200), accept_length: 2.5 };
    const rate = decodeRate(line(100, 0, 0, 0), asked, limits, sla, 0);
    expect(rate.itl_ms).toBeCloseTo(40, 9);
    expect(rate.requests_per_s).toBeCloseTo((64 * 1_000) / (200 * 40), 9);
  });

  test("nothing known at all: 256", () => {
    const unknown = { ...limits, max_kv_tokens: 0, max_seqs: 0 };
    const rate = decodeRate(line(10, 0, 0, 0), demand(1_000, 100), unknown, sla, 0);
    expect(rate.requests_per_s).toBeCloseTo((256 * 1_000) / (100 * 10), 9);
  });
});

describe("aggregated", () => {
  /** As Dynamo's `find_best_engine_agg_rps` has it, one batch after the other. */
  const bySweep = (model: PassModel, asked: ReturnType<typeof demand>, cap: number) => {
    const context = asked.isl + asked.osl / 2;
    const computed = asked.isl * (1 - asked.kv_hit_rate);
    let found = { batch: 0, itl: 0, ttft: 0 };
    for (let batch = 1; batch <= cap; batch++) {
      const prefill_tokens = Math.min((batch * computed) / asked.osl, limits.max_batch_tokens);
      const kv_tokens = batch * context;
      const itl = model.passMs({ prefill_tokens, requests: batch, kv_tokens });
      let ttft = 0;
      for (let left = prefill_tokens + computed; left > 0; left -= limits.max_batch_tokens) {
        const chunk = Math.min(left, limits.max_batch_tokens);
        ttft += model.passMs({ prefill_tokens: chunk, requests: 0, kv_tokens });
      }
      if (batch > 1 && (itl > sla.itl_ms || ttft > sla.ttft_ms)) break;
      found = { batch, itl, ttft };
      if (itl > sla.itl_ms || ttft > sla.ttft_ms) break;
    }
    return found;
  };

  test.each([
    ["ITL breaks first", line(5, 0.02, 0, 0.001), demand(1_000, 200), 64],
    ["TTFT breaks first", line(5, 0.2, 0, 0.0003), demand(2_000, 400), 64],
    ["the sequences limit", line(5, 0, 0, 0), demand(1_000, 200), 64],
    // 3,000 / (2,000 - x) ≤ 1.51: a pass of 13 leaves just enough for the prompts that follow.
    ["prompts limit", line(5, 0, 0, 0), demand(3_000, 1.51), 13],
    ["half cached", line(5, 0.02, 0, 0.001), demand(1_000, 200, 0.5), 64],
    ["nothing is fast enough", line(80, 0.02, 0, 0.001), demand(1_000, 200), 64],
  ] as const)("%s", (_, model, asked, cap) => {
    const found = bySweep(model, asked, cap);
    const rate = aggregatedRate(model, asked, limits, sla);
    expect(rate.itl_ms).toBeCloseTo(found.itl, 9);
    expect(rate.ttft_ms).toBeCloseTo(found.ttft, 9);
    expect(rate.requests_per_s).toBeCloseTo((1_000 * found.batch) / (asked.osl * found.itl), 9);
  });

  test("what the table is about does limit", () => {
    expect(bySweep(line(5, 0.02, 0, 0.001), demand(1_000, 200), 64).batch).toBe(37);
    expect(bySweep(line(5, 0.2, 0, 0.0003), demand(2_000, 400), 64).batch).toBeLessThan(64);
    expect(bySweep(line(5, 0.02, 0, 0.001), demand(1_000, 200, 0.5), 64).batch).toBeGreaterThan(37);
  });
});

test("a slower SLA never means fewer requests, longer answers never more", () => {
  const part = fc.double({ min: 0.0001, max: 0.01, noNaN: true });
  const tokens = fc.integer({ min: 1, max: 5_000 });
  fc.assert(
    fc.property(
      part,
      part,
      tokens,
      tokens,
      fc.integer({ min: 5, max: 200 }),
      (kv, token, isl, osl, itl_ms) => {
        const model = line(4, token, 0.1, kv);
        const strict = { ttft_ms: 1_000, itl_ms };
        const loose = { ttft_ms: 1_000, itl_ms: itl_ms * 2 };
        const rate = (asked: ReturnType<typeof demand>, of: typeof sla) =>
          decodeRate(model, asked, limits, of, 0).requests_per_s;
        expect(rate(demand(isl, osl), loose)).toBeGreaterThanOrEqual(
          rate(demand(isl, osl), strict),
        );
        expect(rate(demand(isl, osl + 100), strict)).toBeLessThanOrEqual(
          rate(demand(isl, osl), strict),
        );
      },
    ),
  );
});
