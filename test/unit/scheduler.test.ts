import { expect, test } from "bun:test";
import { MicrotaskScheduler, type Runnable } from "../../runtime/scheduler.ts";
import { actorOf } from "../support/actor-of.ts";
import { testSystem } from "../support/test-system.ts";

type Go = { readonly kind: "go" };

test("actors get their turns in the order in which they became ready", async () => {
  const scheduler = new MicrotaskScheduler();
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
