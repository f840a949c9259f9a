import { expect, test } from "bun:test";
import { answerLeg, workerKey } from "../../../actors/names/names.ts";
import { type RouterOptions, routerOf, type WorkersChange } from "../../../actors/router/router.ts";
import type {
  Plan,
  Refused,
  Route,
  RouteOutcome,
  RouterMessage,
  SubscribeLoad,
  WorkerLoad,
  WorkerRecord,
} from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

/** A worker as the router sees it: somebody to subscribe to. */
class LoadSource extends Actor<SubscribeLoad> {
  subscriptions = 0;
  /** Number of the last one. */
  subscription = 0;
  subscriber: Ref<WorkerLoad> | undefined;

  override receive(message: SubscribeLoad): void {
    this.subscriptions++;
    this.subscription = message.subscription;
    this.subscriber = refOf<WorkerLoad>(this.ctx.system, message.subscriber!);
  }
}

function loadOf(worker: string, running: number): WorkerLoad {
  return {
    kind: "worker_load",
    subscription: 0,
    worker,
    running,
    waiting: 0,
    used_blocks: 0,
    cached_blocks: 0,
    total_blocks: 0,
    event_loop_block_ms_max: 0,
    generated_tokens_total: 0,
    prompt_tokens_total: 0,
    cached_tokens_total: 0,
    waiting_prefill_tokens: 0,
  };
}

async function setUp(options: Partial<RouterOptions> = {}) {
  const { system, clock } = testSystem(1);
  const node = await joinAlone(system);
  let tellRouter: (change: WorkersChange) => void = () => {};
  let watching = false;
  const make = () =>
    routerOf({
      mode: "least-loaded",
      watch: (listener) => {
        tellRouter = listener;
        watching = true;
        listener({ kind: "all", records: [] });
        return () => {
          watching = false;
        };
      },
      ...options,
    });
  const router: Ref<RouterMessage> = system.spawn(make, { name: "router" });
  const sources = new Map<string, LoadSource>();
  const record = (worker: string): WorkerRecord => {
    const ref = system.lookup(`/${worker}`)!;
    const card = modelCard("m");
    return { worker, role: "aggregated", ref: wireOf(system, ref), card, labels: [], taints: [] };
  };
  return {
    system,
    clock,
    router,
    sources,
    record,
    watching: () => watching,
    change: (change: WorkersChange) => tellRouter(change),
    spawnWorker: (worker: string): WorkerRecord => {
      const source = new LoadSource();
      system.spawn(() => source, { name: worker });
      sources.set(worker, source);
      return record(worker);
    },
    up: (record: WorkerRecord) => tellRouter({ kind: "up", record }),
    ask: (request: string, changes: Partial<Route> = {}): Promise<Plan | Refused> =>
      system.ask(
        router,
        {
          kind: "route",
          request,
          model: "m",
          prompt: new Uint8Array(0),
          max_tokens: 1,
          exclude: [],
          continued: false,
          spare: false,
          pin: "",
          ...changes,
        },
        { deadline_ms: 60_000 },
      ),
    end: (request: string, outcome: RouteOutcome = "finished") =>
      router.tell({ kind: "route_ended", request, worker: "", outcome, output_tokens: 0 }),
    close: async () => {
      await system.shutdown();
      node.close();
    },
  };
}

test("its own requests in flight count at once, and no more when they ended", async () => {
  const { up, spawnWorker, ask, end, close } = await setUp();
  up(spawnWorker("a"));
  up(spawnWorker("b"));
  const first = answerLeg((await ask("r1")) as Plan);
  const second = answerLeg((await ask("r2")) as Plan);
  expect([first.worker, second.worker].sort()).toEqual(["a", "b"]);
  end("r1");
  expect(await ask("r3")).toMatchObject({ legs: [{ worker: first.worker }] });
  end("r2");
  expect(await ask("r4")).toMatchObject({ legs: [{ worker: second.worker }] });
  await close();
});

test("it subscribes to each worker once and goes by what they report", async () => {
  const { system, up, spawnWorker, sources, ask, close } = await setUp();
  const record = spawnWorker("a");
  up(record);
  up(record);
  up(spawnWorker("b"));
  await system.idle();
  expect(sources.get("a")?.subscriptions).toBe(1);
  sources.get("a")?.subscriber?.tell(loadOf("a", 10));
  for (const request of ["r1", "r2", "r3"]) {
    expect(await ask(request)).toMatchObject({ kind: "plan", legs: [{ worker: "b" }] });
  }
  await close();
});

test("without a worker a request waits, in order, and gets the one that comes", async () => {
  const { system, clock, up, spawnWorker, ask, router, close } = await setUp();
  const answers: string[] = [];
  for (const request of ["r1", "r2"]) {
    void ask(request).then((reply) => answers.push(`${reply.request} ${reply.kind}`));
  }
  await clock.advance(4_900);
  expect(answers).toEqual([]);
  expect(system.snapshot(router.address.path)).toMatchObject({ waiting: 2 });
  up(spawnWorker("a"));
  await clock.advance(0);
  expect(answers).toEqual(["r1 plan", "r2 plan"]);
  await close();
});

test("a wait ends after its time, with the reason", async () => {
  const { clock, ask, close } = await setUp({ wait_ms: 2_000 });
  const reply = ask("r1");
  await clock.advance(2_001);
  expect(await reply).toEqual({
    kind: "refused",
    request: "r1",
    code: "no_worker",
    message:
      "No worker serves 'm' at the moment, and none came within 2 s. Try again in a few seconds.",
    retry_after_ms: 0,
  });
  await close();
});

for (const mode of ["least-loaded", "kv"] as const) {
  test(`mode ${mode}: a request waits as long as a worker is being started`, async () => {
    const first_worker_ms: number | undefined = 30_000;
    const { clock, up, spawnWorker, ask, close } = await setUp({
      mode,
      wait_ms: 2_000,
      first_worker_ms: (model) => (model === "m" ? first_worker_ms : undefined),
    });
    const waiting = (request: string, changes = {}) => {
      const seen: { reply?: Plan | Refused } = {};
      void ask(request, changes).then((reply) => Object.assign(seen, { reply }));
      return seen;
    };
    const served = waiting("r1");
    const pinned = waiting("r2", { pin: "z" });
    const other = waiting("r3", { model: "n" });
    await clock.advance(2_001);
    expect([pinned.reply?.kind, other.reply?.kind]).toEqual(["refused", "refused"]);
    await clock.advance(26_000);
    expect(served.reply).toBeUndefined();
    const late = waiting("r4");
    up(spawnWorker("a"));
    await clock.advance(300);
    expect([served.reply?.kind, late.reply?.kind]).toEqual(["plan", "plan"]);
    await close();
  });

  test(`mode ${mode}: a start that takes too long, and one that is given up, end the wait`, async () => {
    let first_worker_ms: number | undefined = 30_000;
    const { clock, ask, close } = await setUp({
      ...{ mode, wait_ms: 2_000, first_worker_ms: () => first_worker_ms },
    });
    const slow = ask("r1");
    await clock.advance(30_001);
    expect(await slow).toMatchObject({
      code: "no_worker",
      message: "A worker of 'm' is being started, and did not serve within 30 s. Try again later.",
    });
    const given_up = ask("r2");
    await clock.advance(5_000);
    first_worker_ms = undefined;
    await clock.advance(1_001);
    expect(await given_up).toMatchObject({
      code: "no_worker",
      message: expect.stringContaining("none came within 6 s"),
    });
    await close();
  });
}

test("only so many may wait", async () => {
  const { ask, close } = await setUp({ waiting_max: 1 });
  void ask("r1").catch(() => {});
  expect(await ask("r2")).toMatchObject({ kind: "refused", code: "overloaded" });
  await close();
});

test("a request that ended while it waited takes no worker", async () => {
  const { system, up, spawnWorker, ask, end, close } = await setUp();
  void ask("r1").catch(() => {});
  end("r1", "cancelled");
  up(spawnWorker("a"));
  await system.idle();
  expect(system.snapshot("/router")).toMatchObject({ waiting: 0, routed_total: 0 });
  await close();
});

test("the worker a stream lost gets nothing more; its next life does", async () => {
  const { system, clock, up, change, spawnWorker, ask, end, close } = await setUp();
  const first = spawnWorker("a");
  up(first);
  const leg = answerLeg((await ask("r1")) as Plan);
  end("r1", "lost");
  let reply: Plan | Refused | undefined;
  const exclude = [workerKey(leg.worker, leg.ref)];
  void ask("r1", { exclude }).then((got) => {
    reply = got;
  });
  await clock.advance(10);
  expect(reply).toBeUndefined();
  system.control("/a", "kill");
  await system.idle();
  change({ kind: "gone", worker: "a" });
  await clock.advance(1_000);
  expect(reply).toBeUndefined();
  const second = spawnWorker("a");
  up(second);
  await clock.advance(0);
  expect(reply).toMatchObject({ kind: "plan", legs: [{ ref: second.ref }] });
  await close();
});

test("a suspect that is heard of again is a worker again", async () => {
  const { clock, up, spawnWorker, sources, ask, end, close } = await setUp();
  up(spawnWorker("a"));
  await ask("r1");
  end("r1", "lost");
  let reply: Plan | Refused | undefined;
  void ask("r2").then((got) => {
    reply = got;
  });
  await clock.advance(200);
  expect(reply).toBeUndefined();
  // The router soon asks it for news, and then once a second.
  await clock.advance(100);
  expect(sources.get("a")?.subscriptions).toBe(2);
  sources.get("a")?.subscriber?.tell(loadOf("a", 0));
  await clock.advance(0);
  expect(reply).toMatchObject({ kind: "plan", legs: [{ worker: "a" }] });
  await close();
});

test("what a worker had said before it was lost does not make it trusted", async () => {
  const { clock, router, up, spawnWorker, sources, ask, end, close } = await setUp();
  up(spawnWorker("a"));
  await ask("r1");
  const { subscription } = sources.get("a")!;
  const load = { ...loadOf("a", 0), subscription };
  router.tell(load);
  end("r1", "lost");
  let reply: Plan | Refused | undefined;
  void ask("r2").then((got) => {
    reply = got;
  });
  router.tell(load);
  router.tell({ kind: "worker_news", loads: [load], alive: [subscription], events: [] });
  await clock.advance(200);
  expect(reply).toBeUndefined();
  await clock.advance(100);
  router.tell({ ...load, subscription: sources.get("a")!.subscription });
  await clock.advance(0);
  expect(reply).toMatchObject({ kind: "plan", legs: [{ worker: "a" }] });
  await close();
});

test("a worker that missed two of its reports gets nothing until it is heard of again", async () => {
  const { clock, up, spawnWorker, sources, ask, close } = await setUp();
  up(spawnWorker("a"));
  up(spawnWorker("b"));
  await clock.advance(1);
  for (const [worker, running] of [
    ["a", 0],
    ["b", 5],
  ] as const) {
    sources.get(worker)?.subscriber?.tell(loadOf(worker, running));
  }
  // b goes on reporting; a, which looks idle, has frozen.
  for (let second = 0; second < 3; second++) {
    await clock.advance(1_000);
    sources.get("b")?.subscriber?.tell(loadOf("b", 5));
  }
  expect(await ask("r1")).toMatchObject({ legs: [{ worker: "b" }] });
  sources.get("a")?.subscriber?.tell(loadOf("a", 0));
  await clock.advance(1);
  expect(await ask("r2")).toMatchObject({ legs: [{ worker: "a" }] });
  await close();
});

test("when every worker has refused a request, it does not wait for them", async () => {
  const { up, spawnWorker, ask, close } = await setUp();
  const record = spawnWorker("a");
  up(record);
  const exclude = [workerKey("a", record.ref)];
  expect(await ask("r1", { exclude })).toMatchObject({ kind: "refused", code: "overloaded" });
  await close();
});

test("a pinned request waits for its worker alone", async () => {
  const { clock, up, spawnWorker, ask, close } = await setUp({ wait_ms: 1_000 });
  up(spawnWorker("a"));
  const reply = ask("r1", { pin: "z" });
  await clock.advance(1_001);
  expect(await reply).toMatchObject({
    code: "no_worker",
    message:
      "The worker 'z' that this request names does not serve 'm' at the moment. Try again in a few " +
      "seconds, or name no worker.",
  });
  expect(await ask("r2", { pin: "a" })).toMatchObject({ legs: [{ worker: "a" }] });
  await close();
});

test("a new list of workers replaces the old one", async () => {
  const { system, up, change, spawnWorker, ask, close } = await setUp();
  up(spawnWorker("a"));
  const b = spawnWorker("b");
  change({ kind: "all", records: [b] });
  expect(await ask("r1")).toMatchObject({ legs: [{ worker: "b" }] });
  const { workers } = system.snapshot("/router") as { workers: { worker: string }[] };
  expect(workers.map((each) => each.worker)).toEqual(["b"]);
  await close();
});

test("its watch ends with it", async () => {
  const { system, watching, router, close } = await setUp();
  expect(watching()).toBe(true);
  system.stop(router);
  await system.idle();
  expect(watching()).toBe(false);
  await close();
});

for (const mode of ["kv", "least-loaded"] as const) {
  test(`mode ${mode}: a question whose answer has ended is over at once, and its worker is nobody's`, async () => {
    const { ask, end, up, spawnWorker, system, close } = await setUp({ mode });
    const asked = ask("left");
    await system.idle();
    end("left", "cancelled");
    expect(await asked).toMatchObject({ kind: "refused", code: "cancelled" });
    // One that has never asked, and one that comes later, are not touched.
    end("nobody", "cancelled");
    const later = ask("later");
    up(spawnWorker("a"));
    expect(await later).toMatchObject({ kind: "plan" });
    await close();
  });
}
