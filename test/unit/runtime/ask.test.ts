import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ask, Message } from "../../../runtime/kernel/message.ts";
import type { Ref, ReplyPort } from "../../../runtime/kernel/ref.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

type Double = Ask<number> & { readonly kind: "double"; readonly n: number };
type Tell = { readonly kind: "tell" };
type Protocol = Double | Tell;

/** Answers at once. */
const doubler = actorOf<Protocol>({
  receive: (message, ctx) => {
    if (message.kind === "double") ctx.reply(message.n * 2);
  },
});

/** Keeps every port. */
function holder(ports: ReplyPort[]) {
  return actorOf<Protocol>({ receive: (_message, ctx) => void ports.push(ctx.replyLater()) });
}

const codeOf = (error: AskError): string => error.code;

test("an ask is answered with the type its question names", async () => {
  const { system, clock } = testSystem();
  const ref = system.spawn(doubler, { name: "a" });
  const answer: number = await system.ask(ref, { kind: "double", n: 21 }, { deadline_ms: 100 });
  expect(answer).toBe(42);
  await clock.runUntilIdle();
  expect(clock.pending).toBe(0);
});

test("the deadline, the end of the actor, a full mailbox and a refusal have codes", async () => {
  const { system, clock } = testSystem();
  const ports: ReplyPort[] = [];
  const ref = system.spawn(holder(ports), {
    name: "a",
    mailbox: { capacity: 1, when_full: "reject" },
  });
  const ask = () => system.ask(ref, { kind: "double", n: 1 }, { deadline_ms: 100 }).catch(codeOf);
  const late = ask();
  const refused_full = ask();
  expect(await refused_full).toBe("mailbox_full");
  await clock.advance(99.5);
  expect(system.counters.late_replies).toBe(0);
  await clock.advance(0.5);
  expect(await late).toBe("deadline");
  expect(ports[0]?.reply(1)).toBe(false);
  expect(system.counters.late_replies).toBe(1);
  const refused = ask();
  await system.idle();
  ports[1]?.fail("refused", "not today");
  expect(await refused).toBe("refused");
  const down = ask();
  await system.idle();
  const waiting = ask();
  system.stop(ref);
  expect([await down, await waiting]).toEqual(["down", "down"]);
  expect(await ask()).toBe("down");
  expect(clock.now_ms()).toBe(100);
});

test("an asker is told who was asked what", async () => {
  const { system } = testSystem();
  const ref = system.spawn(doubler, { name: "a" });
  system.stop(ref);
  await system.idle();
  const error = await system
    .ask(ref, { kind: "double", n: 1 }, { deadline_ms: 5 })
    .catch((e: AskError) => e);
  const incarnation = ref.address.incarnation.toString(16);
  expect((error as AskError).message).toBe(
    `down: asked test/a#${incarnation} "double": the actor has ended`,
  );
});

test("a port taken and never used is found when the actor crashes", async () => {
  const { system } = testSystem();
  const ports: ReplyPort[] = [];
  const ref = system.spawn(
    actorOf<Protocol>({
      receive: (message, ctx) => {
        if (message.kind === "tell") throw new Error("boom");
        ports.push(ctx.replyLater());
      },
    }),
    { name: "a" },
  );
  const asks = [1, 2].map((n) =>
    system.ask(ref, { kind: "double", n }, { deadline_ms: 1000 }).catch(codeOf),
  );
  await system.idle();
  ref.tell({ kind: "tell" });
  expect(await Promise.all(asks)).toEqual(["down", "down"]);
});

test("a deadline is inherited, and a trace is carried through tells and asks", async () => {
  const { system, clock } = testSystem();
  const trace = {
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    flags: 1,
  };
  const seen: [string, TraceContext | undefined, number | undefined][] = [];
  const last = system.spawn(
    actorOf<Protocol>({
      receive: (message, ctx) => {
        seen.push([message.kind, ctx.trace, ctx.deadline_ms]);
        if (message.kind === "double") ctx.reply(message.n * 2);
      },
    }),
    { name: "last" },
  );
  const middle = system.spawn(
    actorOf<Protocol>({
      receive: async (message, ctx) => {
        last.tell({ kind: "tell" });
        const options = { deadline_ms: 5000 };
        const n = await ctx.ask(last, { kind: "double", n: 1 }, options);
        ctx.tell(last, { kind: "tell" });
        if (message.kind === "double") ctx.reply(n + 1);
      },
    }),
    { name: "middle" },
  );
  await clock.advance(1000);
  const question = { kind: "double", n: 0 } as const;
  expect(await system.ask(middle, question, { deadline_ms: 50, trace })).toBe(3);
  last.tell({ kind: "tell" });
  await system.idle();
  expect(seen).toEqual([
    ["tell", trace, undefined],
    ["double", trace, 1050],
    ["tell", trace, undefined],
    ["tell", undefined, undefined],
  ]);
});

test("a reply to a tell, and a second reply, say that nobody waits", async () => {
  const { system } = testSystem();
  const replies: boolean[] = [];
  const ref = system.spawn(
    actorOf<Protocol>({
      receive: (_message, ctx) => {
        replies.push(ctx.reply(1), ctx.reply(2), ctx.refuse("late"));
        replies.push(ctx.replyLater().reply(3));
      },
    }),
    { name: "a" },
  );
  ref.tell({ kind: "tell" });
  expect(await system.ask(ref, { kind: "double", n: 1 }, { deadline_ms: 10 })).toBe(1);
  expect(replies).toEqual([false, false, false, false, true, false, false, false]);
});

test("an ask without a finite deadline does not exist", () => {
  const { system } = testSystem();
  const ref = system.spawn(doubler, { name: "a" });
  const question = { kind: "double", n: 1 } as const;
  const deadline_ms = Number.POSITIVE_INFINITY;
  expect(() => system.ask(ref, question, { deadline_ms })).toThrow("finite deadline_ms");
  expect(() => system.ask(ref, question, { deadline_ms: Number.NaN })).toThrow("finite");
});

/** What may happen to one ask, in any order and any number of times. */
type Event = "reply" | "refuse" | "stop" | "kill" | "deadline" | "turn";
const anyEvent = fc.constantFrom<Event>("reply", "refuse", "stop", "kill", "deadline", "turn");

/** The model: the first that counts settles it. A reply counts once the actor has the message. */
function expectedOutcome(events: readonly Event[]): string {
  let taken = false;
  let gone = false;
  for (const event of events) {
    if (event === "turn") taken = true;
    if (event === "deadline") return "deadline";
    if ((event === "stop" || event === "kill") && !gone) return "down";
    if (event === "stop" || event === "kill") gone = true;
    if (event === "reply" && taken) return "answer";
    if (event === "refuse" && taken) return "refused";
  }
  return "deadline";
}

test("whatever comes in whatever order, an ask has exactly one outcome", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), async (events) => {
      const { system, clock } = testSystem();
      const ports: ReplyPort[] = [];
      const ref: Ref<Protocol> = system.spawn(holder(ports), { name: "a" });
      const outcomes: string[] = [];
      // Suspended, so that a test says when the actor takes the message.
      system.control("/a", "suspend");
      system.ask(ref, { kind: "double", n: 1 }, { deadline_ms: 100 }).then(
        () => outcomes.push("answer"),
        (error: AskError) => outcomes.push(error.code),
      );
      for (const event of events) {
        if (event === "turn") system.control("/a", "resume");
        if (event === "reply") ports[0]?.reply(2);
        if (event === "refuse") ports[0]?.fail("refused", "no");
        if (event === "stop") system.control("/a", "stop");
        if (event === "kill") system.control("/a", "kill");
        if (event === "deadline") await clock.advance(100);
        await system.idle();
      }
      await clock.runUntilIdle();
      expect(outcomes).toEqual([expectedOutcome(events)]);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test("asks from one actor to another fail at once when it ends while they are on the way", async () => {
  const { system, clock } = testSystem();
  const outcomes: string[] = [];
  const target = system.spawn(doubler, { name: "target" });
  const asker = system.spawn(
    actorOf<Message>({
      receive: async (_message, ctx) => {
        for (let n = 0; n < 3; n++) {
          const answer = ctx.ask(target, { kind: "double", n }, { deadline_ms: 1000 });
          outcomes.push(await answer.then(String, codeOf));
          if (n === 0) system.stop(target);
        }
      },
    }),
    { name: "asker" },
  );
  asker.tell({ kind: "go" });
  await system.idle();
  expect(outcomes).toEqual(["0", "down", "down"]);
  expect(clock.now_ms()).toBe(0);
});

type Run = { readonly kind: "run" };

test("the outcome of askThen is a turn of the asker, before messages that wait for it", async () => {
  const { system } = testSystem();
  const heard: string[] = [];
  const ref = system.spawn(doubler, { name: "doubler" });
  const gone = system.spawn(doubler, { name: "gone" });
  system.control("/gone", "kill");
  await system.idle();
  const asker = system.spawn(
    actorOf<Run | Tell>({
      receive: ({ kind }, ctx) => {
        heard.push(kind);
        if (kind !== "run") return;
        const options = { deadline_ms: 100 };
        const failed = (error: AskError): void => void heard.push(error.code);
        ctx.askThen(ref, { kind: "double", n: 4 }, options, (n) => heard.push(`${n}`), failed);
        ctx.askThen(gone, { kind: "double", n: 4 }, options, (n) => heard.push(`${n}`), failed);
        for (let i = 0; i < 64; i++) ctx.self.tell({ kind: "tell" });
      },
    }),
    { name: "asker" },
  );
  asker.tell({ kind: "run" });
  await system.idle();
  expect(heard).toEqual(["run", "down", "8", ...new Array(64).fill("tell")]);
});

test("an asker that ended hears no outcome, and one whose handler throws has crashed", async () => {
  const { system } = testSystem();
  const ports: ReplyPort[] = [];
  const ref = system.spawn(holder(ports), { name: "holder" });
  const heard: number[] = [];
  const asker = (name: string, took: (n: number) => void) =>
    system
      .spawn(
        actorOf<Run>({
          receive: (_message, ctx) => {
            ctx.askThen(ref, { kind: "double", n: 1 }, { deadline_ms: 1_000 }, took, () => {});
          },
        }),
        { name },
      )
      .tell({ kind: "run" });
  asker("ended", (n) => heard.push(n));
  asker("throws", () => {
    throw new Error("as the test asked");
  });
  await system.idle();
  system.control("/ended", "stop");
  await system.idle();
  for (const port of ports) port.reply(1);
  await system.idle();
  expect(heard).toEqual([]);
  expect(system.crashReports().map(({ offender }) => offender.path)).toEqual(["/throws"]);
});
