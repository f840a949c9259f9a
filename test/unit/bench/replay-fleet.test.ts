/** Workers that come and go in a replay: no request is lost, and what they cost adds up. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type MockerOptions, mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import type { PlanAction } from "../../../actors/planner/pipeline/decision.ts";
import type { PlanSnapshot } from "../../../actors/planner/pipeline/snapshot.ts";
import type { LoadMode } from "../../../actors/router/policy/load-modes.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { workerHours } from "../../bench/replay/plan/fleet.ts";
import { KvReplayRouter, PlainReplayRouter } from "../../bench/replay/replay-router.ts";
import { type ReplaySettings, simulate } from "../../bench/replay/simulate.ts";
import { readSyntheticOptions, syntheticTrace } from "../../bench/replay/synthetic.ts";
import { readTrace, type TraceRequest } from "../../bench/replay/trace.ts";

const mocker = mockerOptions({ block_size: 512, num_gpu_blocks: 512 });
const limits = { block_size: 512, total_blocks: 512, batch_tokens: mocker.max_num_batched_tokens };
const sla = { ttft_ms: 500, itl_ms: 50 };
const synthetic = (text: string) => syntheticTrace(readSyntheticOptions(text), 512);

type World = {
  readonly workers: number;
  readonly prefill?: number;
  readonly lag_ms?: number;
  readonly mode?: LoadMode;
  readonly interval_ms?: number;
  readonly startup_ms?: (nth: number) => number | undefined;
  /** Of the engines. */
  readonly more?: Partial<MockerOptions>;
};

function planned(
  trace: readonly TraceRequest[],
  world: World,
  decide: (snapshot: PlanSnapshot, tick: number) => readonly PlanAction[],
) {
  const { workers, prefill = 0, lag_ms = 0, mode, interval_ms = 1_000, more = {} } = world;
  const { startup_ms = () => 3_000 } = world;
  const random = new SeededRandom(1);
  const router =
    mode === undefined
      ? new KvReplayRouter({ name: "adaptive" }, workers, limits, random, prefill)
      : new PlainReplayRouter(mode, workers, random);
  const snapshots: PlanSnapshot[] = [];
  const settings: ReplaySettings = {
    ...{ mocker: { ...mocker, ...more } },
    ...{ workers, timing: polynomialTiming, trace_block_size: 512, arrival_speedup: 1 },
    ...{ lag_ms, concurrency: 0, prefill },
    plan: {
      ...{ interval_ms, sla, startup_ms, role_change_ms: 500 },
      decide: (snapshot) => {
        snapshots.push(snapshot);
        return decide(snapshot, snapshots.length);
      },
    },
  };
  return { ...simulate(trace, settings, router), snapshots };
}

const requestAt = (timestamp: number, output_length = 2) =>
  JSON.stringify({ timestamp, input_length: 500, output_length, hash_ids: [timestamp] });
const traceOf = (...rows: readonly string[]) => readTrace(rows.join("\n"), 512);

test("a planner that does nothing changes nothing", () => {
  const trace = synthetic("requests=300,isl=3000,osl=40,rate=12,groups=6");
  const { records, lives, end_ms } = planned(trace, { workers: 3 }, () => []);
  const router = new KvReplayRouter({ name: "adaptive" }, 3, limits, new SeededRandom(1));
  const without = simulate(
    trace,
    {
      ...{ workers: 3, mocker, timing: polynomialTiming, trace_block_size: 512 },
      ...{ arrival_speedup: 1, lag_ms: 0, concurrency: 0 },
    },
    router,
  );
  expect(records).toEqual(without.records);
  const start_ms = records[0]!.arrival_ms;
  expect(workerHours(lives, start_ms, end_ms)).toBeCloseTo((3 * (end_ms - start_ms)) / 3.6e6, 12);
});

test("worker-hours: from the start of a worker, its delay and its drain included, until it is gone", () => {
  // The second worker is asked for at 1 s, serves from 4 s on, and is retired while idle at 6 s.
  const trace = traceOf(requestAt(0), requestAt(10_000));
  const act = (snapshot: PlanSnapshot, tick: number): readonly PlanAction[] => {
    if (tick === 1) return [{ kind: "add", role: "aggregated", count: 1 }];
    const added = snapshot.workers[1]?.worker ?? "";
    return tick === 6 ? [{ kind: "retire", role: "aggregated", workers: [added] }] : [];
  };
  const { lives, end_ms, snapshots } = planned(trace, { workers: 1 }, act);
  expect(lives.map(({ begun_ms, gone_ms }) => [begun_ms, gone_ms])).toEqual([
    [0, Number.NaN],
    [1_000, 6_000],
  ]);
  expect(end_ms).toBeGreaterThan(10_000);
  expect(workerHours(lives, 0, end_ms)).toBeCloseTo((end_ms + 5_000) / 3.6e6, 12);
  const states = snapshots.slice(0, 7).map(({ workers }) => workers[1]?.state);
  const [starting, serving] = ["starting", "serving"] as const;
  expect(states).toEqual([undefined, starting, starting, serving, serving, serving, undefined]);
});

test("a worker that retires gets nothing new, finishes what it has and costs until then", () => {
  const trace = traceOf(
    ...[requestAt(0, 600), requestAt(10, 600)],
    ...Array.from({ length: 20 }, (_, i) => requestAt(1_500 + 100 * i)),
  );
  const { records, lives, snapshots } = planned(trace, { workers: 2 }, ({ workers }, tick) =>
    tick === 1 ? [{ kind: "retire", role: "aggregated", workers: [workers[0]!.worker] }] : [],
  );
  const first = records.filter(({ worker }) => worker === 0);
  expect(first.length).toBe(1);
  expect(first[0]!.end_ms).toBeGreaterThan(2_000);
  expect(lives[0]!.gone_ms).toBe(first[0]!.end_ms);
  expect(snapshots[1]!.workers[0]).toMatchObject({ state: "retiring", running: 1, reports: true });
  for (const { worker } of records.slice(2)) expect(worker).toBe(1);
});

test("a worker that never serves costs until it is given up, and takes no request", () => {
  const trace = traceOf(requestAt(0), requestAt(9_000));
  const { lives, records } = planned(
    trace,
    { workers: 1, startup_ms: () => undefined },
    ({ workers }, tick) => {
      if (tick === 2) return [{ kind: "add", role: "aggregated", count: 1 }];
      const stuck = workers.filter(({ state }) => state === "starting").map((each) => each.worker);
      return tick === 7 ? [{ kind: "cancel", role: "aggregated", workers: stuck }] : [];
    },
  );
  expect(lives[1]).toMatchObject({ begun_ms: 2_000, gone_ms: 7_000, state: "gone" });
  expect(records.map(({ worker }) => worker)).toEqual([0, 0]);
});

test("no worker at all: requests wait for the first one; if none comes, the replay ends", () => {
  const trace = traceOf(requestAt(0), requestAt(5_000));
  const { records } = planned(trace, { workers: 1 }, ({ workers }, tick) => {
    const [first] = workers;
    if (tick === 2) return [{ kind: "retire", role: "aggregated", workers: [first!.worker] }];
    return tick === 7 ? [{ kind: "add", role: "aggregated", count: 1 }] : [];
  });
  expect(records[1]).toMatchObject({ arrival_ms: 5_000, routed_ms: 10_000, worker: 1 });
  const never = planned(trace, { workers: 1 }, ({ workers }, tick) =>
    tick === 2 ? [{ kind: "retire", role: "aggregated", workers: [workers[0]!.worker] }] : [],
  );
  expect(never.records[1]!.end_ms).toBeNaN();
});

test("a change of role: drained first, paid for once", () => {
  const trace = traceOf(...Array.from({ length: 60 }, (_, i) => requestAt(100 * i, 20)));
  const { lives, records, snapshots } = planned(
    trace,
    { workers: 3, prefill: 2 },
    ({ workers }, tick) =>
      tick === 2
        ? [{ kind: "change_role", from: "prefill", to: "decode", workers: [workers[0]!.worker] }]
        : [],
  );
  expect(lives[3]).toMatchObject({ role: "decode", state: "serving" });
  expect(lives[3]!.begun_ms).toBe(lives[0]!.gone_ms);
  expect(lives[3]!.since_ms).toBe(lives[0]!.gone_ms + 500);
  expect(
    snapshots
      .at(-1)!
      .workers.map(({ role }) => role)
      .sort(),
  ).toEqual(["decode", "decode", "prefill"]);
  expect(records.some(({ worker }) => worker === 3)).toBe(true);
});

test("the interval's figures are those of its requests and passes", () => {
  const trace = traceOf(requestAt(0, 3), requestAt(100, 3), requestAt(2_500, 900));
  const { snapshots, records } = planned(trace, { workers: 1 }, () => []);
  const [first, second, third] = snapshots;
  expect(first!.traffic).toMatchObject({ started: 2, ended: 2, failed: 0, isl: 500, osl: 3 });
  expect(first!.traffic!.ttft_ms!.mean).toBeCloseTo(
    (records[0]!.first_token_ms + records[1]!.first_token_ms - 100) / 2,
    9,
  );
  expect(first!.traffic!.attainment).toBe(1);
  expect(first!.workers[0]!.passes).toMatchObject({
    ...{ prefill_passes: 2, prefill_tokens: 1_000, prefill_tokens_squared: 500_000 },
    ...{ decode_passes: 6, decode_tokens: 6 },
  });
  expect(second!.traffic).toMatchObject({ started: 0, ended: 0, isl: undefined, queued: 0 });
  expect(second!.workers[0]!.passes).toBeUndefined();
  expect(third!.traffic).toMatchObject({ started: 1, ended: 0, attainment: undefined });
  expect(third!.workers[0]).toMatchObject({ running: 1, kv_total_tokens: 512 * 512 });
});

test("whatever a planner does, each request ends once or is refused or waits for a worker", () => {
  const count = (...values: number[]) => fc.constantFrom(...values);
  const act = fc.record({
    kind: fc.constantFrom("add", "retire", "cancel", "change_role", "none"),
    role: fc.nat(1),
    which: fc.nat(5),
    count: count(1, 2),
  });
  const world = fc.record({
    ...{ workers: count(2, 4), disaggregated: fc.boolean(), lag_ms: count(0, 1, 300) },
    mode: fc.constantFrom<LoadMode | undefined>(undefined, "round-robin", "least-loaded"),
    ...{ turns: count(1, 3), rate: count(5, 40), interval_ms: count(100, 1_000) },
    ...{ acts: fc.array(act, { maxLength: 30 }), seed: fc.nat(1_000), broken: count(0, 1, 2) },
  });
  fc.assert(
    fc.property(world, (each) => {
      const { workers, disaggregated, lag_ms, turns, rate, interval_ms, seed, acts } = each;
      const prefill = disaggregated ? 1 : 0;
      const mode = disaggregated ? undefined : each.mode;
      const trace = synthetic(
        `requests=120,isl=3000,osl=30,rate=${rate},turns=${turns},think_ms=300,seed=${seed}`,
      );
      const startup_ms = (nth: number) => (nth === each.broken ? undefined : (700 * nth) % 2_000);
      const decide = (snapshot: PlanSnapshot, tick: number): readonly PlanAction[] => {
        const { kind, count: more, role, which } = acts[tick - 1] ?? {};
        const roles = disaggregated ? (["prefill", "decode"] as const) : (["aggregated"] as const);
        const [own = "aggregated", other = "aggregated"] =
          role === 1 ? [...roles].reverse() : roles;
        const names = snapshot.workers.filter((worker) => worker.role === own);
        const name = names[(which ?? 0) % Math.max(1, names.length)]?.worker;
        const chosen = name === undefined ? [] : [name];
        if (kind === "add") return [{ kind, role: own, count: more ?? 1 }];
        if (kind === "retire" || kind === "cancel") return [{ kind, role: own, workers: chosen }];
        if (kind !== "change_role" || !disaggregated) return [];
        return [{ kind, from: own, to: other, workers: chosen }];
      };
      const rules = { workers, prefill, lag_ms, mode, interval_ms, startup_ms };
      const { records, lives, workers: figures, end_ms } = planned(trace, rules, decide);
      const stays = lives.some(({ state, role }) => state === "serving" && role !== "prefill");
      for (const { end_ms: own_end_ms, refused, worker } of records) {
        if (refused !== undefined) expect(own_end_ms).toBeNaN();
        // Without a worker in the end the last ones wait, or never came.
        else if (stays) expect(own_end_ms).toBeGreaterThan(0);
        if (worker < 0 || refused !== undefined) continue;
        const { begun_ms, gone_ms } = lives[worker]!;
        expect(own_end_ms).toBeGreaterThanOrEqual(begun_ms);
        if (!Number.isNaN(gone_ms)) expect(gone_ms).toBeGreaterThanOrEqual(own_end_ms);
      }
      const served = records.filter((record) => record.end_ms >= 0);
      const generated = figures.reduce((sum, { generated_tokens }) => sum + generated_tokens, 0);
      const lengths = served.reduce((sum, { output_length }) => sum + output_length, 0);
      // Nobody is served twice: who computes a prompt for another worker draws one token of it.
      if (stays) expect(generated).toBeGreaterThanOrEqual(lengths);
      expect(generated).toBeLessThanOrEqual(lengths + (disaggregated ? trace.length : 0));
      expect(workerHours(lives, 0, end_ms)).toBeLessThanOrEqual((lives.length * end_ms) / 3.6e6);
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("guessed tokens: answers take fewer passes, and a planner is told how many tokens one makes", () => {
  const trace = synthetic("requests=300,isl=1000,osl=60,rate=12,groups=6");
  const engines = { aic_nextn: 2, aic_nextn_accept_rates: "1,1" };
  const plain = planned(trace, { workers: 2 }, () => []);
  const fast = planned(trace, { workers: 2, more: engines }, () => []);
  const mean = (records: typeof fast.records) =>
    records.reduce((sum, each) => sum + each.end_ms - each.first_token_ms, 0) / records.length;
  // Three tokens a pass behind the first; passes of fewer answers are shorter, too.
  expect(mean(plain.records) / mean(fast.records)).toBeWithin(2.6, 3.6);
  for (const [i, { output_length, accepted_tokens, end_ms }] of fast.records.entries()) {
    expect(end_ms).toBeGreaterThan(0);
    expect(output_length).toBe(plain.records[i]!.output_length);
    expect(accepted_tokens).toBe(output_length - 1 - Math.ceil((output_length - 1) / 3));
  }
  const sums = fast.snapshots.map(({ workers }) =>
    workers.reduce((sum, { passes }) => sum + (passes?.decode_tokens ?? 0), 0),
  );
  const made = fast.records.reduce((sum, { output_length }) => sum + output_length, 0);
  // What was made behind the last tick is told to nobody.
  expect(sums.reduce((all, each) => all + each, 0)).toBeWithin(0.9 * made, made + 1);
  for (const [result, low, high] of [
    [plain, 1, 1.001],
    [fast, 2.5, 3],
  ] as const) {
    const lengths = result.snapshots.flatMap(({ traffic }) => traffic?.accept_length ?? []);
    expect(lengths.length).toBeGreaterThan(5);
    for (const length of lengths) expect(length).toBeWithin(low, high);
  }
});
