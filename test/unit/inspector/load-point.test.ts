import { expect, test } from "bun:test";
import { quantile, sumOf } from "../../../actors/inspector/load/buckets.ts";
import { loadFigures } from "../../../actors/inspector/load/figures.ts";
import { type Look, pointBetween, type Sample } from "../../../actors/inspector/load/load-point.ts";
import { Series } from "../../../actors/inspector/load/series.ts";
import type { LoadFigures, ModelFigures, WorkerFigures } from "../../../proto/index.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";

const bounds = [0.1, 0.2, 0.4];

const model = (more: Partial<ModelFigures> = {}): ModelFigures => ({
  ...{ model: "m", requests_total: 0, output_tokens_total: 0, queued: 0 },
  ...{ started_total: 0, failed_total: 0, oldest_queued_ms: 0 },
  ...more,
});

const worker = (more: Partial<WorkerFigures> = {}): WorkerFigures => ({
  ...{ worker: "w0", model: "m", role: "aggregated", generated_tokens_total: 0 },
  ...{ prompt_tokens_total: 0, cached_tokens_total: 0, running: 0, waiting: 0 },
  ...{ kv_used: 0, kv_total: 100, queued_prefill_tokens: 0, prompts_elsewhere: 0 },
  ...more,
});

const said = (
  node: string,
  models: ModelFigures[],
  workers: WorkerFigures[] = [],
): LoadFigures => ({
  ...{ kind: "load_figures", node, models, workers, up_ms: 1e9, role: "frontend" },
});

const look = (more: Partial<Look> = {}): Look => ({
  ...{ at_ms: 0, since_ms: 1_000, workers_max: 64 },
  ...more,
});

const sample = (at_ms: number, ...all: readonly LoadFigures[]): Sample =>
  new Map(all.map((each) => [each.node, { at_ms, said: each }]));

test("rates are what was counted between two answers, over the time between them", () => {
  const before = sample(1_000, said("f", [model({ requests_total: 5, output_tokens_total: 100 })]));
  const now = sample(3_000, said("f", [model({ requests_total: 9, output_tokens_total: 700 })]));
  const point = pointBetween(before, now, look({ at_ms: 77 }));
  expect(point.at_ms).toBe(77);
  expect(point.total.requests_per_s).toBe(2);
  expect(point.total.tokens_per_s).toBe(300);
  expect(point.models["m"]).toEqual(point.total);
});

test("a process that was not heard of before counts from here on", () => {
  const now = sample(1_000, said("f", [model({ output_tokens_total: 1_000_000, queued: 3 })]));
  const { total } = pointBetween(new Map(), now, look());
  expect(total.tokens_per_s).toBe(0);
  expect(total.waiting).toBe(3);
});

test("a process that began since the look before counts from its begin", () => {
  const young = { ...said("f", [model({ output_tokens_total: 500 })]), up_ms: 900 };
  const { total } = pointBetween(new Map(), sample(5_000, young), look({ since_ms: 10_000 }));
  expect(total.tokens_per_s).toBe(50);
});

test("a process that counts less than before has begun anew", () => {
  const before = sample(0, said("f", [model({ output_tokens_total: 900 })]));
  const now = sample(1_000, said("f", [model({ output_tokens_total: 50 })]));
  expect(pointBetween(before, now, look()).total.tokens_per_s).toBe(50);
});

test("a process that does not answer is left out of the point", () => {
  const both = [
    said("a", [model({ output_tokens_total: 10 })]),
    said("b", [model({ output_tokens_total: 10 })]),
  ];
  const before = sample(0, ...both);
  const now = sample(1_000, said("a", [model({ output_tokens_total: 30 })]));
  expect(pointBetween(before, now, look()).total.tokens_per_s).toBe(20);
});

test("percentiles are of the values in this time alone, over all frontends", () => {
  const slow = { bounds, counts: [0, 0, 1_000, 0], sum: 0 };
  const before = sample(
    0,
    said("a", [model({ first_token_s: slow })]),
    said("b", [model({ first_token_s: { bounds, counts: [0, 0, 0, 0], sum: 0 } })]),
  );
  const now = sample(
    1_000,
    said("a", [model({ first_token_s: { bounds, counts: [50, 0, 1_000, 0], sum: 0 } })]),
    said("b", [model({ first_token_s: { bounds, counts: [0, 50, 0, 0], sum: 0 } })]),
  );
  const { total } = pointBetween(before, now, look());
  expect(total.ttft_p50_ms).toBe(100);
  expect(total.ttft_p99_ms).toBe(198);
  expect(total.itl_p50_ms).toBeNull();
});

test("workers have rows of their own, and their models the sums", () => {
  const before = sample(0, said("p", [], [worker({ prompt_tokens_total: 100 })]));
  const after = worker({
    ...{ generated_tokens_total: 40, prompt_tokens_total: 200, cached_tokens_total: 25 },
    ...{ running: 2, waiting: 1, kv_used: 7 },
  });
  const { workers, models, total } = pointBetween(
    before,
    sample(2_000, said("p", [], [after])),
    look(),
  );
  expect(workers["w0"]).toEqual({
    ...{ model: "m", role: "aggregated", tokens_per_s: 20, running: 2, waiting: 1 },
    ...{ kv_used: 7, kv_total: 100, cached_share: 0.25 },
  });
  expect(models["m"]?.running).toBe(2);
  expect(total.waiting).toBe(1);
  expect(total.cached_share).toBe(0.25);
});

test("where there are too many workers the busiest have rows, and all are in the sums", () => {
  const many = Array.from({ length: 100 }, (_, i) =>
    worker({ worker: `w${i}`, running: i === 42 ? 9 : 1 }),
  );
  const { workers, total } = pointBetween(
    new Map(),
    sample(0, said("p", [], many)),
    look({ workers_max: 3 }),
  );
  expect(Object.keys(workers)).toHaveLength(3);
  expect(workers["w42"]?.running).toBe(9);
  expect(total.running).toBe(108);
});

test("quantiles lie evenly in their bucket, and above all bounds at the largest", () => {
  expect(quantile({ bounds, counts: [0, 10, 0, 0] }, 0.5)).toBeCloseTo(0.15);
  expect(quantile({ bounds, counts: [0, 0, 0, 5] }, 0.5)).toBe(0.4);
  expect(quantile({ bounds, counts: [0, 0, 0, 0] }, 0.5)).toBeUndefined();
  expect(quantile(undefined, 0.5)).toBeUndefined();
});

test("histograms of other bounds are not mixed", () => {
  const a = { bounds, counts: [1, 1, 1, 1], sum: 0 };
  expect(sumOf(a, { bounds: [1], counts: [5, 5] })).toEqual(a);
  expect(sumOf(a, a)?.counts).toEqual([2, 2, 2, 2]);
});

test("a series keeps its last points, oldest first", () => {
  const series = new Series(1_000, 3);
  expect(series.points()).toEqual([]);
  expect(series.last).toBeUndefined();
  for (let at_ms = 1; at_ms <= 5; at_ms += 1)
    series.push(pointBetween(new Map(), new Map(), look({ at_ms })));
  expect(series.points().map(({ at_ms }) => at_ms)).toEqual([3, 4, 5]);
  expect(series.points(4).map(({ at_ms }) => at_ms)).toEqual([5]);
  expect(series.last?.at_ms).toBe(5);
});

test("figures are read from a process's metrics by their names", () => {
  const metrics = new Metrics();
  const labels = { model: "m", endpoint: "chat", request_type: "stream", status: "success" };
  metrics.counter("dynamo_frontend_requests_total", "h", { ...labels, error_type: "" }).add(2);
  metrics
    .counter("dynamo_frontend_requests_total", "h", { ...labels, error_type: "internal" })
    .add(1);
  metrics.counter("dynamo_frontend_requests_started_total", "h", { model: "m" }).add(5);
  const input = metrics.histogram("dynamo_frontend_input_sequence_tokens", "h", [16], {
    model: "m",
  });
  for (const value of [10, 20]) input.observe(value);
  metrics.counter("dynamo_frontend_output_tokens_total", "h", { model: "m" }).add(9);
  const name = "dynamo_frontend_time_to_first_token_seconds";
  const first = metrics.histogram(name, "h", bounds, { model: "m" });
  for (const value of [0.05, 0.15, 9]) first.observe(value);
  metrics.gauge("troupe_worker_info", "h", { worker: "w", model: "m", role: "decode" }).set(1);
  metrics.gauge("dynamo_component_total_blocks", "h", { worker: "w" }, () => 64);
  metrics.counter("troupe_worker_generated_tokens_total", "h", { worker: "w" }, () => 5);
  metrics.counter("troupe_worker_prefill_passes_total", "h", { worker: "w" }, () => 7);
  for (const source of ["own", "recent"]) {
    const of = { worker: "w", source };
    metrics.counter("troupe_worker_accepted_tokens_total", "h", of, () => 2);
  }
  const { models, workers } = loadFigures(
    {
      ...{ node: "n", metrics },
      capabilities: { clock: { now_ms: () => 5 } },
    },
    "frontend",
  );
  expect(models).toEqual([
    model({
      ...{ requests_total: 3, started_total: 5, failed_total: 1, output_tokens_total: 9 },
      first_token_s: { bounds, counts: [1, 1, 0, 1], sum: 0.05 + 0.15 + 9 },
      input_tokens: { count: 2, sum: 30 },
    }),
  ]);
  const passes = {
    ...{ prefill_passes: 7, prefill_tokens: 0, prefill_tokens_squared: 0 },
    ...{ decode_passes: 0, decode_share: 0, busy_ms: 0 },
  };
  expect(workers).toEqual([
    worker({
      ...{ worker: "w", role: "decode", kv_total: 64, passes },
      ...{ generated_tokens_total: 5, accepted_tokens_total: 4 },
    }),
  ]);
});
