import { expect, test } from "bun:test";
import { WorkerActor } from "../../../actors/worker/worker.ts";
import { FakeEngine } from "../../support/engine/fake-engine.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

async function setUp(health = { idle_ms: 2_000, stuck_ms: 5_000 }) {
  const { system, clock } = testSystem(1);
  const node = await joinAlone(system);
  const state = { stuck: false };
  const engine = new FakeEngine({ step_ms: 10, isStuck: () => state.stuck });
  const make = () =>
    new WorkerActor({
      worker: "w0",
      role: "aggregated",
      open: async () => engine,
      describe: async () => ({ card: modelCard("m"), blobs: new Map() }),
      canary: { prompt: Uint32Array.of(1, 2), max_tokens: 3, deadline_ms: 1_000 },
      registry: { register: async () => {}, deregister: async () => {} },
      progress: () => {},
      health,
    });
  system.spawn(make, { name: "worker" });
  await clock.advance(100);
  const made = () => engine.stats().generated_tokens_total;
  const close = async () => {
    await system.shutdown();
    node.close();
  };
  return { system, clock, engine, state, made, close };
}

test("an idle engine makes a canary from time to time, and stays idle otherwise", async () => {
  const { system, clock, engine, made, close } = await setUp();
  const before = made();
  await clock.advance(1_500);
  expect(made()).toBe(before);
  await clock.advance(9_000);
  expect(made() - before).toBeWithin(2, 6);
  expect(engine.live).toBe(0);
  expect(system.snapshot("/worker")).toMatchObject({ canaries_total: made() - before });
  await close();
});

test("an engine that is stuck while idle ends its worker, though no request came", async () => {
  const { system, clock, engine, state, close } = await setUp();
  state.stuck = true;
  await clock.advance(6_000);
  expect(system.lookup("/worker")).toBeDefined();
  await clock.advance(4_000);
  expect(system.lookup("/worker")).toBeUndefined();
  const [crash] = system.crashReports();
  expect(JSON.stringify(crash?.reason)).toContain("made no step for");
  // Closing it would wait for a thread that never answers.
  expect(engine.closed).toBe(false);
  await close();
});

test("a canary that fails ends the worker", async () => {
  const { system, clock, engine, close } = await setUp();
  const poll = engine.poll.bind(engine);
  engine.poll = (limit) =>
    poll(limit).map((event) =>
      event.kind === "finished" && event.handle === 0
        ? { ...event, reason: "error", error: "decode failed: -3" }
        : event,
    );
  await clock.advance(5_000);
  expect(JSON.stringify(system.crashReports()[0]?.reason)).toContain("decode failed: -3");
  await close();
});

test("a machine that slept is no stuck engine", async () => {
  const { system, clock, state, close } = await setUp({ idle_ms: 2_000, stuck_ms: 20_000 });
  state.stuck = true;
  await clock.advance(4_000);
  const look = system.capabilities.clock.now_ms;
  // From one look to the next the clock jumps by an hour.
  let jump_ms = 0;
  system.capabilities.clock.now_ms = () => look.call(system.capabilities.clock) + jump_ms;
  jump_ms = 3_600_000;
  await clock.advance(3_000);
  expect(system.lookup("/worker")).toBeDefined();
  await close();
});
