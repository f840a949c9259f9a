import { expect, test } from "bun:test";
import { CanaryError, WorkerActor } from "../../../actors/worker/worker.ts";
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type { Generate, WorkerLoad } from "../../../proto/index.ts";
import { StartError } from "../../../runtime/kernel/errors.ts";
import { answerBytes, FakeEngine } from "../../support/engine/fake-engine.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { testSystem } from "../../support/worlds/test-system.ts";
import { endsIn, tokensIn, workerAlone } from "../../support/worlds/worker-alone.ts";

test("it is registered once it has made its first tokens", async () => {
  const { records, stages, engine, system, close } = await workerAlone();
  expect(stages).toEqual(["load", "canary", "register", "ready"]);
  expect(records).toMatchObject([{ worker: "w0", role: "aggregated", card: { name: "m" } }]);
  expect(engine.stats().generated_tokens_total).toBe(3);
  expect(system.snapshot("/worker")).toMatchObject({ ready: true, answers: 0, model: "m" });
  await close();
});

test("an engine that makes nothing in time is closed, and the start fails with the reason", async () => {
  const { system, clock } = testSystem(1);
  const node = await joinAlone(system);
  const engine = new FakeEngine({ step_ms: 400 });
  const make = () =>
    new WorkerActor({
      worker: "w0",
      role: "aggregated",
      open: async () => engine,
      describe: async () => ({ card: modelCard("m"), blobs: new Map() }),
      canary: { prompt: Uint32Array.of(1), max_tokens: 8, deadline_ms: 1_000 },
      registry: {
        register: async () => {
          throw new Error("a worker that is not ready has registered");
        },
        deregister: async () => {},
      },
      progress: () => {},
    });
  const started = system.spawnReady(make, { name: "worker" }).catch((error: unknown) => error);
  await clock.advance(5_000);
  const error = await started;
  expect(error).toBeInstanceOf(StartError);
  expect(String(error)).toContain("a first generation was not done within 1000 ms");
  expect(new CanaryError("x").code).toBe("canary_failed");
  expect(engine.closed).toBe(true);
  await system.shutdown();
  node.close();
});

test("tokens come as they are made, one batch a pass, then the end, then nothing is held", async () => {
  const { clock, engine, ask, generate, batches, consumer, system, close } = await workerAlone();
  expect(await ask(generate("r"))).toEqual({ kind: "accepted", request: "r" });
  await clock.advance(1_000);
  expect(tokensIn(batches())).toEqual([...answerBytes([1, 2, 3], 0, 8)]);
  expect(batches()).toHaveLength(8);
  expect(endsIn(batches())).toMatchObject([
    { choice: 0, reason: "length", total_tokens: 8, prompt_tokens: 3, cached_tokens: 2 },
  ]);
  const times = consumer.actor.heard.map((each) => each.at_ms);
  expect(times[7]! - times[0]!).toBe(70);
  expect(engine.live).toBe(0);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0 });
  await close();
});

test("who was sent nothing yet is sent its token before the others", async () => {
  const { clock, ask, generate, batches, close } = await workerAlone();
  for (const request of ["a", "b"]) await ask(generate(request));
  await clock.advance(25);
  await ask(generate("late"));
  await clock.advance(1_000);
  const names = batches().map((batch) => batch.request);
  const first = names.indexOf("late");
  expect(names.slice(first, first + 3)).toEqual(["late", "a", "b"]);
  expect(names.slice(first + 3, first + 6)).toEqual(["a", "b", "late"]);
  await close();
});

test("beyond its credit the worker keeps the tokens and the engine goes on", async () => {
  const { clock, engine, worker, ask, generate, batches, system, close } = await workerAlone();
  await ask(generate("r", { window_tokens: 3 }));
  await clock.advance(1_000);
  expect(tokensIn(batches())).toHaveLength(3);
  expect(engine.live).toBe(0);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 1 });
  worker.tell({ kind: "credit", request: "r", tokens_total: 7 });
  await clock.advance(0);
  expect(tokensIn(batches())).toHaveLength(7);
  expect(endsIn(batches())).toEqual([]);
  worker.tell({ kind: "credit", request: "r", tokens_total: 8 });
  await clock.advance(0);
  expect(tokensIn(batches())).toEqual([...answerBytes([1, 2, 3], 0, 8)]);
  expect(endsIn(batches())).toHaveLength(1);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0 });
  await close();
});

test("an answer that was begun elsewhere goes on at its next index", async () => {
  const { clock, ask, generate, batches, close } = await workerAlone();
  const whole = [...answerBytes([1, 2, 3], 0, 8)];
  const delivered = bytesOf(Uint32Array.from(whole.slice(0, 5)));
  await ask(generate("r", { choices: [{ choice: 0, delivered, max_tokens: 3 }] }));
  await clock.advance(1_000);
  expect(batches()[0]?.choices[0]?.first_index).toBe(5);
  expect(tokensIn(batches())).toEqual(whole.slice(5));
  expect(endsIn(batches())).toMatchObject([{ total_tokens: 8 }]);
  await close();
});

test("a cancelled answer stops in the engine's next step and says nothing more", async () => {
  const { clock, engine, worker, ask, generate, batches, close } = await workerAlone();
  await ask(generate("r"));
  await clock.advance(25);
  const before = batches().length;
  worker.tell({ kind: "cancel", request: "r", choices: [] });
  await clock.advance(10);
  expect(engine.live).toBe(0);
  await clock.advance(1_000);
  expect(batches()).toHaveLength(before);
  await close();
});

test("one choice can be ended alone; its end is still told", async () => {
  const { clock, worker, ask, generate, batches, close } = await workerAlone();
  const choices = [0, 1].map((choice) => ({ choice, delivered: new Uint8Array(0), max_tokens: 8 }));
  await ask(generate("r", { choices }));
  await clock.advance(25);
  const before = tokensIn(batches(), 0).length;
  worker.tell({ kind: "cancel", request: "r", choices: [0] });
  await clock.advance(1_000);
  expect(tokensIn(batches(), 0)).toHaveLength(before);
  expect(tokensIn(batches(), 1)).toEqual([...answerBytes([1, 2, 3], 1, 8)]);
  expect(endsIn(batches()).map(({ choice, reason }) => `${choice} ${reason}`)).toEqual([
    "0 cancelled",
    "1 length",
  ]);
  await close();
});

test("an answer whose consumer is gone is gone", async () => {
  const { clock, system, engine, consumer, ask, generate, close } = await workerAlone();
  await ask(generate("r"));
  await clock.advance(25);
  system.stop(consumer.ref);
  await clock.advance(10);
  expect(engine.live).toBe(0);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0 });
  await close();
});

test("at its deadline an answer ends as an error, also one that waits for credit", async () => {
  const { clock, engine, ask, generate, batches, system, close } = await workerAlone();
  await ask(generate("slow", { deadline_ms: 35 }));
  await ask(generate("stuck", { deadline_ms: 500, window_tokens: 1 }));
  await clock.advance(40);
  expect(endsIn(batches())).toMatchObject([{ reason: "deadline" }]);
  await clock.advance(1_000);
  const errors = batches().filter((batch) => batch.finished.length > 0);
  expect(errors.map((batch) => batch.request)).toEqual(["slow", "stuck"]);
  expect(engine.live).toBe(0);
  expect(system.snapshot("/worker")).toMatchObject({ answers: 0 });
  await close();
});

test("what it refuses it refuses with a stable code, and nothing of it runs", async () => {
  const { clock, engine, ask, generate, close } = await workerAlone(
    { max_queue: 1, context_length: 100, max_num_seqs: 1 },
    { answers_max: 3 },
  );
  const codeOf = async (message: Generate) => {
    const answer = await ask(message);
    return answer.kind === "refused" ? answer.code : "accepted";
  };
  const start = (choice: number, max_tokens = 50) => ({
    choice,
    delivered: new Uint8Array(0),
    max_tokens,
  });
  expect(await codeOf(generate("a", { model: "other" }))).toBe("model_mismatch");
  expect(await codeOf(generate("a", { choices: [start(0, 1_000)] }))).toBe("context_overflow");
  expect(await codeOf(generate("a", { choices: [] }))).toBe("bad_request");
  expect(await codeOf(generate("a", { choices: [start(0), start(0)] }))).toBe("bad_request");
  expect(await codeOf(generate("a", { prompt: new Uint8Array(3) }))).toBe("bad_request");
  expect(await codeOf(generate("a", { consumer: undefined }))).toBe("bad_request");
  expect(await codeOf(generate("a", { choices: [start(0), start(1)] }))).toBe("queue_full");
  await clock.advance(20);
  expect(engine.live).toBe(0);
  expect(await codeOf(generate("a", { choices: [start(0)] }))).toBe("accepted");
  expect(await codeOf(generate("a"))).toBe("bad_request");
  await clock.advance(20);
  expect(await codeOf(generate("b"))).toBe("accepted");
  expect(await codeOf(generate("c"))).toBe("queue_full");
  await close();
});

test("a grammar, an adapter or a salt that its engine knows nothing of is refused", async () => {
  const { engine, ask, generate, close } = await workerAlone();
  for (const more of [{ constraint: "root ::= [0-9]+" }, { adapter: "a" }, { salt: "s" }]) {
    expect(await ask({ ...generate("r"), ...more })).toMatchObject({
      kind: "refused",
      code: "not_supported",
    });
  }
  expect(engine.live).toBe(0);
  const { capabilities, ...description } = engine.describe();
  engine.describe = () => ({ ...description, capabilities: { ...capabilities, salts: true } });
  expect(await ask({ ...generate("r"), salt: "s" })).toMatchObject({ kind: "accepted" });
  expect(await ask({ ...generate("s"), salt: "s", adapter: "a" })).toMatchObject({
    code: "not_supported",
  });
  await close();
});

test("a draining worker leaves the registry, refuses new work and finishes what it has", async () => {
  const { clock, system, worker, left, ask, generate, batches, close } = await workerAlone();
  await ask(generate("r"));
  const drained = system.ask(
    worker,
    { kind: "drain", budget_ms: 1_000, nobody_follows: false },
    { deadline_ms: 5_000 },
  );
  await clock.advance(0);
  expect(left).toEqual(["w0"]);
  expect(await ask(generate("s"))).toMatchObject({ kind: "refused", code: "draining" });
  await clock.advance(200);
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  expect(endsIn(batches())).toHaveLength(1);
  await close();
});

test("a drain that runs out of its budget says what is left", async () => {
  const { clock, system, worker, ask, generate, close } = await workerAlone();
  await ask(generate("r"));
  const drained = system.ask(
    worker,
    { kind: "drain", budget_ms: 30, nobody_follows: false },
    { deadline_ms: 5_000 },
  );
  await clock.advance(31);
  expect(await drained).toEqual({ kind: "drained", finished: 0, unfinished: 1 });
  await close();
});

test("embeddings come together in the order of their inputs; blobs by hash", async () => {
  const { system, clock, worker, close } = await workerAlone();
  const inputs = [bytesOf(Uint32Array.of(1)), bytesOf(Uint32Array.of(1, 2))];
  const pool = "vector" as const;
  const embed = { kind: "embed" as const, request: "e", model: "m", pool, inputs };
  const answer = system.ask(worker, embed, { deadline_ms: 1_000 });
  await clock.advance(10);
  expect(await answer).toMatchObject({
    kind: "embeddings",
    items: [{ prompt_tokens: 1 }, { prompt_tokens: 2 }],
  });
  expect(system.snapshot("/worker")).toMatchObject({ embeddings: 0 });
  const odd = { ...embed, inputs: [new Uint8Array(3)] };
  expect(await system.ask(worker, odd, { deadline_ms: 1_000 })).toMatchObject({
    code: "bad_request",
  });
  const fetch = (hash: string) =>
    system.ask(worker, { kind: "fetch_blob", hash }, { deadline_ms: 1_000 });
  expect(await fetch("abc")).toMatchObject({ found: true, bytes: Uint8Array.of(1, 2, 3) });
  expect(await fetch("xyz")).toMatchObject({ found: false });
  await close();
});

test("load is told at a change, at most 20 times a second, and every second without one", async () => {
  const { clock, worker, listen, ask, generate, system, close } = await workerAlone({ step_ms: 1 });
  const router = listen<WorkerLoad>("router");
  const subscribe = {
    kind: "subscribe_load" as const,
    subscriber: router.wire,
    subscription: 0,
  };
  worker.tell(subscribe);
  await clock.advance(0);
  expect(router.actor.heard).toHaveLength(1);
  // Who asks again is answered, and has one subscription.
  worker.tell(subscribe);
  await clock.advance(0);
  expect(router.actor.heard).toHaveLength(2);
  expect(system.snapshot("/worker")).toMatchObject({ subscribers: 1 });
  const begin_ms = clock.now_ms();
  for (let i = 0; i < 10; i++) {
    await ask(generate(`r${i}`, { deadline_ms: 60_000 }));
    await clock.advance(100);
  }
  const busy = router.actor.heard.filter((each) => each.at_ms < begin_ms + 1_000).length;
  expect(busy).toBeGreaterThan(10);
  expect(busy).toBeLessThanOrEqual(22);
  const times = router.actor.heard.slice(2).map((each) => each.at_ms);
  const gaps = times.slice(1).map((at_ms, i) => at_ms - times[i]!);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(50);
  router.actor.heard.length = 0;
  await clock.advance(5_000);
  expect(router.actor.heard).toHaveLength(5);
  expect(router.actor.heard.at(-1)?.message).toMatchObject({ running: 0, waiting: 0 });
  system.stop(router.ref);
  await clock.advance(0);
  expect(system.snapshot("/worker")).toMatchObject({ subscribers: 0 });
  await close();
});

test("an engine that throws takes the worker with it; its consumers see that", async () => {
  let broken = false;
  const { system, clock, engine, worker, ask, generate, close } = await workerAlone({
    onStep: () => {
      if (broken) throw new Error("device lost");
    },
  });
  const reasons: string[] = [];
  system.onDown(worker, (reason) => {
    reasons.push(reason.kind === "crash" ? reason.error : reason.kind);
  });
  await ask(generate("r"));
  broken = true;
  await clock.advance(20);
  expect(reasons).toEqual(["Error: device lost"]);
  expect(engine.closed).toBe(true);
  await close();
});

test("what it did is in the metrics of its process until it ends", async () => {
  const { system, clock, worker, ask, generate, close } = await workerAlone();
  await ask(generate("r"));
  await ask(generate("s", { model: "other" }));
  await clock.advance(1_000);
  const text = system.metrics.render();
  const labels = 'dynamo_component="backend",dynamo_endpoint="generate",model="m",worker="w0"';
  expect(text).toContain(`dynamo_component_requests_total{${labels}} 1`);
  expect(text).toContain(`dynamo_component_request_duration_seconds_count{${labels}} 1`);
  expect(text).toContain(`dynamo_component_inflight_requests{${labels}} 0`);
  expect(text).toContain('error_type="model_mismatch"');
  system.stop(worker);
  await clock.advance(0);
  expect(system.metrics.render()).not.toContain("dynamo_component");
  await close();
});
