/** From what is wanted to what is done: tables, and laws over random ticks. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ConstrainInput,
  constrained,
  constrainStart,
} from "../../../actors/planner/constrain/constrain.ts";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import type { PlanAction, Proposal } from "../../../actors/planner/pipeline/decision.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import { reconciled } from "../../../actors/planner/pipeline/reconcile.ts";
import type { PlanRole, WorkerView } from "../../../actors/planner/pipeline/snapshot.ts";
import type { RoleTarget } from "../../../actors/planner/pipeline/stages.ts";
import { initialState, tick } from "../../../actors/planner/pipeline/tick.ts";
import { config, quiet, snapshot, worker, workers } from "./fixtures.ts";

const proposal = (over: Partial<Proposal>): Proposal => ({
  ...{ loop: "load", role: "decode", wanted: 3, floor: false, reason: "scale_up", why: "W." },
  ...over,
});

test.each([
  ["nobody", [], 4, { wanted: 4, reason: "no_change" }],
  ["one loop", [proposal({ wanted: 6 })], 4, { wanted: 6, reason: "scale_up" }],
  [
    "the higher of two",
    [proposal({ wanted: 6 }), proposal({ wanted: 7, loop: "sla", reason: "sla_tail" })],
    4,
    { wanted: 7, reason: "sla_tail" },
  ],
  [
    "a floor above it",
    [
      proposal({ wanted: 3, reason: "scale_down" }),
      proposal({ wanted: 4, floor: true, loop: "throughput", reason: "set_lower_bound" }),
    ],
    4,
    { wanted: 4, reason: "scale_down_capped_by_throughput" },
  ],
  [
    "a floor alone",
    [proposal({ wanted: 9, floor: true, loop: "throughput", reason: "set_lower_bound" })],
    4,
    { wanted: 9, reason: "set_lower_bound" },
  ],
  [
    "a loop that cannot say",
    [proposal({ wanted: undefined, reason: "insufficient_data" })],
    4,
    { wanted: 4, reason: "insufficient_data" },
  ],
  ["another role", [proposal({ role: "prefill", wanted: 9 })], 4, { wanted: 4 }],
] as const)("of %s one number is made", (_, proposals, present, result) => {
  expect(reconciled("decode", proposals, present)).toMatchObject(result);
});

const target = (role: PlanRole, wanted: number): RoleTarget => ({
  ...{ role, wanted, reason: "scale_up", why: "W.", loop: "sla" },
});

function act(over: Partial<ConstrainInput>) {
  const input: ConstrainInput = {
    config: config({ scale_down_after_seconds: 0 }),
    snapshot: snapshot(5_000, { traffic: { ...quiet, started: 5 } }),
    ...{ memory: constrainStart, roles: [], pending: [], failed_starts: {}, startup_ms: 30_000 },
    ...over,
  };
  return constrained(input);
}

test("starting workers go first, then those whose cache is worth least", () => {
  const seen: WorkerView[] = [
    worker("rich", { cached_tokens: 900 }),
    worker("busy", { cached_tokens: 10, running: 5 }),
    worker("poor", { cached_tokens: 10, running: 1 }),
    worker("young", { state: "starting", since_ms: 4_000 }),
    worker("younger", { state: "starting", since_ms: 4_500 }),
  ];
  const gone = (wanted: number) =>
    act({
      roles: [target("aggregated", wanted)],
      snapshot: snapshot(5_000, { workers: seen, traffic: { ...quiet, started: 5 } }),
    }).actions;
  const cancel = (...names: string[]) => ({
    ...{ kind: "cancel", role: "aggregated", workers: names },
  });
  const retire = (...names: string[]) => ({
    ...{ kind: "retire", role: "aggregated", workers: names },
  });
  const expected: [number, unknown[]][] = [
    [4, [cancel("younger")]],
    [3, [cancel("younger", "young")]],
    [2, [cancel("younger", "young"), retire("poor")]],
    [1, [cancel("younger", "young"), retire("poor", "busy")]],
  ];
  for (const [wanted, actions] of expected) expect(gone(wanted)).toEqual(actions as PlanAction[]);
});

test.each([
  ["at least min_endpoint", { min_endpoint: 2 }, 0, 2, "min_endpoint"],
  ["at most max_workers", { max_workers: 5 }, 9, 5, "max_workers"],
  ["within the budget", { max_gpu_budget: 8, decode_engine_num_gpu: 4 }, 9, 2, "budget"],
  ["as far as it must at once", {}, 40, 40, "scale_up"],
] as const)("a target is %s", (_, over, wanted, allowed, reason) => {
  const settings = config({ scale_down_after_seconds: 0, ...over });
  const { targets, roles } = act({ config: settings, roles: [target("aggregated", wanted)] });
  expect(targets.aggregated).toBe(allowed);
  expect(roles[0]?.reason).toBe(reason);
});

test("Dynamo's throughput loop goes by a largest step", () => {
  const roles = [{ ...target("aggregated", 40), loop: "throughput" as const }];
  expect(act({ roles }).targets.aggregated).toBe(9);
});

test("one role grows out of the other that shrinks, where that is faster than a start", () => {
  const seen = [
    ...workers(3, { role: "prefill", running: 1 }),
    worker("idle", { role: "prefill" }),
    ...workers(1, { role: "decode" }),
  ];
  const moved = (drain_seconds: number) =>
    act({
      config: config({ mode: "disagg", scale_down_after_seconds: 0, drain_seconds }),
      roles: [target("prefill", 2), target("decode", 4)],
      snapshot: snapshot(5_000, { workers: seen, traffic: { ...quiet, started: 5 } }),
    }).actions;
  expect(moved(60)).toEqual([
    { kind: "change_role", from: "prefill", to: "decode", workers: ["idle"] },
    { kind: "add", role: "decode", count: 2 },
    { kind: "retire", role: "prefill", workers: ["prefill-0"] },
  ]);
  expect(moved(10)).toEqual([
    { kind: "change_role", from: "prefill", to: "decode", workers: ["idle", "prefill-0"] },
    { kind: "add", role: "decode", count: 1 },
  ]);
});

test.each<readonly [string, Partial<PlannerConfig>, number]>([
  ["no budget", {}, 0],
  ["room for both beside those that go", { max_gpu_budget: 6 }, 0],
  ["room for one alone", { max_gpu_budget: 5 }, 2],
  ["no room", { max_gpu_budget: 4 }, 2],
  ["no room, and somebody else's workers", { max_gpu_budget: 4, environment: "virtual" }, 0],
  ["no room, but other GPUs", { max_gpu_budget: 7, prefill_engine_num_gpu: 2 }, 0],
  ["no room, but it is off", { max_gpu_budget: 4, role_changes: false }, 0],
])("busy workers whose start was never seen change their role: %s", (_, over, changed) => {
  const seen = [...workers(3, { role: "prefill", running: 1 }), ...workers(1, { role: "decode" })];
  const { actions } = act({
    config: config({ mode: "disagg", scale_down_after_seconds: 0, ...over }),
    startup_ms: undefined,
    roles: [target("prefill", 1), target("decode", 3)],
    snapshot: snapshot(5_000, { workers: seen, traffic: { ...quiet, started: 5 } }),
  });
  const changes = actions.flatMap((each) => (each.kind === "change_role" ? each.workers : []));
  expect(changes).toHaveLength(changed);
});

/** A pool that does what it is asked, a while later. */
class Pool {
  #nth = 0;
  #workers: WorkerView[] = [worker("w0")];
  readonly #start_ms: number;

  constructor(start_ms: number) {
    this.#start_ms = start_ms;
  }

  act(actions: readonly PlanAction[], at_ms: number): void {
    for (const action of actions) {
      if (action.kind === "add") {
        for (let i = 0; i < action.count; i++) {
          const state = { state: "starting", since_ms: at_ms } as const;
          this.#workers.push(worker(`w${++this.#nth}`, state));
        }
      } else {
        this.#workers = this.#workers.filter((each) => !action.workers.includes(each.worker));
      }
    }
  }

  /** As of then. */
  at(now_ms: number): readonly WorkerView[] {
    this.#workers = this.#workers.map((each) => {
      const served_ms = each.since_ms + this.#start_ms;
      if (each.state !== "starting" || served_ms > now_ms) return each;
      return { ...each, state: "serving", since_ms: served_ms };
    });
    return this.#workers;
  }
}

const wish = fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined, freq: 6 });

test("whatever is wanted: within the bounds, never twice, and the same after a crash", () => {
  const settings = config({ min_endpoint: 1, max_workers: 9, scale_down_after_seconds: 15 });
  fc.assert(
    fc.property(
      fc.array(wish, { minLength: 5, maxLength: 40 }),
      fc.integer({ min: 0, max: 30_000 }),
      fc.boolean(),
      (wishes, start_ms, late) => {
        const pool = new Pool(start_ms);
        let state = initialState("m", settings);
        let asked: readonly PlanAction[] = [];
        for (const [i, wanted] of wishes.entries()) {
          const at_ms = 5_000 * (i + 1);
          // What a pool was asked for may show one tick later.
          if (late) pool.act(asked, at_ms - 100);
          const proposals = [proposal({ role: "aggregated", wanted })];
          const propose = [{ start: 0, propose: () => ({ result: proposals, memory: 0 }) }];
          const parts = { ...plannerParts(settings), propose };
          const seen = snapshot(at_ms, {
            ...{ workers: pool.at(at_ms), traffic: { ...quiet, started: 3 } },
          });
          const ticked = tick(state, seen, settings, parts);
          const back = JSON.parse(JSON.stringify(state));
          expect(tick(back, seen, settings, parts).decision).toEqual(ticked.decision);
          state = ticked.state;
          asked = ticked.decision.actions;
          if (!late) pool.act(asked, at_ms);
          const { aggregated = -1 } = ticked.decision.targets;
          expect(aggregated).toBeGreaterThanOrEqual(1);
          expect(aggregated).toBeLessThanOrEqual(9);
        }
        if (late) pool.act(asked, 1e6 - 100);
        // All that was asked for is there, and nothing beside it.
        const last = state.last?.targets.aggregated;
        expect(pool.at(1e6).length).toBe(last ?? -1);
      },
    ),
    { numRuns: 200 },
  );
});
