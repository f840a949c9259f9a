/** Dynamo's loops within whole ticks: what they propose becomes actions within the budget. */
import { describe, expect, test } from "bun:test";
import { budgeted } from "../../../../actors/planner/constrain/budgeted.ts";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import { plannerParts } from "../../../../actors/planner/pipeline/parts.ts";
import type { PlanSnapshot } from "../../../../actors/planner/pipeline/snapshot.ts";
import { initialState, tick } from "../../../../actors/planner/pipeline/tick.ts";
import { proposeStages } from "../../../../actors/planner/propose/propose.ts";
import {
  plan_config,
  planSnapshot,
  planTraffic,
  planWorkers,
} from "../../../support/planner/plan-cases.ts";

function run(part: Partial<PlannerConfig>, ticks: readonly Partial<PlanSnapshot>[]) {
  const config: PlannerConfig = { ...plan_config, ...part };
  const parts = plannerParts(config, proposeStages(config));
  let state = initialState("m", config);
  return ticks.map((given, i) => {
    const snapshot = planSnapshot({ at_ms: 5_000 * (i + 1), ...given });
    const ticked = tick(state, snapshot, config, parts);
    // As from the journal.
    state = JSON.parse(JSON.stringify(ticked.state));
    return ticked.decision;
  });
}

describe("a static target", () => {
  const goal = { optimization_target: "latency" } as const;
  const full = { workers: planWorkers("aggregated", 2, { kv_used_tokens: 50_000 }) };

  test("adds one worker", () => {
    const [decision] = run(goal, [full]);
    expect(decision?.actions).toEqual([{ kind: "add", role: "aggregated", count: 1 }]);
    expect(decision?.roles[0]).toMatchObject({
      reason: "scale_up",
      load_reason: "scale_up",
      throughput_reason: "disabled",
    });
  });

  test("adds none beyond the budget, and says so", () => {
    const [decision] = run({ ...goal, max_gpu_budget: 2 }, [full]);
    expect(decision?.actions).toEqual([]);
    expect(decision?.roles[0]?.reason).toBe("budget");
    expect(decision?.roles[0]?.why).toContain("3 GPUs were wanted, at most 2 are allowed: 2.");
  });

  test("takes one away when all are empty", () => {
    const idle = { workers: planWorkers("aggregated", 3), traffic: planTraffic({ started: 1 }) };
    const decisions = run(goal, [idle, idle, idle]);
    const actions = decisions.flatMap((decision) => decision.actions);
    expect(actions.map(({ kind }) => kind)).toEqual(["retire"]);
  });
});

describe("the budget over all roles", () => {
  const target = (role: "prefill" | "decode", wanted: number) =>
    ({ role, wanted, reason: "scale", why: "So." }) as const;
  const wantedOf = (part: Partial<PlannerConfig>, prefill: number, decode: number) =>
    budgeted([target("prefill", prefill), target("decode", decode)], {
      ...plan_config,
      mode: "disagg",
      ...part,
    }).map(({ wanted }) => wanted);

  test.each<[Partial<PlannerConfig>, [number, number], [number, number]]>([
    [{}, [9, 9], [9, 9]],
    [{ max_gpu_budget: 8 }, [6, 10], [3, 5]],
    [{ min_gpu_budget: 8 }, [1, 3], [2, 6]],
    // What was let below its least number, or to nothing, is not raised.
    [{ max_gpu_budget: 8 }, [0, 4], [0, 4]],
    [{ min_gpu_budget: 8 }, [0, 0], [0, 0]],
  ])("%j of %j allows %j", (part, asked, allowed) => {
    expect(wantedOf(part, ...asked)).toEqual(allowed);
  });
});
