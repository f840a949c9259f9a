import { expect, test } from "bun:test";
import { MicrotaskScheduler, type Runnable } from "../../runtime/scheduler.ts";
import { actorOf } from "../support/actor-of.ts";
import { testSystem } from "../support/test-system.ts";

type Go = { readonly kind: "go" };

test("actors get their turns in the order in which they became ready", async () => {
  const scheduler = new MicrotaskScheduler(() => 0);
  const turns: string[] = [];
  const runnable = (id: string): Runnable => ({ id, runTurn: () => turns.push(id) });
  for (let i = 0; i < 200; i++) scheduler.enqueue(runnable(`${i}`));
  expect([turns.length, scheduler.quiet]).toEqual([0, false]);
  await scheduler.idle();
  expect(turns).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
  expect(scheduler.quiet).toBe(true);
});

test("an actor that tells itself for ever starves neither its siblings nor timers", async () => {
  const { system } = testSystem();
  let turns = 0;
  const restless = actorOf<Go>({
    receive: (message, ctx) => {
      turns++;
      ctx.self.tell(message);
    },
  });
  let handled = 0;
  system.spawn(restless, { name: "restless" }).tell({ kind: "go" });
  const sibling = system.spawn(actorOf<Go>({ receive: () => void handled++ }), { name: "sibling" });
  sibling.tell({ kind: "go" });
  await new Promise((done) => setTimeout(done, 1));
  expect(handled).toBe(1);
  expect(turns).toBeGreaterThan(100);
  system.control("/restless", "stop");
  await system.idle();
  const after = turns;
  await new Promise((done) => setTimeout(done, 1));
  expect(turns).toBe(after);
});

test("slow turns give way by time, not only by their number", async () => {
  let now_ms = 0;
  const scheduler = new MicrotaskScheduler(() => now_ms);
  let turns = 0;
  let turns_before_timers = 0;
  // Each turn stands for 64 messages of 0.1 ms.
  const slow: Runnable = {
    id: "slow",
    runTurn: () => {
      now_ms += 6.4;
      if (++turns < 20) scheduler.enqueue(slow);
      return 64;
    },
  };
  setImmediate(() => {
    turns_before_timers = turns;
  });
  scheduler.enqueue(slow);
  await scheduler.idle();
  expect(turns).toBe(20);
  expect(turns_before_timers).toBeLessThan(5);
  expect(turns_before_timers).toBeGreaterThan(0);
});

test("a chain of asks gives way to timers as well", async () => {
  const { system } = testSystem();
  const echo = system.spawn(actorOf<Go>({ receive: (_message, ctx) => void ctx.reply(1) }), {
    name: "echo",
  });
  let fired = false;
  setImmediate(() => {
    fired = true;
  });
  for (let i = 0; i < 3000 && !fired; i++) {
    await system.ask(echo, { kind: "go" }, { deadline_ms: 1000 });
  }
  expect(fired).toBe(true);
});
