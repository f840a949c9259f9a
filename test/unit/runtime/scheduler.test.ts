import { expect, test } from "bun:test";
import type { Ask } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { MicrotaskScheduler, type Runnable } from "../../../runtime/kernel/scheduler.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

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

/** Says its name at each turn, which stands for one message. */
function recorder(turns: string[], id: string): Runnable {
  return {
    id,
    runTurn: () => {
      turns.push(id);
      return 1;
    },
  };
}

test("those who are waited for go first, and one of the others after 1,024 of their messages", async () => {
  const scheduler = new MicrotaskScheduler(() => 0);
  const turns: string[] = [];
  const other = recorder(turns, "other");
  for (let i = 0; i < 3; i++) scheduler.enqueue(other);
  for (let i = 0; i < 2_000; i++) scheduler.enqueueUrgent(recorder(turns, "urgent"));
  await scheduler.idle();
  expect(turns.indexOf("other")).toBe(1_024);
  expect(turns.lastIndexOf("urgent")).toBe(2_000);
  expect(turns).toHaveLength(2_003);
});

test("an urgent actor that never ends starves nobody", async () => {
  const scheduler = new MicrotaskScheduler(() => 0);
  let turns = 0;
  const others: string[] = [];
  const restless: Runnable = {
    id: "restless",
    runTurn: () => {
      if (++turns < 10_000) scheduler.enqueueUrgent(restless);
      return 1;
    },
  };
  scheduler.enqueueUrgent(restless);
  scheduler.enqueue(recorder(others, "other"));
  let timers_after = 0;
  setImmediate(() => {
    timers_after = turns;
  });
  await scheduler.idle();
  expect([turns, others]).toEqual([10_000, ["other"]]);
  expect(timers_after).toBeGreaterThan(0);
  expect(timers_after).toBeLessThan(10_000);
});

test("what a burst of urgent turns sent goes out before the others go on", async () => {
  const scheduler = new MicrotaskScheduler(() => 0);
  const turns: string[] = [];
  for (let i = 0; i < 5; i++) scheduler.enqueue(recorder(turns, "other"));
  for (let i = 0; i < 20; i++) {
    scheduler.enqueueUrgent({
      id: "urgent",
      runTurn: () => {
        if (i === 0) setImmediate(() => turns.push("sent"));
        return 1;
      },
    });
  }
  await scheduler.idle();
  expect(turns).toEqual(["sent", ...new Array(5).fill("other")]);
});

type Question = Ask<number> & { readonly kind: "question" };

test("an actor that was told something has its turn earlier once it is asked, or has a signal", async () => {
  const { system } = testSystem();
  const heard: string[] = [];
  const spawn = (name: string) =>
    system.spawn(
      actorOf<Go | Question>({
        receive: ({ kind }, ctx) => {
          heard.push(`${name} ${kind}`);
          if (kind === "question") ctx.reply(1);
        },
        terminate: () => void heard.push(`${name} ends`),
      }),
      { name },
    );
  const [a, b, c] = ["a", "b", "c"].map(spawn) as [Asked, Asked, Asked];
  for (const ref of [a, b, c]) ref.tell({ kind: "go" });
  system.control("/c", "stop");
  const answer = system.ask(b, { kind: "question" }, { deadline_ms: 1_000 });
  await system.idle();
  expect(await answer).toBe(1);
  expect(heard).toEqual(["c ends", "b go", "b question", "a go"]);
});

type Asked = Ref<Go | Question>;
