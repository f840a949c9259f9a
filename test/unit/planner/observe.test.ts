/** What processes have counted becomes what a planner sees: missing figures are no zeros. */
import { expect, test } from "bun:test";
import type { Sample } from "../../../actors/inspector/inspector.ts";
import { placed } from "../../../actors/planner/connect/placing.ts";
import { intervalsOf, shareWithin, tailOf } from "../../../actors/planner/observe/intervals.ts";
import { trafficOf } from "../../../actors/planner/observe/traffic.ts";
import { workerViews } from "../../../actors/planner/observe/worker-views.ts";
import type { LoadFigures, ModelFigures, Pool, WorkerFigures } from "../../../proto/index.ts";

const bounds = [0.1, 0.2, 0.4];
const sla = { ttft_ms: 200, itl_ms: 50 };

const model = (more: Partial<ModelFigures>): ModelFigures => ({
  ...{ model: "m", requests_total: 0, output_tokens_total: 0, queued: 0 },
  ...{ started_total: 0, failed_total: 0, oldest_queued_ms: 0 },
  ...more,
});

const worker = (more: Partial<WorkerFigures>): WorkerFigures => ({
  ...{ worker: "w0", model: "m", role: "aggregated", generated_tokens_total: 0 },
  ...{ prompt_tokens_total: 0, cached_tokens_total: 0, running: 0, waiting: 0 },
  ...{ kv_used: 0, kv_total: 100, queued_prefill_tokens: 0, prompts_elsewhere: 0 },
  ...more,
});

function sample(at_ms: number, ...all: Partial<LoadFigures>[]): Sample {
  const said = all.map((each): LoadFigures => {
    const rest = { node: "f", models: [], workers: [], up_ms: 1e9, role: "frontend" };
    return { kind: "load_figures", ...rest, ...each };
  });
  return new Map(said.map((each) => [each.node, { at_ms, said: each }]));
}

test("requests of the interval alone, over all frontends", () => {
  const before = sample(
    0,
    { node: "a", models: [model({ started_total: 90, requests_total: 80 })] },
    { node: "b", models: [model({ started_total: 5, requests_total: 5 })] },
  );
  const counts = [8, 2, 0, 0];
  const now = sample(
    5_000,
    {
      node: "a",
      models: [
        model({
          ...{ started_total: 100, requests_total: 90, queued: 3, oldest_queued_ms: 700 },
          first_token_s: { bounds, counts, sum: 1 },
          input_tokens: { count: 10, sum: 5_000 },
          output_tokens: { count: 10, sum: 200 },
          cached_tokens: { count: 10, sum: 1_000 },
        }),
      ],
    },
    // It began anew: all that it counts is new.
    { node: "b", models: [model({ started_total: 2, requests_total: 1, failed_total: 1 })] },
  );
  expect(trafficOf("m", intervalsOf(before, now, 5_000), sla)).toEqual({
    ...{ started: 12, ended: 11, failed: 1, queued: 3, oldest_queued_ms: 700 },
    ...{ isl: 500, osl: 20, kv_hit_rate: 0.2, attainment: 1, accept_length: undefined },
    ttft_ms: { mean: 100, p50: 62.5, p95: expect.closeTo(175), p99: expect.closeTo(195) },
    ...{ itl_ms: undefined, duration_ms: undefined, queue_ms: undefined },
  });
});

test("no request is a figure; nobody who counts requests is none", () => {
  const quiet = intervalsOf(sample(0, {}), sample(1_000, {}), 1_000);
  expect(trafficOf("m", quiet, sla)).toMatchObject({ started: 0, queued: 0, isl: undefined });
  const workers = { node: "w", role: "worker" };
  const blind = intervalsOf(sample(0, workers), sample(1_000, workers), 1_000);
  expect(trafficOf("m", blind, sla)).toBeUndefined();
  // A frontend that is older than the interval and was not heard of before tells of no interval.
  expect(trafficOf("m", intervalsOf(sample(0), sample(1_000, {}), 1_000), sla)).toBeUndefined();
  const young = intervalsOf(sample(0), sample(1_000, { up_ms: 500 }), 1_000);
  expect(trafficOf("m", young, sla)).toMatchObject({ started: 0 });
});

test("a frontend that came while there was no worker does not know the model yet", () => {
  const knows = { node: "a", models: [model({})] };
  const other = { node: "r", role: "router" };
  const look = (...all: Partial<LoadFigures>[]) =>
    trafficOf("m", intervalsOf(sample(0, ...all), sample(1_000, ...all), 1_000), sla);
  expect(look(knows, other)).not.toHaveProperty("unaware");
  expect(look(knows, other, { node: "b" }, { node: "c" })).toMatchObject({ unaware: 2 });
});

test("tails and shares come from buckets", () => {
  const spread = { bounds, counts: [50, 50, 0, 0], sum: 10 };
  expect(tailOf(spread)).toEqual({ mean: 100, p50: 100, p95: 190, p99: 198 });
  expect(shareWithin(spread, 0.15)).toBeCloseTo(0.75);
  expect(tailOf({ bounds, counts: [0, 0, 0, 0], sum: 0 })).toBeUndefined();
});

const pool = (workers: Partial<Pool["workers"][number]>[]): Pool => ({
  ...{
    kind: "pool",
    machine: "here",
    epoch: 0,
    models: ["m"],
    asked: 0,
    cores: 2,
    up_ms: 1,
    pairs: false,
  },
  workers: workers.map((each) => ({
    ...{ worker: "w0", process: "w0", model: "m", role: "aggregated" as const },
    ...{ state: "serving", added: false, state_ms: 40, change: "" },
    ...each,
  })),
});

test("pools say which workers there are, and one that gives no figures says so", () => {
  const passes = {
    ...{ prefill_passes: 4, prefill_tokens: 100, prefill_tokens_squared: 3_000 },
    ...{ decode_passes: 9, decode_share: 2, busy_ms: 500 },
  };
  const before = sample(0, { node: "w0", workers: [worker({ cached_tokens_total: 5 })] });
  const busy = worker({ cached_tokens_total: 12, kv_used: 3, generated_tokens_total: 30, passes });
  const now = sample(2_000, { node: "w0", workers: [busy] });
  const pools = [pool([{}, { worker: "w1", state: "starting" }, { worker: "x", model: "other" }])];
  const card = { block_size: 16 } as never;
  const registered = [{ worker: "w0", role: "decode" as const, card }];
  const [one, two, ...more] = workerViews(
    ...(["m", pools, registered, intervalsOf(before, now, 2_000), 1_000] as const),
  );
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    ...{ worker: "w0", machine: "here", role: "decode", state: "serving", since_ms: 960 },
    ...{ reports: true, kv_used_tokens: 48, kv_total_tokens: 1_600, cached_tokens: 7 },
    passes: { interval_ms: 2_000, prefill_tokens: 100, decode_tokens: 30, busy_ms: 500 },
  });
  expect(two).toMatchObject({ worker: "w1", state: "starting", reports: false });
});

test("a request whose prompt another worker computes does not wait for the worker that has it", () => {
  const decode = { node: "w0", workers: [worker({ waiting: 5, prompts_elsewhere: 4 })] };
  const intervals = intervalsOf(sample(0, decode), sample(1_000, decode), 1_000);
  const [view] = workerViews("m", [pool([{}])], [], intervals, 1_000);
  expect(view).toMatchObject({ waiting: 1, elsewhere: 4 });
});

test("new workers go where there are the fewest a core, and what was placed stays", () => {
  const room = { cores: 4, workers: 2, asked: 0, able: true };
  const machines = [
    { ...room, machine: "a" },
    { ...room, machine: "b", workers: 0 },
    { ...room, machine: "c", able: false },
  ];
  expect([...placed(machines, 4)]).toEqual([
    ["b", 3],
    ["a", 1],
  ]);
  const again = machines.map((each) => (each.machine === "b" ? { ...each, asked: 3 } : each));
  expect([...placed(again, 4)]).toEqual([
    ["b", 3],
    ["a", 1],
  ]);
  expect(placed([{ ...room, machine: "c", able: false }], 1).size).toBe(0);
});

test("tokens of a step are measured where engines tell what they guessed", () => {
  const of = (rows: readonly Partial<WorkerFigures>[]) =>
    sample(0, { node: "f" }, { node: "w", role: "worker", workers: rows.map(worker) });
  const lengthOf = (before: Partial<WorkerFigures>[], now: Partial<WorkerFigures>[]) =>
    trafficOf("m", intervalsOf(of(before), of(now), 5_000), sla)?.accept_length;
  const guesses = (generated_tokens_total: number, accepted_tokens_total: number) => ({
    ...{ generated_tokens_total, accepted_tokens_total },
  });
  // 100 tokens, 60 of them guessed: 40 steps.
  expect(lengthOf([guesses(50, 10)], [guesses(150, 70)])).toBe(2.5);
  expect(lengthOf([guesses(50, 10)], [guesses(150, 10)])).toBe(1);
  expect(lengthOf([guesses(50, 10)], [guesses(50, 10)])).toBeUndefined();
  expect(lengthOf([], [{ generated_tokens_total: 150 }])).toBeUndefined();
  // Its process has begun anew; the other guesses nothing, and another model is none of ours.
  const others = [
    { worker: "w1", generated_tokens_total: 900 },
    { worker: "w2", model: "other", ...guesses(900, 800) },
  ];
  expect(lengthOf([guesses(50, 40)], [guesses(40, 20), ...others])).toBe(2);
});
