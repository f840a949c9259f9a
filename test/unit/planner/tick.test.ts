/** A whole tick: what is done once, what a journal gives back, and what missing figures change. */
import { expect, test } from "bun:test";
import { recordFromJournal } from "../../../actors/planner/journal/journal.ts";
import { encodeRecord } from "../../../actors/planner/journal/record.ts";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import type { Proposal } from "../../../actors/planner/pipeline/decision.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import { settled } from "../../../actors/planner/pipeline/planner-state.ts";
import type { PlanSnapshot } from "../../../actors/planner/pipeline/snapshot.ts";
import type { ProposeStage } from "../../../actors/planner/pipeline/stages.ts";
import { initialState, type PlannerParts, tick } from "../../../actors/planner/pipeline/tick.ts";
import { tickSeconds } from "../../../actors/planner/pipeline/tick-seconds.ts";
import { proposeStages } from "../../../actors/planner/propose/propose.ts";
import { config, quiet, snapshot, workers } from "./fixtures.ts";

/** Wants one worker for each request of the interval. */
const countStage: ProposeStage<number> = {
  start: 0,
  propose({ snapshot: { traffic }, memory }) {
    const proposal: Proposal = {
      ...{ loop: "load", role: "aggregated", floor: false },
      wanted: traffic?.started,
      reason: traffic === undefined ? "no_traffic_data" : "scale_up",
      why: "One a request.",
    };
    return { result: [proposal], memory: memory + 1 };
  },
};

const parts: PlannerParts = { ...plannerParts(config()), propose: [countStage] };
const asked = (started: number) => ({ traffic: { ...quiet, started } });

function run(snapshots: readonly PlanSnapshot[], settings: PlannerConfig) {
  let state = initialState("m", settings, 3);
  const decisions = [];
  for (const each of snapshots) {
    const ticked = tick(state, each, settings, parts);
    state = ticked.state;
    decisions.push(ticked.decision);
  }
  return { state, decisions };
}

test("what is asked for is asked for once, until it shows", () => {
  const settings = config();
  const { decisions, state } = run(
    [
      snapshot(5_000, asked(4)),
      snapshot(10_000, asked(4)),
      snapshot(15_000, {
        ...asked(5),
        workers: [...workers(1), ...starting(3, 5_500)],
      }),
    ],
    settings,
  );
  expect(decisions.map(({ actions }) => actions)).toEqual([
    [{ kind: "add", role: "aggregated", count: 3 }],
    [],
    [{ kind: "add", role: "aggregated", count: 1 }],
  ]);
  expect(decisions.map(({ id }) => id)).toEqual([1, 1, 2]);
  expect(state.pending.map(({ change }) => change)).toEqual(["plan-m-3-1-0", "plan-m-3-2-0"]);
});

function starting(count: number, since_ms: number) {
  return workers(count, { state: "starting", since_ms }).map((each, i) => ({
    ...each,
    worker: `new-${i}`,
  }));
}

test("a journal gives back a planner that decides the same", () => {
  const settings = config({ scale_down_after_seconds: 10 });
  let state = initialState("m", settings, 3);
  let twin = state;
  for (let i = 1; i <= 20; i++) {
    const seen = snapshot(5_000 * i, { ...asked(1 + ((i * 7) % 5)), workers: workers(2) });
    const [one, other] = [tick(state, seen, settings, parts), tick(twin, seen, settings, parts)];
    expect(other.decision).toEqual(one.decision);
    state = one.state;
    const bytes = encodeRecord({ state: other.state, decisions: [other.decision] });
    const read = recordFromJournal(bytes, "m", settings, 3);
    expect([read.why, read.lost]).toEqual([undefined, []]);
    twin = read.record.state;
  }
});

test.each([
  ["half of it", (bytes: Uint8Array) => bytes.slice(0, bytes.length / 2), /not written in full/],
  ["something else", () => new TextEncoder().encode("hello\nyou"), /no record of a planner/],
  ["nothing", () => new Uint8Array(), /no record of a planner/],
])("a journal that holds %s begins anew and says why", (_, spoil, why) => {
  const settings = config();
  const bytes = encodeRecord({ state: initialState("m", settings), decisions: [] });
  const read = recordFromJournal(spoil(bytes), "m", settings, 7);
  expect(read.why).toMatch(why);
  expect(read.record.state).toEqual(initialState("m", settings, 7));
});

test("missing figures hold, no request scales down", () => {
  const settings = config({ scale_down_after_seconds: 10 });
  const six = { workers: workers(6) };
  const missing = Array.from({ length: 6 }, (_, i) =>
    snapshot(5_000 * (i + 1), { ...six, traffic: undefined }),
  );
  const none = Array.from({ length: 6 }, (_, i) => snapshot(5_000 * (i + 1), six));
  const held = run(missing, settings).decisions;
  expect(held.flatMap(({ actions }) => actions)).toEqual([]);
  expect(held.at(-1)?.roles[0]?.reason).toBe("no_traffic_data");
  const [retire] = run(none, settings).decisions.flatMap(({ actions }) => actions);
  expect(retire).toMatchObject({ kind: "retire" });
  expect(retire?.kind === "retire" && retire.workers.length).toBe(5);
});

test("a worker that does not serve in time is given up, and the next try waits", () => {
  const settings = config({ start_timeout_seconds: 20, load_adjustment_interval_seconds: 5 });
  const late = { workers: [...workers(1), ...starting(1, 1_000)] };
  const { decisions, state } = run(
    [
      snapshot(20_000, { ...asked(2), ...late }),
      snapshot(25_000, { ...asked(2), ...late }),
      snapshot(30_000, { ...asked(2) }),
      snapshot(40_000, { ...asked(2) }),
    ],
    settings,
  );
  expect(decisions.map(({ actions }) => actions)).toEqual([
    [],
    [{ kind: "cancel", role: "aggregated", workers: ["new-0"] }],
    [],
    [{ kind: "add", role: "aggregated", count: 1 }],
  ]);
  expect(decisions[2]?.roles[0]).toMatchObject({ reason: "cannot_start", target: 1 });
  const change = state.pending[0]?.change ?? "";
  const outcome = { kind: "failed", why: "no memory" } as const;
  const after = settled(state, change, outcome, 41_000, settings);
  expect(after.pending).toEqual([]);
  expect(after.failed_starts.aggregated).toMatchObject({ count: 2, until_ms: 61_000 });
});

test("an adviser does nothing and says what it would do", () => {
  const { decisions } = run([snapshot(5_000, asked(3))], config({ advisory: true }));
  expect(decisions[0]).toMatchObject({
    ...{ advisory: true, actions: [], targets: { aggregated: 3 } },
    advised: [{ kind: "add", role: "aggregated", count: 2 }],
  });
});

test("none at all while nobody asks, and the first as soon as somebody does", () => {
  const settings = config({ scale_to_zero_after_seconds: 20 });
  const empty = { workers: [] };
  const { decisions } = run(
    [
      snapshot(5_000),
      snapshot(20_000),
      snapshot(25_000, empty),
      snapshot(30_000, { ...empty, traffic: undefined }),
      snapshot(35_000, { ...empty, traffic: { ...quiet, queued: 1 } }),
    ],
    settings,
  );
  expect(decisions.map(({ roles }) => roles[0]?.reason)).toEqual([
    "min_endpoint",
    "scale_to_zero",
    "scale_to_zero",
    "scale_to_zero",
    "from_zero",
  ]);
  expect(decisions.map(({ actions }) => actions.map(({ kind }) => kind))).toEqual([
    [],
    ["retire"],
    [],
    [],
    ["add"],
  ]);
});

test("a frontend that came at zero and knows no model gets one worker to learn it from", () => {
  const settings = config({ scale_to_zero_after_seconds: 20 });
  const lost = { traffic: { ...quiet, unaware: 1 } };
  const came = { workers: workers(1, { since_ms: 36_000 }) };
  const { decisions } = run(
    [
      snapshot(5_000),
      snapshot(30_000),
      snapshot(35_000, { workers: [], ...lost }),
      snapshot(40_000, { ...came, ...lost }),
      snapshot(45_000, came),
      snapshot(65_000, came),
    ],
    settings,
  );
  expect(decisions.map(({ actions }) => actions.map(({ kind }) => kind))).toEqual([
    [],
    ["retire"],
    ["add"],
    [],
    [],
    ["retire"],
  ]);
  expect(decisions[2]?.roles[0]).toMatchObject({ reason: "from_zero", target: 1 });
});

test("a least number of 0 lets the last one go after a minute without requests", () => {
  const keepsOne: ProposeStage<number> = {
    start: 0,
    propose: ({ memory }) => ({
      result: [
        { loop: "load", role: "aggregated", floor: false, wanted: 1, reason: "no_change", why: "" },
      ],
      memory,
    }),
  };
  const reasons = (min_endpoint: number) => {
    const settings = config({ min_endpoint });
    let state = initialState("m", settings, 3);
    return [5_000, 30_000, 60_000, 65_000].map((at_ms) => {
      const ticked = tick(state, snapshot(at_ms), settings, { ...parts, propose: [keepsOne] });
      state = ticked.state;
      return ticked.decision.roles[0]?.reason;
    });
  };
  expect(reasons(0)).toEqual(["no_change", "no_change", "scale_to_zero", "scale_to_zero"]);
  expect(reasons(1)).toEqual(Array(4).fill("no_change"));
});

test("ticks are as often as both intervals can be counted by", () => {
  const settings = config({
    load_adjustment_interval_seconds: 6,
    throughput_adjustment_interval_seconds: 15,
  });
  expect(tickSeconds(settings)).toBe(3);
  const { decisions } = run(
    [1, 2, 3].map((i) => snapshot(3_000 * i, { ...asked(2), interval_ms: 3_000 })),
    settings,
  );
  // Of an interval of two ticks there were four requests.
  expect(decisions.map(({ targets }) => targets.aggregated)).toEqual([2, 2, 4]);
});

test("what it remembers does not grow with the time that it runs", () => {
  const settings = config();
  const all = plannerParts(settings, proposeStages(settings, undefined));
  let state = initialState("m", settings);
  const bytes: number[] = [];
  for (let i = 1; i <= 4_000; i++) {
    const started = Math.round(50 + 40 * Math.sin(i / 30));
    const traffic = { ...quiet, started, ended: started, isl: 2_000, osl: 100 };
    state = tick(state, snapshot(5_000 * i, { traffic }), settings, all).state;
    if (i % 1_000 === 0) bytes.push(JSON.stringify(state).length);
  }
  const [quarter = 0, half = 0, , whole = 0] = bytes;
  expect(half).toBeLessThan(1.05 * quarter);
  expect(whole).toBeLessThan(1.05 * quarter);
});
