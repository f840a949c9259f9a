/** What a journal gives back of a planner, and what of it a damaged or older record loses. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PlannerJournal, recordFromJournal } from "../../../actors/planner/journal/journal.ts";
import { encodeRecord, type JournalRecord } from "../../../actors/planner/journal/record.ts";
import type { Curves } from "../../../actors/planner/model/curves.ts";
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import type { Decision } from "../../../actors/planner/pipeline/decision.ts";
import { plannerParts } from "../../../actors/planner/pipeline/parts.ts";
import type { PlanRole, PlanSnapshot } from "../../../actors/planner/pipeline/snapshot.ts";
import type { ProposeStage } from "../../../actors/planner/pipeline/stages.ts";
import { initialState, type PlannerParts, tick } from "../../../actors/planner/pipeline/tick.ts";
import { PlannerActor } from "../../../actors/planner/planner-actor.ts";
import { proposeStages } from "../../../actors/planner/propose/propose.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import {
  plan_config,
  planPasses,
  planSnapshot,
  planTraffic,
  planWorker,
} from "../../support/planner/plan-cases.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

const CURVES: Curves = {
  prefill: [100, 1_000, 4_000].map((isl) => ({ isl, ttft_ms: isl / 20, thpt_per_gpu: 20_000 })),
  decode: [0.1, 0.5, 0.9].flatMap((kv_usage) =>
    [1_000, 4_000].map((context_length) => ({
      ...{ kv_usage, context_length, itl_ms: 5 + 20 * kv_usage, thpt_per_gpu: 2_000 * kv_usage },
    })),
  ),
  max_kv_tokens: 100_000,
};

const short = { load_adjustment_interval_seconds: 5, throughput_adjustment_interval_seconds: 10 };
const sla = { ...short, optimization_target: "sla", scale_down_after_seconds: 20 } as const;
const configs: Readonly<Record<string, Partial<PlannerConfig>>> = {
  tail: { ...sla, sla_planner: "tail", load_predictor: "auto" },
  "tail, two roles": { ...sla, sla_planner: "tail", mode: "disagg", load_predictor: "prophet" },
  current: { ...sla, sla_planner: "current", enable_load_scaling: true, load_predictor: "arima" },
  classic: { ...sla, sla_planner: "classic", load_predictor: "kalman", mode: "disagg" },
  load: { ...short, optimization_target: "load", load_predictor: "constant" },
  "to zero": { ...sla, sla_planner: "tail", min_endpoint: 0, scale_to_zero_after_seconds: 30 },
};

function partsOf(config: PlannerConfig): PlannerParts {
  return plannerParts(config, proposeStages(config, CURVES));
}

/** A load that swings, and workers that come as they are asked for. */
function look(i: number, config: PlannerConfig, count: number): PlanSnapshot {
  const rate = 20 + 15 * Math.sin(i / 4) + ((i * 7) % 5);
  const roles: readonly PlanRole[] = config.mode === "agg" ? ["aggregated"] : ["prefill", "decode"];
  const tail = { mean: 40 + i, p50: 30 + i, p95: 90 + i, p99: 120 + i };
  const workers = roles.flatMap((role) =>
    Array.from({ length: count }, (_, at) =>
      planWorker(role, {
        ...{ worker: `${role}-${at}`, running: 2, kv_used_tokens: 30_000, cached_tokens: 50 },
        state: at > 0 && i % 5 === at ? "starting" : "serving",
        since_ms: 1_000 * i,
        passes: planPasses({
          ...{ prefill_passes: 10 + (i % 3), prefill_tokens: 5_000 + 900 * (i % 7) },
          ...{ prefill_tokens_squared: 9e6, decode_passes: 90, decode_tokens: 700 + 40 * (i % 6) },
          ...{ decode_share: 20 + i, busy_ms: 2_000 + 300 * (i % 7) + 40 * (i % 6) },
        }),
      }),
    ),
  );
  const traffic = planTraffic({
    ...{ started: rate, ended: rate, isl: 900 + i, osl: 90 + (i % 4), queued: i % 3 },
    ...{ ttft_ms: tail, itl_ms: tail, duration_ms: tail, queue_ms: tail, uncached_tokens: tail },
    ...{ oldest_queued_ms: 20, kv_hit_rate: 0.3, accept_length: 1.1, attainment: 0.9 },
  });
  return planSnapshot({ at_ms: 5_000 * i, workers, traffic });
}

function run(name: string, ticks: number): { config: PlannerConfig; record: JournalRecord } {
  const config: PlannerConfig = { ...plan_config, ...configs[name] };
  const parts = partsOf(config);
  let state = initialState("m", config, 3);
  const decisions: Decision[] = [];
  let count = 1;
  for (let i = 1; i <= ticks; i++) {
    const ticked = tick(state, look(i, config, count), config, parts);
    state = ticked.state;
    count = Math.max(1, Math.min(6, ...Object.values(ticked.decision.targets)));
    if (ticked.decision.actions.length > 0) decisions.push(ticked.decision);
  }
  return { config, record: { state, decisions } };
}

const plain = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value));

describe.each(Object.keys(configs))("a journal of %s", (name) => {
  test("gives back all of it, at any tick", () => {
    for (const ticks of [1, 7, 23]) {
      const { config, record } = run(name, ticks);
      const read = recordFromJournal(encodeRecord(record), "m", config, 3);
      expect([read.why, read.lost]).toEqual([undefined, []]);
      expect(plain(read.record)).toEqual(plain(record));
    }
  });

  test("of which any value is damaged loses that part alone, and the planner goes on", () => {
    const { config, record } = run(name, 40);
    const parts = partsOf(config);
    const whole = plain(record);
    const paths = leavesOf(whole.state, []).filter(([first]) => !CORE.includes(`${first}`));
    expect(paths.length).toBeGreaterThan(50);
    const junk = fc.constantFrom<unknown>(null, "x", {}, [], true, [null], { a: 1 }, -1, 1e300);
    fc.assert(
      fc.property(fc.constantFrom(...paths), junk, fc.nat(3), (path, value, up) => {
        const spoilt = structuredClone(whole);
        put(spoilt.state, path.slice(0, Math.max(1, path.length - up)), value);
        const read = recordFromJournal(encodeRecord(spoilt), "m", config, 7);
        expect(read.why).toBeUndefined();
        expect(read.record.state.decision).toBe(whole.state.decision);
        const [part, key] = path;
        const others = Object.entries(whole.state.memories).filter(([stage]) => {
          return part !== "memories" || (path.length - up > 1 && stage !== key);
        });
        for (const [stage, memory] of others) {
          expect(plain(read.record.state.memories[stage])).toEqual(memory);
        }
        let { state } = read.record;
        for (let i = 41; i < 44; i++) {
          const ticked = tick(state, look(i, config, 2), config, parts);
          state = plain(ticked.state);
          for (const target of Object.values(ticked.decision.targets)) {
            expect(target).toBeLessThanOrEqual(config.max_workers);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

/** Without these there is no record. */
const CORE = ["version", "model", "epoch", "decision", "stages"];

type Path = readonly (string | number)[];

function leavesOf(value: unknown, path: Path): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, each]) => leavesOf(each, [...path, key]));
}

function put(into: unknown, path: Path, value: unknown): void {
  let at = into as Record<string, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[`${path.at(-1)}`] = value;
}

describe("what is lost", () => {
  async function told(spoil: (record: JournalRecord) => unknown) {
    const { config, record } = run("tail", 30);
    const store = new MemoryStore();
    const bytes = encodeRecord(spoil(plain(record)) as JournalRecord);
    await store.put("planner/m", bytes);
    const logged: string[] = [];
    const log = { log: (_level: string, message: string) => void logged.push(message) };
    const read = await new PlannerJournal(store, log, "m").read(config, 9);
    return { logged, read, record };
  }

  test("is told in one line, by its names", async () => {
    const { logged, read, record } = await told((whole) => ({
      ...whole,
      state: {
        ...whole.state,
        memories: { ...whole.state.memories, tail: { arrivals: 3 } },
        pending: [{ change: "a" }],
        failed_starts: { nobody: {} },
      },
      decisions: [null, ...whole.decisions],
    }));
    expect(logged).toEqual([
      "planner: parts of the journal of m are not of the form that this program writes, and begin " +
        "anew: memory tail, pending 1, failed_starts, decision 1",
    ]);
    expect(plain(read.decisions)).toEqual(plain(record.decisions));
    expect(plain(read.state.memories["predict"])).toEqual(plain(record.state.memories["predict"]));
  });

  test("in a record of another interval is what its stages learned, and that is told", async () => {
    const { logged } = await told((whole) => ({
      ...whole,
      state: { ...whole.state, stages: whole.state.stages.replace("10s", "60s") },
    }));
    expect(logged).toEqual([
      'planner: what was learned under "agg sla tail auto 60s plain" is not used under ' +
        '"agg sla tail auto 10s plain", and begins anew',
    ]);
  });

  test("without the core is all of it", async () => {
    const { logged, read } = await told((whole) => ({
      ...whole,
      state: { ...whole.state, epoch: "3" },
    }));
    expect(logged).toEqual([
      "planner: the journal of m is not used: state.epoch has not the form that is expected: " +
        "Invalid input: expected number, received string",
    ]);
    expect(read.state.decision).toBe(0);
  });
});

test("what was counted in intervals of another length is not used", () => {
  const { config, record } = run("tail", 40);
  const longer = { ...config, throughput_adjustment_interval_seconds: 100 };
  const before = record.state.prediction?.requests;
  expect(before).toBeGreaterThan(0);
  const read = recordFromJournal(encodeRecord(record), "m", longer, 7).record.state;
  const next = tick(read, look(41, longer, 2), longer, partsOf(longer));
  expect(next.state.prediction?.requests).toBeUndefined();
});

test("what was learned and does not work begins anew, and the planner decides on", async () => {
  const { record } = run("load", 20);
  const config = { ...plan_config, ...configs["load"] };
  const whole = partsOf(config);
  // Of the right form, as far as anybody knows; it fails at each tick.
  const brittle: ProposeStage<unknown> = {
    ...{ name: "brittle", start: 0 },
    propose({ memory }) {
      if (memory !== 0) throw new RangeError("out of memory");
      return { result: [], memory };
    },
  };
  const { system, clock, log } = testSystem();
  const { store } = system.capabilities;
  const memories = { ...record.state.memories, brittle: "poison" };
  await store.put("planner/m", encodeRecord({ ...record, state: { ...record.state, memories } }));
  const nobody = async () => ({ kind: "failed", workers: [], why: "nobody obeys" }) as const;
  let looks = 0;
  await system.spawnReady(
    () =>
      new PlannerActor({
        ...{ model: "m", config, parts: { ...whole, propose: [...whole.propose, brittle] } },
        observer: { look: async () => look(30 + looks++, config, 2), forget() {} },
        connector: { view: async () => undefined, add: nobody, retire: nobody, changeRole: nobody },
        journal: new PlannerJournal(store, log, "m"),
        epoch: () => 9,
        holder: () => "nobody",
      }),
    { name: "m" },
  );
  for (let i = 0; i < 4; i++) await clock.advance(5_000);
  const state = system.snapshot("/m");
  expect(state).toMatchObject({ decides: true, trouble: "" });
  expect(Number(state?.["ticks"])).toBeGreaterThan(2);
  const told = log.lines.filter(({ message }) => message.includes("does not work"));
  expect(told).toMatchObject([{ level: "error", fields: { error: "out of memory" } }]);
});
