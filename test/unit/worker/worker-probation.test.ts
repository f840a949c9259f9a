/** Requests that may have killed their last worker have their turn one by one. */
import { expect, test } from "bun:test";
import { isCrash } from "../../../cluster/worker-crashes.ts";
import { workerAlone } from "../../support/worlds/worker-alone.ts";

const settled = async <T>(promise: Promise<T>): Promise<T | "waits"> =>
  Promise.race([promise, Promise.resolve("waits" as const)]);

test("the second one is accepted when the first one has a token, others are not held up", async () => {
  const worker = await workerAlone({ step_ms: 50 });
  const { clock, ask, generate, system } = worker;
  const first = ask(generate("a", { alone: true }));
  const second = ask(generate("b", { alone: true }));
  const plain = ask(generate("c"));
  await clock.advance(2);
  expect(await settled(first)).toMatchObject({ kind: "accepted" });
  expect(await settled(second)).toBe("waits");
  expect(await settled(plain)).toMatchObject({ kind: "accepted" });
  expect(system.snapshot("/worker")).toMatchObject({ on_trial: 2, answers: 1 });
  const probed = await system.ask(
    worker.worker,
    { kind: "probe", request: "b" },
    { deadline_ms: 100 },
  );
  expect(probed).toMatchObject({ known: true, sent: 0 });
  await clock.advance(250);
  expect(await settled(second)).toMatchObject({ kind: "accepted" });
  await clock.advance(2_000);
  expect(system.snapshot("/worker")).toMatchObject({ on_trial: 0, answers: 0 });
  await worker.close();
});

test("one that is cancelled, or never wanted any more, makes room for the next", async () => {
  const state = { stuck: false };
  const again = await workerAlone({ step_ms: 10, isStuck: () => state.stuck });
  state.stuck = true;
  const first = again.ask(again.generate("a", { alone: true }));
  const second = again.ask(again.generate("b", { alone: true }));
  const third = again.ask(again.generate("c", { alone: true }));
  await again.clock.advance(2);
  expect(await settled(first)).toMatchObject({ kind: "accepted" });
  const cancel = (request: string) => again.worker.tell({ kind: "cancel", request, choices: [] });
  cancel("b");
  cancel("a");
  state.stuck = false;
  await again.clock.advance(900);
  expect(await settled(third)).toMatchObject({ kind: "accepted" });
  expect(await settled(second)).toBe("waits");
  second.catch(() => {});
  await again.close();
});

test("a worker that is drained sends those away that still wait", async () => {
  const state = { stuck: false };
  const alone = await workerAlone({ step_ms: 10, isStuck: () => state.stuck });
  const { clock, ask, generate, system, worker, close } = alone;
  state.stuck = true;
  const first = ask(generate("a", { alone: true }));
  const second = ask(generate("b", { alone: true }));
  await clock.advance(2);
  expect(await settled(first)).toMatchObject({ kind: "accepted" });
  const drain = { kind: "drain", budget_ms: 1_000, nobody_follows: true } as const;
  system.ask(worker, drain, { deadline_ms: 5_000 }).catch(() => {});
  await clock.advance(2);
  expect(await settled(second)).toMatchObject({ kind: "refused", code: "draining" });
  // The first one was accepted already: it hears that it is not taken after all.
  await clock.advance(200);
  const heard = alone.consumer.actor.heard.map(({ message }) => message);
  expect(heard).toMatchObject([
    { kind: "token_batch", request: "a", finished: [{ reason: "error", refusal: "draining" }] },
  ]);
  await close();
});

test("an engine whose answers all fail ends its worker; one that fails now and then does not", async () => {
  const { EngineHealth } = await import("../../../actors/worker/engine-health.ts");
  const { FakeEngine } = await import("../../support/engine/fake-engine.ts");
  const canary = { prompt: Uint32Array.of(1), max_tokens: 1, deadline_ms: 1 };
  const limits = { idle_ms: 1, stuck_ms: 1 };
  const health = new EngineHealth(new FakeEngine({}), canary, limits, 0);
  const failed = { kind: "finished", reason: "error", prompt_tokens: 1, cached_tokens: 0 } as const;
  const token = { kind: "tokens", handle: 9, first_index: 0, tokens: [1] } as const;
  for (let i = 0; i < 20; i++) {
    health.took({ ...failed, handle: i + 1 });
    if (i % 2 === 1) health.took(token);
  }
  health.took({ ...failed, handle: 50 });
  health.took({ ...failed, handle: 51 });
  expect(() => health.took({ ...failed, handle: 52, error: "no more memory" })).toThrow(
    "3 answers in a row failed: no more memory",
  );
});

test("which ends of a process are its own doing", () => {
  const crash = (code: number | null, signal: string | null = null) => isCrash({ code, signal });
  expect([crash(1), crash(2), crash(134), crash(139), crash(255)]).toEqual([
    ...[true, true, true, true, true],
  ]);
  expect([crash(0), crash(137), crash(143), crash(130), crash(null)]).toEqual([
    ...[false, false, false, false, false],
  ]);
  expect([crash(null, "SIGSEGV"), crash(null, "SIGABRT"), crash(null, "SIGILL")]).toEqual([
    ...[true, true, true],
  ]);
  expect([crash(null, "SIGKILL"), crash(null, "SIGTERM")]).toEqual([false, false]);
});
