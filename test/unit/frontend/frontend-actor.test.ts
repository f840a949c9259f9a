/** The frontend as an actor: blobs it fetches, embeddings it routes, its end. */
import { expect, test } from "bun:test";
import { embedThrough, FrontendActor, ModelDirectory } from "../../../actors/frontend/frontend.ts";
import { hashBlob } from "../../../llm/model/model-card.ts";
import type { Blob, RouterMessage, WorkerMessage } from "../../../proto/index.ts";
import type { HttpServeOptions, Net } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { createSystem } from "../../../runtime/kernel/system.ts";
import { countingIds, SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryStore } from "../../../runtime/store/memory.ts";
import {
  FakeAnswers,
  fakeEmbedding,
  fakeModel,
  fakeRecord,
} from "../../support/worlds/frontend-fakes.ts";
import { absent, MemoryLog } from "../../support/worlds/test-system.ts";

/** Answers as `answer` says; undefined leaves the asker without a reply. */
class ScriptedWorker extends Actor<WorkerMessage> {
  readonly got: WorkerMessage[] = [];
  constructor(readonly answer: (message: WorkerMessage) => unknown) {
    super();
  }
  override receive(message: WorkerMessage): void {
    this.got.push(message);
    const reply = this.answer(message);
    if (reply !== undefined) this.ctx.reply(reply);
  }
}

class ScriptedRouter extends Actor<RouterMessage> {
  readonly got: RouterMessage[] = [];
  constructor(readonly answer: (message: RouterMessage) => unknown) {
    super();
  }
  override receive(message: RouterMessage): void {
    this.got.push(message);
    const reply = this.answer(message);
    if (reply !== undefined) this.ctx.reply(reply);
  }
}

function world() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const served: HttpServeOptions[] = [];
  let closed = 0;
  const net = {
    ...absent<Net>("net"),
    serve: async (options: HttpServeOptions) => {
      served.push(options);
      return { host: options.host, port: 8000, drain: () => {}, close: async () => void closed++ };
    },
  };
  const system = createSystem({
    node: "test",
    capabilities: {
      clock,
      random: new SeededRandom(1),
      log,
      ids: countingIds("id"),
      net,
      spawn: absent("spawn"),
      files: absent("files"),
      store: new MemoryStore(),
    },
  });
  return { clock, log, system, served, closed: () => closed };
}

function frontendIn(test: ReturnType<typeof world>, worker: Ref<WorkerMessage>) {
  const models = new ModelDirectory((card) => fakeModel(card));
  const make = () =>
    new FrontendActor({
      host: "127.0.0.1",
      port: 0,
      share_port: false,
      models,
      startAnswer: new FakeAnswers().start,
      startEmbedding: fakeEmbedding,
      resolve: () => worker,
    });
  return { models, actor: test.system.spawn(make, { name: "frontend" }) };
}

const bytes = Uint8Array.of(1, 2, 3);
const hash = hashBlob(bytes);
const blob = (found: boolean, content = bytes): Blob => ({
  kind: "blob",
  hash,
  found,
  bytes: content,
});

test("missing blobs are asked for once at a time, again when it failed, and checked", async () => {
  const here = world();
  const replies = [blob(false), blob(true, Uint8Array.of(9)), blob(true)];
  const script = new ScriptedWorker(() => replies.shift());
  const worker = here.system.spawn(() => script, { name: "worker" });
  const { models, actor } = frontendIn(here, worker);
  actor.tell({ kind: "worker_joined", record: fakeRecord({ tokenizer_blob: hash }) });
  actor.tell({ kind: "worker_joined", record: fakeRecord({ tokenizer_blob: hash }, "w2") });
  await here.system.idle();
  expect(script.got.length).toBe(1);
  expect(models.state("toy")).toBe("loading");
  await here.clock.advance(600);
  expect(script.got.length).toBe(2);
  expect(here.log.lines.map((line) => line.level)).toEqual(["warn"]);
  await here.clock.advance(600);
  expect(models.state("toy")).toBe("ready");
  await here.clock.advance(5000);
  expect(script.got.length).toBe(3);
  const down = here.system.shutdown();
  await here.clock.advance(100);
  await down;
  expect(here.closed()).toBe(1);
});

test("what a page of the server answers comes from the door", async () => {
  const here = world();
  const worker = here.system.spawn(() => new ScriptedWorker(() => undefined), { name: "worker" });
  const { actor } = frontendIn(here, worker);
  actor.tell({ kind: "workers_are", workers: [fakeRecord()] });
  await here.system.idle();
  const answer = await here.served[0]?.fetch(new Request("http://x/v1/models"), { client: "" });
  expect(await answer?.json()).toMatchObject({ data: [{ id: "toy" }] });
  expect(await here.system.ask(actor, { kind: "get_door" }, { deadline_ms: 100 })).toEqual({
    host: "127.0.0.1",
    port: 8000,
    health: "ready",
    live: 0,
  });
  const down = here.system.shutdown();
  await here.clock.advance(100);
  await down;
});

test("all workers are asked to clear their caches; who does not answer or cannot is named", async () => {
  const here = world();
  const replies = [{ kind: "kv_cleared", cleared: true, blocks: 7 }, undefined];
  const script = new ScriptedWorker(() =>
    script.got.length > 2 ? { kind: "kv_cleared", cleared: false, blocks: 0 } : replies.shift(),
  );
  const worker = here.system.spawn(() => script, { name: "worker" });
  const { actor } = frontendIn(here, worker);
  actor.tell({ kind: "workers_are", workers: ["a", "b", "c"].map((name) => fakeRecord({}, name)) });
  await here.system.idle();
  const url = "http://x/clear_kv_blocks";
  const answer = here.served[0]!.fetch(new Request(url, { method: "POST" }), { client: "" });
  await here.system.idle();
  await here.clock.advance(6_000);
  const endpoint = expect.stringMatching(/^troupe\/[abc]\/clear_kv_blocks$/);
  expect(await (await answer).json()).toEqual({
    cleared_workers: [
      { name: "a", endpoint, status: expect.any(String), response: "7 cached blocks" },
    ],
    failed_workers: [
      { name: "b", endpoint, status: expect.any(String), error: "no reply within 5 s" },
      { name: "c", endpoint, status: expect.any(String), error: expect.stringContaining("again") },
    ],
  });
  expect(script.got.map(({ kind }) => kind)).toEqual(["clear_kv", "clear_kv", "clear_kv"]);
  const down = here.system.shutdown();
  await here.clock.advance(100);
  await down;
});

const plan = (request: string) => ({
  kind: "plan" as const,
  request,
  legs: [
    {
      role: "aggregated" as const,
      worker: "w1",
      ref: { node: "test", path: "/worker", incarnation: new Uint8Array(8), address: "" },
    },
  ],
});
const asked = {
  request: "r",
  model: "toy",
  pool: "vector" as const,
  inputs: [Uint32Array.of(1, 258)],
  deadline_ms: 1000,
  pin: "",
};

function embedIn(worker: ScriptedWorker, router: ScriptedRouter) {
  const here = world();
  const workerRef = here.system.spawn(() => worker, { name: "worker" });
  const routerRef = here.system.spawn(() => router, { name: "router" });
  const start = embedThrough({
    live: new Set(),
    system: here.system,
    router: () => routerRef,
    resolve: () => workerRef,
  });
  return { ...here, start };
}

const planner = () =>
  new ScriptedRouter((message) => (message.kind === "route" ? plan(message.request) : undefined));

test("an embedding goes by the router's plan to the worker, and the router hears its end", async () => {
  const worker = new ScriptedWorker(() => ({ kind: "embeddings", request: "r", items: [] }));
  const router = planner();
  const { start, system } = embedIn(worker, router);
  expect(await start(asked, undefined).result).toMatchObject({ kind: "embeddings" });
  const [embed] = worker.got;
  if (embed?.kind !== "embed") throw new Error("the worker was not asked to embed");
  expect([...(embed.inputs[0] ?? [])]).toEqual([1, 0, 0, 0, 2, 1, 0, 0]);
  await system.idle();
  // It stands before no prompt at that worker, so that nothing is held back for it.
  const kinds = router.got.map((message) => message.kind);
  expect(kinds).toEqual(["route", "route_first", "route_ended"]);
  expect(router.got.at(-1)).toMatchObject({ kind: "route_ended", outcome: "finished" });
});

test("a router that dies or is between two lives is no end: whoever is there next is asked", async () => {
  const worker = new ScriptedWorker(() => ({ kind: "embeddings", request: "r", items: [] }));
  const here = world();
  const workerRef = here.system.spawn(() => worker, { name: "worker" });
  const silent = here.system.spawn(() => new ScriptedRouter(() => undefined), { name: "desk" });
  let router: Ref<RouterMessage> | undefined = silent;
  const start = embedThrough({
    live: new Set(),
    system: here.system,
    router: () => router,
    resolve: () => workerRef,
  });
  const { result } = start(asked, undefined);
  await here.system.idle();
  router = undefined;
  here.system.control("/desk", "kill");
  await here.clock.advance(300);
  expect(worker.got).toEqual([]);
  router = here.system.spawn(planner, { name: "router" });
  await here.clock.advance(100);
  expect(await result).toMatchObject({ kind: "embeddings" });
});

test("a worker that does not answer is a refusal at the deadline, and the router hears it", async () => {
  const router = planner();
  const { start, system, clock } = embedIn(new ScriptedWorker(() => undefined), router);
  const { result } = start(asked, undefined);
  await clock.advance(1100);
  expect(await result).toMatchObject({ kind: "refused", code: "deadline" });
  await system.idle();
  expect(router.got.at(-1)).toMatchObject({ kind: "route_ended", outcome: "failed" });
});

test("a worker that dies or is drained is no end: another one makes the embedding", async () => {
  const router = planner();
  let tries = 0;
  const worker = new ScriptedWorker(() => {
    tries++;
    if (tries > 1) return { kind: "embeddings", request: "r", items: [] };
    return { kind: "refused", request: "r", code: "draining", message: "", retry_after_ms: 0 };
  });
  const { start, system } = embedIn(worker, router);
  expect(await start(asked, undefined).result).toMatchObject({ kind: "embeddings" });
  await system.idle();
  const ends = router.got.filter((message) => message.kind === "route_ended");
  expect(ends.map(({ outcome }) => outcome)).toEqual(["refused", "finished"]);
  const routes = router.got.filter((message) => message.kind === "route");
  expect(routes.map(({ exclude }) => exclude.length)).toEqual([0, 1]);
  // One that is not there at all, three times.
  system.control("/worker", "kill");
  await system.idle();
  expect(await start(asked, undefined).result).toMatchObject({ code: "worker_lost" });
  await system.idle();
  const lost = router.got.filter((each) => each.kind === "route_ended" && each.outcome === "lost");
  expect(lost).toHaveLength(3);
});

test("a client that leaves cancels the embedding at the worker", async () => {
  const worker = new ScriptedWorker(() => undefined);
  const { start, system } = embedIn(worker, planner());
  const handle = start(asked, undefined);
  await system.idle();
  handle.abandon("gone");
  handle.abandon("gone");
  await system.idle();
  expect(worker.got.map((message) => message.kind)).toEqual(["embed", "cancel"]);
});

test("the router's refusal is the answer", async () => {
  const refused = { kind: "refused", request: "r", code: "no_worker", message: "none" };
  const { start } = embedIn(new ScriptedWorker(() => undefined), new ScriptedRouter(() => refused));
  expect(await start(asked, undefined).result).toMatchObject({ code: "no_worker" });
});
