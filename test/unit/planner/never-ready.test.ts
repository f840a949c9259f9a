/** A planner that can never know what a load needs says so before it has waited for ever. */
import { expect, test } from "bun:test";
import type { Curves } from "../../../actors/planner/model/curves.ts";
import { neverReady } from "../../../actors/planner/outside/never-ready.ts";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import type { PlanRole } from "../../../actors/planner/pipeline/snapshot.ts";
import { initialState, tick } from "../../../actors/planner/pipeline/tick.ts";
import { partsWith } from "../../../actors/planner/planner-files.ts";
import { config, quiet, snapshot, worker } from "./fixtures.ts";

/** @param slope of the time over the work */
function curves(prefill: number, decode: number, slope = 1): Curves {
  return {
    prefill: Array.from({ length: prefill }, (_, i) => {
      return { isl: 100 * (i + 1), ttft_ms: 500 + 10 * slope * i, thpt_per_gpu: 1_000 };
    }),
    decode: Array.from({ length: decode }, (_, i) => ({
      ...{ kv_usage: 0.1 * (i + 1), context_length: 100 * ((i % 3) + 1) },
      ...{ itl_ms: 10 + i, thpt_per_gpu: 100 },
    })),
    max_kv_tokens: 10_000,
  };
}

type Case = readonly [string, Partial<PlannerConfig>, Curves | undefined, string | undefined];
const current = { sla_planner: "current", profile_results_dir: "dir" } as const;

test.each<Case>([
  ["points enough", current, curves(5, 5), undefined],
  ["four prefill points", current, curves(4, 9), "4 prefill points where .* 5; .* to 4$"],
  ["no decode point", current, curves(9, 0), "0 decode points where .* 5; .* to 1$"],
  ["fewer asked for", { ...current, load_min_observations: 3 }, curves(3, 4), undefined],
  [
    "a line that falls",
    current,
    curves(9, 9, -1),
    "9 prefill points of dir fit no line that rises",
  ],
  ["no profile", { sla_planner: "current" }, undefined, "profile_results_dir names none; set it$"],
  ["one role", { ...current, mode: "decode" }, curves(0, 5), undefined],
  ["both in one", { ...current, mode: "agg" }, curves(2, 2), "dir has 4 points where"],
  [
    "the load loop",
    { ...current, enable_throughput_scaling: false },
    curves(9, 9),
    "load loop .* needs",
  ],
  ["our own", { sla_planner: "tail" }, curves(9, 9), "^planner: it will .* sla_planner tail needs"],
  [
    "thresholds",
    { optimization_target: "load" },
    undefined,
    "optimization_target load needs figures",
  ],
  ["classic", { sla_planner: "classic" }, curves(1, 1), undefined],
  [
    "classic, no profile",
    { sla_planner: "classic" },
    undefined,
    "classic needs profile_results_dir",
  ],
  ["classic, half", { sla_planner: "classic" }, curves(1, 0), "has no decode points"],
])("of somebody else's workers: %s", (_, over, known, line) => {
  const given = config({ mode: "disagg", environment: "virtual", ...over });
  const said = neverReady(given, known);
  if (line === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(new RegExp(line));
  expect(said ?? "").not.toContain("\n");
  expect(decidesAlone(given, known)).toBe(line === undefined);
});

test("workers of this cluster tell what they do, whatever a profile lacks", () => {
  const local = config({ mode: "disagg", ...current });
  expect(neverReady(local, curves(1, 1))).toBeUndefined();
  expect(neverReady({ ...local, sla_planner: "classic" }, undefined)).toContain("classic needs");
});

test("a profile that is named later is used, although a journal says that nothing is known", () => {
  const given = config({ mode: "disagg", environment: "virtual", ...current });
  const before = partsWith(given, { curves: undefined, history: [] });
  const first = tick(initialState("m", given), outside(5_000), given, before).state;
  expect(decidesAlone(given, curves(5, 5), first)).toBe(true);
});

/** What is seen of somebody else's workers: how many there are. */
function outside(at_ms: number) {
  const workers = (["prefill", "decode", "aggregated"] as const).map((role: PlanRole) =>
    worker(role, { role, reports: false, kv_total_tokens: 0 }),
  );
  const unknown = { context_length: 0, max_batch_tokens: 0, max_kv_tokens: 0 };
  const tail = (ms: number) => ({ mean: ms, p50: ms, p95: ms, p99: ms });
  return snapshot(at_ms, {
    ...{ workers, limits: { ...unknown, max_seqs: 0, block_size: 0 } },
    traffic: {
      ...{ ...quiet, started: 50, ended: 50, isl: 500, osl: 50 },
      ...{ ttft_ms: tail(300), itl_ms: tail(20), duration_ms: tail(2_000) },
    },
  });
}

/** After some intervals some loop has a number of its own. */
function decidesAlone(
  given: PlannerConfig,
  known: Curves | undefined,
  before = initialState("m", given),
): boolean {
  const parts = partsWith(given, { curves: known, history: [] });
  let state = before;
  for (let at = 1; at <= 80; at++) state = tick(state, outside(5_000 * at), given, parts).state;
  return Object.values(state.proposals)
    .flat()
    .some(({ wanted }) => wanted !== undefined);
}
