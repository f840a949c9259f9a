import { expect, test } from "bun:test";
import type { ExitReason } from "../../../runtime/kernel/exit-reason.ts";
import { NOWHERE, type Ref, type Watcher } from "../../../runtime/kernel/ref.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

type Say = { readonly kind: "say"; readonly text: string };
type Go = { readonly kind: "go" };

const say = (text: string): Say => ({ kind: "say", text });
const go: Go = { kind: "go" };

test("an actor starts, handles one message at a time in order, and ends", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const ref = system.spawn(
    actorOf<Say>({
      init: () => void seen.push("init"),
      receive: (message) => void seen.push(message.text),
      terminate: (reason) => void seen.push(`terminate ${reason.kind}`),
    }),
    { name: "a" },
  );
  expect(ref.tell(say("1"))).toBe(true);
  expect(ref.tell(say("2"))).toBe(true);
  expect(seen).toEqual(["init"]);
  await system.idle();
  system.stop(ref);
  await system.idle();
  expect(seen).toEqual(["init", "1", "2", "terminate shutdown"]);
  expect(ref.tell(say("3"))).toBe(false);
  expect(system.deadLetters().count).toBe(1);
  expect(system.deadLetters().recent).toEqual([
    { path: "/a", kind: "say", reason: "stopped", wall_ms: expect.any(Number) },
  ]);
});

test("while a handler waits, messages wait and signals do not", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const other = system.spawn(actorOf<Go>({}), { name: "other" });
  const ref = system.spawn(
    actorOf<Say>({
      init: (ctx) => void ctx.monitor(other),
      receive: async (message) => {
        seen.push(`begin ${message.text}`);
        await gate.promise;
        seen.push(`end ${message.text}`);
      },
      down: ({ reason }) => void seen.push(`down ${reason.kind}`),
    }),
    { name: "a" },
  );
  ref.tell(say("1"));
  ref.tell(say("2"));
  await system.idle();
  system.stop(other);
  await system.idle();
  expect(seen).toEqual(["begin 1", "down shutdown"]);
  expect(system.tree()[0]?.state).toBe("waiting");
  gate.resolve();
  await system.idle();
  expect(seen).toEqual(["begin 1", "down shutdown", "end 1", "begin 2", "end 2"]);
});

test("a stop overtakes a flooded mailbox, and what was left are dead letters", async () => {
  const { system } = testSystem();
  let handled = 0;
  const ref = system.spawn(actorOf<Go>({ receive: () => void handled++ }), { name: "a" });
  for (let i = 0; i < 1000; i++) ref.tell(go);
  system.stop(ref);
  await system.idle();
  expect(handled).toBe(0);
  expect(system.deadLetters().count).toBe(1000);
});

test("a stop overtakes a handler that waits for ever", async () => {
  const { system } = testSystem();
  const ended: ExitReason[] = [];
  const ref = system.spawn(actorOf<Go>({ receive: () => new Promise(() => {}) }), { name: "a" });
  ref.tell(go);
  await system.idle();
  system.onDown(ref, (reason) => ended.push(reason));
  system.stop(ref);
  await system.idle();
  expect(ended).toEqual([{ kind: "shutdown" }]);
});

test("a throw in a handler ends the actor with a report; the rest serves", async () => {
  const { system, log } = testSystem();
  const seen: string[] = [];
  const make = actorOf<Say>({
    receive: ({ text }) => {
      if (text === "boom") throw new TypeError("bad");
      seen.push(text);
    },
    terminate: (reason) => void seen.push(reason.kind),
  });
  const a = system.spawn(make, { name: "a", role: "worker" });
  const b = system.spawn(make, { name: "b" });
  a.tell(say("boom"));
  a.tell(say("never"));
  b.tell(say("fine"));
  await system.idle();
  expect(seen).toEqual(["crash", "fine"]);
  const [report] = system.crashReports();
  expect(report?.context).toBe("child_terminated");
  expect(report?.offender).toEqual({ id: "a", path: "/a", role: "worker", restarts: 0 });
  expect(report?.reason).toMatchObject({ kind: "crash", error: "TypeError: bad" });
  expect(log.lines.at(-1)?.level).toBe("error");
  expect(system.lookup("/a")).toBeUndefined();
});

test("a rejected handler is a crash too", async () => {
  const { system } = testSystem();
  const heard: string[] = [];
  system.onCrash(({ reason }) => heard.push(reason.kind === "crash" ? reason.error : ""));
  const ref = system.spawn(actorOf<Go>({ receive: async () => Promise.reject("no") }), {
    name: "a",
  });
  ref.tell(go);
  await system.idle();
  expect(heard).toEqual(["no"]);
});

test("messages wait for an asynchronous init; a failed one rejects spawnReady", async () => {
  const { system, clock } = testSystem();
  const seen: string[] = [];
  const wait = (ms: number): Promise<void> => new Promise((done) => clock.after(ms, done));
  const slow = system.spawn(
    actorOf<Say>({
      init: async () => {
        await wait(10);
        seen.push("ready");
      },
      receive: ({ text }) => void seen.push(text),
    }),
    { name: "slow" },
  );
  slow.tell(say("1"));
  await system.idle();
  expect(system.tree()[0]?.state).toBe("starting");
  expect(seen).toEqual([]);
  await clock.advance(10);
  expect(seen).toEqual(["ready", "1"]);
  const failing = actorOf<Go>({
    init: async () => {
      await wait(10);
      throw new Error("no model");
    },
  });
  const ready = system.spawnReady(failing, { name: "failing" });
  const outcome = ready.catch((error) => `${error.code} ${error.message}`);
  await clock.advance(10);
  expect(await outcome).toBe("start_failed /failing did not start: crash: Error: no model");
  expect(system.lookup("/failing")).toBeUndefined();
  expect(system.crashReports().map(({ context }) => context)).toEqual(["start_error"]);
  const at_once = actorOf<Go>({
    init: () => {
      throw new Error("none");
    },
    terminate: () => void seen.push("never"),
  });
  await expect(system.spawnReady(at_once, { name: "x" })).rejects.toThrow("crash: Error: none");
  await system.idle();
  expect(seen).not.toContain("never");
});

test("children end before their parent, each within its bound, then by force", async () => {
  const { system, clock } = testSystem();
  const seen: string[] = [];
  const child = (name: string, hang: boolean) =>
    actorOf<Go>({
      terminate: () => {
        seen.push(name);
        return hang ? new Promise<void>(() => {}) : undefined;
      },
    });
  const parent = system.spawn(
    actorOf<Go>({
      init: (ctx) => {
        ctx.spawn(child("good", false), { name: "good" });
        ctx.spawn(child("hangs", true), { name: "hangs", shutdown_ms: 100 });
        ctx.spawn(child("brutal", false), { name: "brutal", shutdown_ms: "brutal" });
      },
      terminate: () => void seen.push(`parent at ${clock.now_ms()}`),
    }),
    { name: "parent" },
  );
  system.stop(parent);
  await system.idle();
  expect(seen).toEqual(["hangs", "good"]);
  await clock.advance(100);
  expect(seen).toEqual(["hangs", "good", "parent at 100"]);
  expect(system.tree()).toEqual([]);
  const reports = system.crashReports().map(({ context, offender }) => [context, offender.id]);
  expect(reports).toEqual([["shutdown_error", "hangs"]]);
});

test("a kill asks nobody, and takes the children along", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const terminate = (): void => void seen.push("terminate");
  const parent = system.spawn(
    actorOf<Go>({
      init: (ctx) => void ctx.spawn(actorOf<Go>({ terminate }), { name: "child" }),
      terminate,
    }),
    { name: "parent" },
  );
  const child = system.lookup("/parent/child") as Ref;
  const ends: string[] = [];
  for (const ref of [parent, child]) system.onDown(ref, (reason) => ends.push(reason.kind));
  system.control("/parent", "kill");
  await system.idle();
  expect(seen).toEqual([]);
  expect(ends).toEqual(["killed", "killed"]);
});

test("timers tell their actor, repeat without drift, and die with it", async () => {
  const { system, clock } = testSystem();
  const at: [string, number][] = [];
  const ref = system.spawn(
    actorOf<Say>({
      init: (ctx) => {
        ctx.after(15, say("once"));
        ctx.every(10, say("tick"));
        ctx.cancel(ctx.after(5, say("cancelled")));
      },
      receive: ({ text }) => void at.push([text, clock.now_ms()]),
    }),
    { name: "a" },
  );
  await clock.advance(35);
  const expected: [string, number][] = [
    ["tick", 10],
    ["once", 15],
    ["tick", 20],
    ["tick", 30],
  ];
  expect(at).toEqual(expected);
  system.stop(ref);
  await clock.advance(100);
  expect(at.length).toBe(4);
  expect(clock.pending).toBe(0);
});

test("a suspended actor keeps its messages and hears signals", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const ref = system.spawn(actorOf<Say>({ receive: ({ text }) => void seen.push(text) }), {
    name: "a",
  });
  expect(system.control("/a", "suspend")).toBe(true);
  ref.tell(say("1"));
  await system.idle();
  expect(seen).toEqual([]);
  expect(system.tree()[0]).toMatchObject({ state: "suspended", mailbox: 1 });
  system.control("/a", "resume");
  await system.idle();
  expect(seen).toEqual(["1"]);
  system.control("/a", "suspend");
  system.control("/a", "stop");
  await system.idle();
  expect(system.lookup("/a")).toBeUndefined();
});

test("a full mailbox refuses, or loses the oldest or the newest, as it was told", async () => {
  const { system } = testSystem();
  const results: Record<string, unknown> = {};
  for (const when_full of ["reject", "drop_oldest", "drop_newest"] as const) {
    const got: string[] = [];
    const ref = system.spawn(actorOf<Say>({ receive: ({ text }) => void got.push(text) }), {
      name: when_full,
      mailbox: { capacity: 2, when_full },
    });
    const told = ["1", "2", "3"].map((text) => ref.tell(say(text)));
    await system.idle();
    results[when_full] = [told, got];
  }
  expect(results).toEqual({
    reject: [
      [true, true, false],
      ["1", "2"],
    ],
    drop_oldest: [
      [true, true, true],
      ["2", "3"],
    ],
    drop_newest: [
      [true, true, true],
      ["1", "2"],
    ],
  });
  expect(system.counters.refused).toBe(1);
  expect(system.deadLetters().recent.map(({ reason }) => reason)).toEqual([
    "drop_oldest",
    "drop_newest",
  ]);
});

test("names are checked where they are given", () => {
  const { system } = testSystem();
  const make = actorOf<Go>({});
  system.spawn(make, { name: "a" });
  expect(() => system.spawn(make, { name: "a" })).toThrow('has a child "a" already');
  expect(() => system.spawn(make, { name: "a/b" })).toThrow('has no "/"');
  expect(() => system.spawn(make, { name: "" })).toThrow("not empty");
  const mailbox = { capacity: 0, when_full: "reject" as const };
  expect(() => system.spawn(make, { name: "b", mailbox })).toThrow("at least 1 message");
});

test("a next life has another incarnation, and the old reference does not reach it", async () => {
  const { system } = testSystem();
  const seen: string[] = [];
  const make = actorOf<Say>({ receive: ({ text }) => void seen.push(text) });
  const first = system.spawn(make, { name: "a" });
  const old = first.address;
  system.stop(first);
  await system.idle();
  const second = system.spawn(make, { name: "a" });
  expect(second.address.path).toBe(old.path);
  expect(second.address.incarnation).not.toBe(old.incarnation);
  expect(system.resolveLocal("/a", old.incarnation)).toBeUndefined();
  expect(system.resolveLocal("/a", second.address.incarnation)?.address).toEqual(second.address);
  expect(first.tell(say("for the old one"))).toBe(false);
  second.tell(say("for the new one"));
  await system.idle();
  expect(seen).toEqual(["for the new one"]);
});

test("a crash in terminate is the reason others hear", async () => {
  const { system } = testSystem();
  const ends: ExitReason[] = [];
  const watcher: Watcher = { place: NOWHERE, ended: (reason) => ends.push(reason) };
  const terminate = (): void => {
    throw new Error("in terminate");
  };
  const ref = system.spawn(actorOf<Go>({ terminate }), { name: "a" });
  ref.watch(watcher);
  system.stop(ref);
  await system.idle();
  expect(ends).toMatchObject([{ kind: "crash", error: "Error: in terminate" }]);
});
