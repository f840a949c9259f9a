/** LoRA adapters between a machine's keeper and its workers. */
import { expect, test } from "bun:test";
import { AdapterKeeper, type KeptAdapter } from "../../../actors/adapters/adapters.ts";
import { AdapterError, type EngineDescription } from "../../../actors/engine/engine.ts";
import { WorkerActor } from "../../../actors/worker/worker.ts";
import type { AdapterMessage, WorkerMessage, WorkerRecord } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { FakeEngine } from "../../support/engine/fake-engine.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

/** Knows adapters by name; files that are called "bad" do not load. */
class AdapterEngine extends FakeEngine {
  readonly loaded = new Map<string, string>();
  /** Settles unloads, as answers do that use the adapter. */
  release: () => void = () => {};
  held = false;

  override describe(): EngineDescription {
    const description = super.describe();
    const { capabilities } = description;
    return { ...description, capabilities: { ...capabilities, adapters: true } };
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    if (path.includes("bad")) throw new AdapterError(`${path} does not fit`);
    this.loaded.set(name, path);
  }

  async unloadAdapter(name: string): Promise<void> {
    this.loaded.delete(name);
    if (!this.held) return;
    await new Promise<void>((resolve) => {
      this.release = resolve;
    });
  }
}

const given: KeptAdapter = { model: "m", name: "a", source: "sa", path: "/a", required: true };

async function setUp(list: readonly KeptAdapter[] = [given]) {
  const world = await workerAlone();
  const { system, clock } = world;
  const keep = () =>
    new AdapterKeeper({
      given: list,
      locate: async (source) => {
        if (source === "none") throw new Error("there is no file none");
        return `/${source}`;
      },
    });
  let keeper: Ref<AdapterMessage> = system.spawn(keep, { name: "keeper" });
  const records: WorkerRecord[] = [];
  const engines: AdapterEngine[] = [];
  const add = (worker: string): Ref<WorkerMessage> => {
    const engine = new AdapterEngine({ step_ms: 10 });
    engines.push(engine);
    const make = () =>
      new WorkerActor({
        ...{ worker, role: "aggregated", open: async () => engine },
        describe: async () => ({ card: modelCard("m"), blobs: new Map() }),
        canary: { prompt: Uint32Array.of(1, 2), max_tokens: 3, deadline_ms: 1_000 },
        registry: {
          register: async (record) => void records.push(record),
          deregister: async () => {},
        },
        adapters: () => keeper,
        progress: () => {},
      });
    return system.spawn(make, { name: worker });
  };
  const ask = async (message: AdapterMessage & { kind: "load_adapter" | "unload_adapter" }) => {
    const asked = system.ask(keeper, message, { deadline_ms: 60_000 });
    await clock.advance(200);
    const { code, message: said } = await asked;
    return [code, said];
  };
  const load = (name: string, source: string, replace = false) =>
    ask({ kind: "load_adapter", model: "m", name, source, path: "", replace });
  const unload = (name: string, wait_ms = 1_000) => ask({ kind: "unload_adapter", name, wait_ms });
  const has = (worker: string) =>
    records
      .filter((record) => record.worker === worker)
      .at(-1)
      ?.adapters?.items.map(({ name }) => name);
  const restart = async () => {
    system.control("/keeper", "kill");
    await clock.advance(10);
    keeper = system.spawn(() => new AdapterKeeper({ given: [], locate: async (s) => s }), {
      name: "keeper",
    });
    await clock.advance(2_000);
  };
  return { ...world, add, load, unload, has, records, engines, restart, keep: () => keeper };
}

test("a worker registers with what its keeper names, and hears of what changes", async () => {
  const { add, load, unload, has, engines, clock, close } = await setUp();
  add("w1");
  await clock.advance(200);
  expect(has("w1")).toEqual(["a"]);
  expect(engines[0]!.loaded.get("a")).toBe("/a");
  expect(await load("b", "sb")).toEqual(["", ""]);
  expect(has("w1")).toEqual(["a", "b"]);
  add("w2");
  await clock.advance(200);
  expect(has("w2")).toEqual(["a", "b"]);
  expect(await unload("a")).toEqual(["", ""]);
  expect([has("w1"), has("w2")]).toEqual([["b"], ["b"]]);
  expect(engines.map(({ loaded }) => [...loaded.keys()])).toEqual([["b"], ["b"]]);
  await close();
});

test("what one worker cannot load none keeps; refusals say why", async () => {
  const { add, load, unload, has, clock, close } = await setUp();
  add("w1");
  await clock.advance(200);
  expect(await load("x", "bad")).toEqual(["load_failed", "/bad does not fit"]);
  expect(await load("x", "none")).toEqual(["bad_source", "there is no file none"]);
  expect(has("w1")).toEqual(["a"]);
  expect((await load("a", "other"))[0]).toBe("exists");
  expect((await unload("x"))[0]).toBe("not_found");
  expect(await load("a", "other", true)).toEqual(["", ""]);
  expect(has("w1")).toEqual(["a"]);
  await close();
});

test("a worker that cannot load what its machine was started with does not start", async () => {
  const { add, clock, system, has, close } = await setUp([{ ...given, path: "/bad" }]);
  add("w1");
  await clock.advance(200);
  expect(system.lookup("/w1")).toBeUndefined();
  expect(JSON.stringify(system.crashReports())).toContain("/bad does not fit");
  expect(has("w1")).toBeUndefined();
  await close();
});

test("a keeper that is restarted learns from its workers, and they go on following", async () => {
  const { add, load, has, restart, clock, system, close } = await setUp();
  add("w1");
  await clock.advance(200);
  await load("b", "sb");
  await restart();
  expect(system.snapshot("/keeper")).toMatchObject({
    followers: 1,
    adapters: [{ name: "a" }, { name: "b" }],
  });
  expect(await load("c", "sc")).toEqual(["", ""]);
  expect(has("w1")).toEqual(["a", "b", "c"]);
  await close();
});

test("answers of an adapter that leaves have a while, then they end", async () => {
  const { add, unload, clock, system, engines, generate, consumer, close } = await setUp();
  const worker = add("w1");
  await clock.advance(200);
  const started = system.ask(
    worker,
    generate("r", {
      adapter: "a",
      choices: [{ ...choice, max_tokens: 4_000 }],
      deadline_ms: 90_000,
    }),
    { deadline_ms: 1_000 },
  );
  await clock.advance(20);
  expect((await started).kind).toBe("accepted");
  engines[0]!.held = true;
  const unloading = unload("a", 1_000);
  await clock.advance(50);
  const refused = await system.ask(worker, generate("s", { adapter: "a" }), { deadline_ms: 500 });
  expect(refused).toMatchObject({ kind: "refused", code: "model_mismatch" });
  const ends = () =>
    consumer.actor.heard.flatMap(({ message }) =>
      message.kind === "token_batch" ? message.finished : [],
    );
  expect(ends()).toEqual([]);
  await clock.advance(2_000);
  expect(ends()).toMatchObject([{ reason: "deadline" }]);
  engines[0]!.release();
  await clock.advance(20);
  expect((await unloading)[0]).toBe("");
  await close();
});

const choice = { choice: 0, delivered: new Uint8Array(0) };
