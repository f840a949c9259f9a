/** How many workers of a role there are while some of them change it. */
import { expect, test } from "bun:test";
import { headCount, stillPending } from "../../../actors/planner/pipeline/head-count.ts";
import type {
  PendingChange,
  PlannerState,
} from "../../../actors/planner/pipeline/planner-state.ts";
import type { WorkerView } from "../../../actors/planner/pipeline/snapshot.ts";
import { startsSeen } from "../../../actors/planner/pipeline/startup-time.ts";
import { initialState } from "../../../actors/planner/pipeline/tick.ts";
import { config, snapshot, worker } from "./fixtures.ts";

const ASKED_MS = 10_000;

const change: PendingChange = {
  ...{ change: "c", decision: 1, asked_ms: ASKED_MS },
  action: { kind: "change_role", from: "prefill", to: "decode", workers: ["a", "b"] },
};

type Stage = Pick<WorkerView, "role" | "state" | "since_ms">;
const before: Stage = { role: "prefill", state: "serving", since_ms: 0 };
const drains: Stage = { role: "prefill", state: "starting", since_ms: ASKED_MS + 5 };
const returns: Stage = { role: "decode", state: "starting", since_ms: ASKED_MS + 5 };
const done: Stage = { role: "decode", state: "serving", since_ms: ASKED_MS + 9 };
/** Its record was away for too short a time to be missed. */
const unnoticed: Stage = { ...done, since_ms: 0 };
const stages = { before, drains, returns, done, unnoticed };

const seen = (a: Stage, b: Stage) =>
  snapshot(12_000, {
    workers: [
      worker("a", a),
      worker("b", b),
      worker("p", { role: "prefill" }),
      worker("d", { role: "decode" }),
    ],
  });

const names = Object.keys(stages) as (keyof typeof stages)[];
const both = names.flatMap((a) => names.map((b) => [a, b] as const));

test.each(both)("the sum stays while two change: %s, %s", (a, b) => {
  const view = seen(stages[a], stages[b]);
  const of = (role: "prefill" | "decode") => headCount(view, [change], role);
  expect([of("prefill").expected, of("decode").expected]).toEqual([1, 3]);
  const arrived = [a, b].filter((each) => each === "done" || each === "unnoticed").length;
  expect(of("decode").serving).toHaveLength(1 + arrived);
  expect(stillPending(view, [change], 60_000)).toHaveLength(arrived === 2 ? 0 : 1);
});

test("a worker that comes back in another role is no start that anything is learned of", () => {
  const begun: PlannerState = { ...initialState("m", config()), pending: [change] };
  const draining = seen(drains, drains);
  const one = { ...begun, ...startsSeen(begun, draining, config({ startup_seconds: 0 })) };
  const over = { ...one, pending: [] };
  const two = startsSeen(over, seen(done, done), config({ startup_seconds: 0 }));
  expect(two.startup_ms).toBeUndefined();
  const others = worker("n", { state: "starting", since_ms: 11_000 });
  const starts = startsSeen(over, snapshot(12_000, { workers: [others] }), config());
  expect(starts.starting).toEqual({ n: 11_000 });
});
