/** Budgets: Dynamo's clamps by hand, and what holds for all of them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import { PlannerConfigError } from "../../../../actors/planner/pipeline/config-text.ts";
import type { Targets } from "../../../../actors/planner/pipeline/decision.ts";
import { plannerConfigOf } from "../../../../actors/planner/pipeline/read-config.ts";
import { leastOf, rolesOf } from "../../../../actors/planner/pipeline/roles.ts";
import { gpusIn, withinBudget } from "../../../../actors/planner/propose/budget.ts";
import { plan_config } from "../../../support/planner/plan-cases.ts";

const config = (part: Partial<PlannerConfig>): PlannerConfig => {
  const { min_endpoint = 1 } = part;
  const least = { prefill_min_endpoint: min_endpoint, decode_min_endpoint: min_endpoint };
  return { ...plan_config, mode: "disagg", ...least, ...part };
};
const pd = (prefill: number, decode: number): Targets => ({ prefill, decode });

describe("prefill and decode", () => {
  test.each<[string, Partial<PlannerConfig>, Targets, Targets]>([
    ["no limits", {}, pd(100, 200), pd(100, 200)],
    ["within", { max_gpu_budget: 8 }, pd(3, 5), pd(3, 5)],
    // floor(6 × 8 / 16) = 3, and decode has the rest.
    ["half of it", { max_gpu_budget: 8 }, pd(6, 10), pd(3, 5)],
    // floor(5 × 8 / 10) = 4.
    ["rounded down", { max_gpu_budget: 8 }, pd(5, 5), pd(4, 4)],
    // floor(1 × 8 / 21) = 0: the minimum.
    ["prefill's minimum", { max_gpu_budget: 8 }, pd(1, 20), pd(1, 7)],
    // floor(20 × 8 / 21) = 7, and 8 - 1 = 7 is the most.
    ["decode's minimum", { max_gpu_budget: 8 }, pd(20, 1), pd(7, 1)],
    ["own minima", { max_gpu_budget: 8, prefill_min_endpoint: 3 }, pd(1, 20), pd(3, 5)],
    // 4 × 2 + 3 × 4 = 20 GPUs; floor(4 × 12 / 20) = 2, then (12 - 4) / 4 = 2.
    [
      "wide workers",
      { max_gpu_budget: 12, prefill_engine_num_gpu: 2, decode_engine_num_gpu: 4 },
      pd(4, 3),
      pd(2, 2),
    ],
    // (7 - 2) / 4: one GPU is left over.
    [
      "a rest that no worker fits",
      { max_gpu_budget: 7, prefill_engine_num_gpu: 2, decode_engine_num_gpu: 4 },
      pd(4, 4),
      pd(1, 1),
    ],
    ["minima that were not wanted", {}, pd(0, 0), pd(1, 1)],
    // ceil(1 × 8 / 4) = 2, decode has the rest.
    ["up to the floor", { min_gpu_budget: 8 }, pd(1, 3), pd(2, 6)],
    ["the floor out of nothing", { min_gpu_budget: 8, min_endpoint: 0 }, pd(0, 0), pd(4, 4)],
    ["a floor beyond which more is wanted", { min_gpu_budget: 8 }, pd(5, 9), pd(5, 9)],
    ["pinned, from below", { min_gpu_budget: 8, max_gpu_budget: 8 }, pd(1, 1), pd(4, 4)],
    ["pinned, from above", { min_gpu_budget: 8, max_gpu_budget: 8 }, pd(9, 3), pd(6, 2)],
    ["pinned, traded", { min_gpu_budget: 8, max_gpu_budget: 8 }, pd(2, 6), pd(2, 6)],
    // floor(10 × 8 / 50) = 1 prefill and 1 decode of 4 leave 3 GPUs, which prefill can use.
    [
      "pinned, filled up",
      { min_gpu_budget: 8, max_gpu_budget: 8, decode_engine_num_gpu: 4 },
      pd(10, 10),
      pd(4, 1),
    ],
    [
      "pinned to what whole workers do not come to",
      { min_gpu_budget: 5, max_gpu_budget: 5, prefill_engine_num_gpu: 2, decode_engine_num_gpu: 2 },
      pd(1, 1),
      pd(1, 1),
    ],
  ])("%s", (_, part, wanted, targets) => {
    const found = withinBudget(config(part), wanted);
    expect(found.targets).toEqual(targets);
    const asked = { prefill: Math.max(wanted.prefill!, 1), decode: Math.max(wanted.decode!, 1) };
    if (part.prefill_min_endpoint === undefined && part.min_endpoint === undefined) {
      expect(found.why === undefined).toBe(Bun.deepEquals(asked, targets));
    }
  });
});

test.each<[string, Partial<PlannerConfig>, number, number]>([
  ["agg", { mode: "agg", max_gpu_budget: 8 }, 20, 8],
  ["agg", { mode: "agg", max_gpu_budget: 9, decode_engine_num_gpu: 2 }, 20, 4],
  ["agg", { mode: "agg", min_gpu_budget: 9, decode_engine_num_gpu: 2 }, 1, 5],
  ["agg", { mode: "agg", min_gpu_budget: 9, max_gpu_budget: 9, decode_engine_num_gpu: 2 }, 1, 4],
  ["prefill", { mode: "prefill", max_gpu_budget: 9, prefill_engine_num_gpu: 4 }, 20, 2],
  ["decode", { mode: "decode", min_endpoint: 3 }, 1, 3],
])("one role: %s %j", (_, part, wanted, target) => {
  const of = config(part);
  const [role] = rolesOf(of);
  expect(withinBudget(of, { [role!]: wanted }).targets).toEqual({ [role!]: target });
});

test("it says what it did", () => {
  const { why } = withinBudget(config({ max_gpu_budget: 8 }), pd(6, 10));
  expect(why).toBe("16 GPUs were wanted, at most 8 are allowed: 8.");
  const grown = withinBudget(config({ min_gpu_budget: 8 }), pd(1, 3));
  expect(grown.why).toBe("4 GPUs were wanted, at least 8 are allowed: 8.");
});

describe("a configuration that cannot be", () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ max_gpu_budget: 1 }, /max_gpu_budget \(1\) does not hold .* 2 GPUs: raise it/],
    [{ max_gpu_budget: 8, decode_engine_num_gpu: 8 }, /take 9 GPUs: raise it, or lower min_end/],
    [{ mode: "agg", max_gpu_budget: 3, decode_engine_num_gpu: 4 }, /take 4 GPUs/],
    [{ max_gpu_budget: 8, min_gpu_budget: 9 }, /min_gpu_budget \(9\) is above max_gpu_budget/],
    [{ prefill_engine_num_gpu: 0 }, /prefill_engine_num_gpu/],
  ])("%j", (part, message) => {
    expect(() => plannerConfigOf(part)).toThrow(PlannerConfigError);
    expect(() => plannerConfigOf(part)).toThrow(message);
  });

  test.each<Record<string, unknown>>([
    {},
    { max_gpu_budget: 2 },
    { max_gpu_budget: 8, min_gpu_budget: 8 },
    { mode: "decode", max_gpu_budget: 1 },
  ])("and one that can: %j", (part) => {
    expect(plannerConfigOf(part).config).toMatchObject(part);
  });
});

test("never over the ceiling, never below minima, and under the floor only where none fits", () => {
  const count = fc.integer({ min: 0, max: 60 });
  const gpus = fc.integer({ min: 1, max: 8 });
  const least = fc.integer({ min: 0, max: 4 });
  const limit = fc.integer({ min: -1, max: 80 });
  const mode = fc.constantFrom("disagg" as const, "agg" as const, "prefill" as const);
  fc.assert(
    fc.property(
      fc.tuple(mode, count, count, gpus, gpus, least, least, limit, limit),
      ([mode, prefill, decode, p_gpus, d_gpus, p_min, d_min, max, min]) => {
        const of = config({
          mode,
          max_gpu_budget: max,
          min_gpu_budget: min,
          prefill_engine_num_gpu: p_gpus,
          decode_engine_num_gpu: d_gpus,
          min_endpoint: d_min,
          prefill_min_endpoint: p_min,
        });
        const of_role = { prefill: p_gpus, decode: d_gpus, aggregated: d_gpus };
        const least = rolesOf(of).reduce((sum, role) => sum + leastOf(of, role) * of_role[role], 0);
        fc.pre(max < 0 || (min <= max && least <= max));
        const { targets } = withinBudget(of, { prefill, decode, aggregated: decode });
        const total = gpusIn(of, targets);
        const roles = rolesOf(of);
        if (max >= 0) expect(total).toBeLessThanOrEqual(max);
        for (const role of roles) {
          expect(targets[role]).toBeGreaterThanOrEqual(leastOf(of, role));
        }
        const smallest = Math.min(...roles.map((role) => (role === "prefill" ? p_gpus : d_gpus)));
        if (total < min) expect(max >= 0 && total + smallest > max).toBe(true);
        expect(withinBudget(of, targets).targets).toEqual(targets);
      },
    ),
    { numRuns: 2_000 },
  );
});
