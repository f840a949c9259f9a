/** When a request that finds no worker may hope for one, and for how long. */
import { expect, test } from "bun:test";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { firstWorkerMs } from "../../../actors/planner/pipeline/first-worker.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import { type PlannerState, settled } from "../../../actors/planner/pipeline/planner-state.ts";
import type { PlanSnapshot } from "../../../actors/planner/pipeline/snapshot.ts";
import { initialState, tick } from "../../../actors/planner/pipeline/tick.ts";
import { proposeStages } from "../../../actors/planner/propose/propose.ts";
import { config, quiet, snapshot, worker } from "./fixtures.ts";

const zero = { start_timeout_seconds: 90, scale_to_zero_after_seconds: 20 };
const none = { workers: [] };
const waits = { workers: [], traffic: { ...quiet, queued: 1 } };

function after(snapshots: readonly PlanSnapshot[], settings: PlannerConfig): PlannerState {
  const parts = plannerParts(settings, proposeStages(settings, undefined));
  let state = initialState("m", settings);
  for (const each of snapshots) state = tick(state, each, settings, parts).state;
  return state;
}

const idle = [snapshot(5_000), snapshot(30_000), snapshot(35_000, none)];
const wanted = [...idle, snapshot(40_000, waits)];

test.each([
  ["a worker serves, or seems to", [snapshot(5_000)], {}, undefined],
  ["there is none, and the next decision starts one", idle, {}, 95_000],
  ["an adviser starts none", idle, { advisory: true }, undefined],
  ["it was asked for", wanted, {}, 90_000],
  [
    "it starts",
    [
      ...wanted,
      snapshot(45_000, { workers: [worker("a", { state: "starting", since_ms: 44_000 })] }),
    ],
    ...([{}, 90_000] as const),
  ],
  [
    "its process ended and is tried again",
    [snapshot(5_000), snapshot(10_000, { workers: [worker("a", { state: "starting" })] })],
    ...([{}, undefined] as const),
  ],
  ["two prefill workers are asked for", wanted, { mode: "prefill" }, undefined],
] as const)("%s", (_, snapshots, over, ms) => {
  const settings = config({ ...zero, ...over });
  expect(firstWorkerMs(after(snapshots, settings), settings)).toBe(ms);
});

test("a start that failed leaves no hope until it may be tried again", () => {
  const settings = config(zero);
  const begun = after(wanted, settings);
  const change = begun.pending[0]?.change ?? "";
  const failed = settled(begun, change, { kind: "failed", why: "no memory" }, 41_000, settings);
  expect(firstWorkerMs(failed, settings)).toBeUndefined();
  const parts = plannerParts(settings, proposeStages(settings, undefined));
  const held = tick(failed, snapshot(45_000, waits), settings, parts).state;
  expect(held.last?.roles[0]?.reason).toBe("cannot_start");
  expect(firstWorkerMs(held, settings)).toBeUndefined();
  const again = tick(held, snapshot(60_000, waits), settings, parts).state;
  expect(firstWorkerMs(again, settings)).toBe(90_000);
});
