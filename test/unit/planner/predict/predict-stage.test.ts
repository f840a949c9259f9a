import { describe, expect, test } from "bun:test";
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { PlanSnapshot, Traffic } from "../../../../actors/planner/pipeline/snapshot.ts";
import {
  type PredictMemory,
  predictStage,
  type SeriesName,
  seriesNames,
  servingStep,
  warmedMemory,
} from "../../../../actors/planner/predict/predict-stage.ts";

// The stage reads four keys of a configuration.
const config = {
  load_predictor: "constant",
  load_predictor_log1p: false,
  throughput_adjustment_interval_seconds: 60,
  startup_seconds: 30,
} as PlannerConfig;

const quiet: Traffic = {
  ...{ started: 0, ended: 0, failed: 0, isl: undefined, osl: undefined, ttft_ms: undefined },
  ...{ itl_ms: undefined, duration_ms: undefined, queue_ms: undefined, queued: 0 },
  ...{ oldest_queued_ms: undefined, kv_hit_rate: undefined, accept_length: undefined },
  attainment: undefined,
};
const busy = (requests: number, isl: number, osl: number): Traffic => ({
  ...quiet,
  ...{ started: requests, ended: requests, isl, osl },
});

/** Ticks of 20 s, three to an interval. */
function run(ticks: readonly (Traffic | undefined)[], memory: PredictMemory = predictStage.start) {
  const limits = { context_length: 0, max_batch_tokens: 0, max_kv_tokens: 0, max_seqs: 0 };
  let staged = { result: memory.prediction, memory };
  ticks.forEach((traffic, i) => {
    const snapshot: PlanSnapshot = {
      ...{ model: "m", at_ms: (i + 1) * 20_000, interval_ms: 20_000, traffic, workers: [] },
      limits: { ...limits, block_size: 0 },
    };
    staged = predictStage.predict({ config, snapshot, memory: staged.memory });
  });
  return staged;
}

describe("the predict stage", () => {
  test("gathers ticks until a throughput interval is full", () => {
    const ticks = [busy(10, 100, 20), busy(30, 200, 40), busy(20, 100, 30)];
    expect(run(ticks.slice(0, 2)).result).toMatchObject({ requests: undefined, isl: undefined });
    const { requests, isl, osl, interval_ms } = run(ticks).result ?? {};
    expect(requests).toBe(60);
    expect(interval_ms).toBe(60_000);
    expect(isl).toBeCloseTo(150, 9);
    expect(osl).toBeCloseTo(2000 / 60, 9);
  });

  test("repeats its prediction until the next interval is full", () => {
    const one = [busy(10, 100, 20), busy(10, 100, 20), busy(10, 100, 20)];
    expect(run([...one, busy(90, 1, 1), busy(90, 1, 1)]).result).toMatchObject({ requests: 30 });
    const rest = [busy(90, 1, 1), busy(90, 1, 1), busy(90, 1, 1)];
    expect(run([...one, ...rest]).result).toMatchObject({ requests: 270, isl: 1 });
  });

  test("no request is a zero, and says nothing of lengths", () => {
    const ticks = [busy(3, 100, 20), quiet, quiet, quiet, quiet, quiet];
    expect(run(ticks).result).toMatchObject({ requests: 0, isl: 100, osl: 20 });
  });

  test("figures that are missing add nothing", () => {
    const one = [busy(10, 100, 20), busy(10, 100, 20), busy(10, 100, 20)];
    const missing = [undefined, undefined, undefined];
    const seen = run(one).memory;
    const later = run(missing, seen);
    expect(later.result).toMatchObject({ requests: 30, isl: 100 });
    expect(later.memory.series).toEqual(seen.series);
  });

  test("an interval of which one tick is missing is scaled to its length", () => {
    expect(run([busy(10, 9, 9), undefined, busy(20, 9, 9)]).result?.requests).toBe(45);
    expect(run([busy(10, 9, 9), undefined, undefined]).result?.requests).toBeUndefined();
  });

  test("hit rate and accepted length are the last valid ones", () => {
    expect(run([quiet]).result).toMatchObject({ kv_hit_rate: 0, accept_length: 1 });
    const ticks = [
      { ...quiet, kv_hit_rate: 0.4, accept_length: 2.5 },
      { ...quiet, kv_hit_rate: Number.NaN, accept_length: 0 },
      undefined,
    ];
    expect(run(ticks).result).toMatchObject({ kv_hit_rate: 0.4, accept_length: 2.5 });
  });

  test("its memory survives JSON", () => {
    const ticks = [busy(1, 2, 3), busy(4, 5, 6), undefined, quiet, busy(7, 8, 9)];
    const { memory } = run(ticks);
    const restored = JSON.parse(JSON.stringify(memory)) as PredictMemory;
    expect(run([busy(5, 5, 5), quiet], restored).result).toEqual(
      run([busy(5, 5, 5), quiet], memory).result,
    );
  });

  test("a warm-up predicts before the first live interval", () => {
    const history = [
      { requests: 7, isl: 10, osl: 20 },
      { requests: 0, isl: undefined, osl: undefined },
      { requests: 9, isl: 12, osl: undefined },
    ];
    const warm = warmedMemory(config, history);
    expect(run([quiet], warm).result).toMatchObject({ requests: 9, isl: 12, osl: 20 });
    expect(run([quiet, quiet, quiet], warm).result).toMatchObject({ requests: 9 });
  });

  test("predicts as far ahead as a worker takes to start", () => {
    expect(servingStep(config)).toBe(1);
    expect(servingStep({ ...config, startup_seconds: 60 })).toBe(2);
    expect(servingStep({ ...config, startup_seconds: 0 })).toBe(1);
    const learned = { ...config, startup_seconds: 0 };
    expect(warmedMemory(learned, []).prediction?.steps).toHaveLength(3);
  });

  test("one series at a time chooses its model, as far ahead as was learned", () => {
    const arima = { ...config, load_predictor: "auto", startup_seconds: 0 } as const;
    const snapshot = (i: number): PlanSnapshot => ({
      ...{ model: "m", at_ms: i * 60_000, interval_ms: 60_000, workers: [] },
      traffic: busy(50 + 30 * Math.sin(i) + (i % 7), 100 + (i % 5), 20 + (i % 3)),
      limits: {
        ...{ context_length: 0, max_batch_tokens: 0, max_kv_tokens: 0, max_seqs: 0 },
        block_size: 0,
      },
    });
    let { memory } = predictStage.predict({
      ...{ config: arima, snapshot: snapshot(0), memory: predictStage.start, startup_ms: 130_000 },
    });
    const chose = new Set<SeriesName>();
    for (let i = 1; i < 60; i++) {
      const before = memory;
      ({ memory } = predictStage.predict({
        ...{ config: arima, snapshot: snapshot(i), memory: before, startup_ms: 130_000 },
      }));
      const models = seriesNames.filter((name) => {
        return modelOf(memory, name) !== modelOf(before, name);
      });
      expect(models.length).toBeLessThan(2);
      for (const name of models) chose.add(name);
    }
    expect(chose.size).toBe(3);
    expect(memory.prediction?.steps).toHaveLength(3);
    expect(memory.series.requests).toMatchObject({ kind: "auto", horizon: 3 });
  });
});

function modelOf({ series }: PredictMemory, name: SeriesName): string {
  const state = series[name];
  const tried = state?.kind === "auto" ? state.tried : [];
  const arima = tried.find((each) => each.name === "arima")?.state;
  return JSON.stringify(arima?.kind === "arima" ? arima.chosen : undefined) ?? "";
}
