/** What a planner was worth: figures over hand-made requests and workers. */
import { expect, test } from "bun:test";
import type { PlanAction } from "../../../actors/planner/pipeline/decision.ts";
import { Fleet, workerHours } from "../../bench/replay/plan/fleet.ts";
import { attainment, planFigures } from "../../bench/replay/plan/plan-figures.ts";
import type { ReplicaPoint } from "../../bench/replay/plan/planner-loop.ts";
import { type ActOutcome, VirtualPool } from "../../bench/replay/plan/virtual-pool.ts";
import type { RequestRecord } from "../../bench/replay/simulate.ts";

const sla = { ttft_ms: 500, itl_ms: 50 };

/** Two tokens. Waits that long for its worker, then 100 ms for its first token. */
const request = (arrival_ms: number, wait_ms = 0, itl_ms = 10): RequestRecord => ({
  ...{ id: `${arrival_ms}`, input_length: 10, output_length: 2, strict_priority: 0 },
  ...{ policy_class: undefined, worker: 0, cached_tokens: 0, preemptions: 0, refused: undefined },
  ...{ arrival_ms, routed_ms: arrival_ms + wait_ms, first_token_ms: arrival_ms + wait_ms + 100 },
  ...{ end_ms: arrival_ms + wait_ms + 100 + itl_ms, accepted_tokens: 0 },
});

function figures(
  records: readonly RequestRecord[],
  replicas: readonly ReplicaPoint[] = [],
  marks = {},
) {
  const end_ms = Math.max(...records.map((each) => each.end_ms || 0));
  const rest = { workers: [], lives: [], machines: [], stopped: false };
  const goal = { sla, sla_share: 0.95, out_of_reach: 0, marks };
  return planFigures({ records, replicas, end_ms, ...rest }, [], goal);
}

const seconds = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, i) => 1_000 * (from + i));

test("requests that are late, slow, refused or never end count against the attainment", () => {
  const never = { ...request(4), first_token_ms: Number.NaN, end_ms: Number.NaN };
  const refused = { ...never, refused: "no room" };
  const half = { ...request(5), end_ms: Number.NaN };
  const records = [request(1), request(2, 401), request(3, 0, 51), never, refused, half];
  expect(attainment(records, sla)).toBeCloseTo(1 / 6, 12);
  expect(attainment([request(1, 400, 50)], sla)).toBe(1);
});

test("recovery: from the jump to the end of the windows with requests outside, and of the queue", () => {
  const late = seconds(20, 33).map((at) => request(at, 2_000));
  const good = [...seconds(0, 20), ...seconds(33, 60)].map((at) => request(at));
  const jump = { jump_ms: 20_000 };
  // Late until 33 s: the window from 30 to 35 s is the last one outside.
  expect(figures([...good, ...late], [], jump)).toMatchObject({
    ...{ recovery_ms: 15_000, longest_breach_ms: 15_000 },
  });
  // One that came at 21 s and still waits at 45 s keeps the queue from being gone.
  const waits = request(21_500, 25_000);
  expect(figures([...good, ...late, waits], [], jump).recovery_ms).toBe(30_000);
  expect(
    figures(
      seconds(0, 60).map((at) => request(at)),
      [],
      jump,
    ).recovery_ms,
  ).toBe(0);
  expect(figures(good)).not.toHaveProperty("recovery_ms");
});

test("reversals: changes of direction of those that serve or will, by period", () => {
  const at = (at_s: number, serving: number, starting = 0): ReplicaPoint => ({
    at_ms: 1_000 * at_s,
    aggregated: { serving, starting, retiring: 3 },
  });
  const points = [at(0, 1), at(10, 1, 1), at(20, 2), at(30, 3), at(70, 2), at(90, 1)];
  const records = [request(0), request(200_000)];
  const period = { period_ms: 100_000 };
  expect(figures(records, points, period)).toMatchObject({ reversals: 1, reversals_a_period: 1 });
  // Up and down once more within the same period, and once in the next one.
  const more = [at(92, 2), at(95, 1), at(110, 4), at(170, 1)];
  expect(figures(records, [...points, ...more], period)).toMatchObject({
    ...{ reversals: 5, reversals_a_period: 2 },
  });
});

test("an action ends when its workers serve, are gone or were given up", () => {
  let now_ms = 0;
  const later: { readonly at_ms: number; readonly run: () => void }[] = [];
  const fleet = new Fleet();
  const startup_ms = (nth: number) => (nth === 2 ? undefined : 1_000 * nth);
  const pool = new VirtualPool(
    fleet,
    { startup_ms, role_change_ms: 100 },
    {
      now_ms: () => now_ms,
      at: (at_ms, run) => later.push({ at_ms, run }),
      up: () => {},
      drain: () => {},
    },
  );
  const ended: (ActOutcome & { readonly at_ms: number })[] = [];
  const act = (action: PlanAction) =>
    pool.act(action, (each) => ended.push({ ...each, at_ms: now_ms }));
  const until = (at_ms: number) => {
    now_ms = at_ms;
    for (const each of later.splice(0)) each.at_ms <= at_ms ? each.run() : later.push(each);
  };
  act({ kind: "add", role: "aggregated", count: 3 });
  until(3_000);
  expect(ended).toEqual([]);
  // The second one never serves; giving it up ends both actions.
  act({ kind: "cancel", role: "aggregated", workers: ["worker-00001"] });
  expect(ended.map(({ kind, at_ms }) => [kind, at_ms])).toEqual([
    ["failed", 3_000],
    ["gone", 3_000],
  ]);
  act({ kind: "retire", role: "aggregated", workers: ["worker-00000"] });
  expect(ended).toHaveLength(2);
  now_ms = 5_000;
  pool.retired(fleet.lives[0]!);
  expect(ended[2]).toMatchObject({ kind: "gone", workers: ["worker-00000"], at_ms: 5_000 });
  // 5 s, 3 s and 6 s of the third one.
  expect(workerHours(fleet.lives, 0, 6_000)).toBeCloseTo(14 / 3_600, 12);
});
