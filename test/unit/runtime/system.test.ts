import { expect, test } from "bun:test";
import type { Ask, Message } from "../../../runtime/kernel/message.ts";
import { formatAddress, sameActor } from "../../../runtime/kernel/ref.ts";
import { supervisor } from "../../../runtime/supervision/supervisor.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { noBackoff, testSystem } from "../../support/worlds/test-system.ts";

type Ping = Ask<string> & { readonly kind: "ping" };
type Boom = { readonly kind: "boom" };
type Protocol = Ping | Boom;

const worker = actorOf<Protocol>({
  receive: (message, ctx) => {
    if (message.kind === "boom") throw new Error("boom");
    ctx.reply("pong");
  },
  inspect: () => ({ mood: "calm" }),
});

test("the tree names every supervisor and actor with its state, restarts and traffic", async () => {
  const { system } = testSystem();
  const spec = {
    backoff: noBackoff,
    children: [
      { id: "one", start: worker, role: "worker" },
      { id: "two", start: worker, role: "worker" },
    ],
  };
  system.spawn(supervisor(spec), { name: "workers" });
  const one = () => system.lookup("/workers/one");
  one()?.tell({ kind: "boom" });
  await system.idle();
  const life = one();
  if (life === undefined) throw new Error("not restarted");
  await system.ask(life, { kind: "ping" } as Message, { deadline_ms: 10 });
  const base = {
    kind: "actor" as const,
    role: "worker",
    pid: 0,
    state: "running",
    mailbox: 0,
    oldest_ms: 0,
  };
  expect(system.tree()).toEqual([
    {
      id: "test/workers",
      path: "/workers",
      kind: "supervisor",
      role: "workers",
      pid: 0,
      state: "running",
      restarts: 0,
      mailbox: 0,
      oldest_ms: 0,
      handled: 0,
      children: ["test/workers/one", "test/workers/two"],
    },
    {
      ...base,
      id: "test/workers/one",
      path: "/workers/one",
      restarts: 1,
      handled: 1,
      last_crash: "crash: Error: boom",
      children: [],
    },
    {
      ...base,
      id: "test/workers/two",
      path: "/workers/two",
      restarts: 0,
      handled: 0,
      children: [],
    },
  ]);
});

test("control says whether it could", async () => {
  const { system } = testSystem();
  system.spawn(worker, { name: "a" });
  expect(system.control("/nobody", "stop")).toBe(false);
  expect(system.control("nonsense", "stop")).toBe(false);
  expect(system.control("/a", "restart")).toBe(false);
  expect(system.control("/a", "kill")).toBe(true);
  await system.idle();
  expect(system.lookup("/a")).toBeUndefined();
  expect(system.lookup("/a/b")).toBeUndefined();
});

test("a snapshot shows the actor's own state, a supervisor's shows its children", () => {
  const { system } = testSystem();
  system.spawn(worker, { name: "a" });
  system.spawn(supervisor({ children: [{ id: "w", start: worker }] }), { name: "s" });
  expect(system.snapshot("/a")).toEqual({ mood: "calm" });
  expect(system.snapshot("/s")).toEqual({
    strategy: "one_for_one",
    intensity: 1,
    period_ms: 5000,
    recent_restarts: 0,
    children: [
      { id: "w", status: "running", restarts: 0, crash_loop: false, last_crash: undefined },
    ],
  });
  expect(system.snapshot("/nobody")).toBeUndefined();
});

test("an awaiting actor shows how long its oldest message has waited", async () => {
  const { system, clock } = testSystem();
  const stuck = system.spawn(actorOf<Boom>({ receive: () => new Promise(() => {}) }), {
    name: "stuck",
  });
  stuck.tell({ kind: "boom" });
  stuck.tell({ kind: "boom" });
  await clock.advance(250);
  expect(system.tree()[0]).toMatchObject({ state: "waiting", mailbox: 1, oldest_ms: 250 });
});

test("references compare by life, not by object", async () => {
  const { system } = testSystem();
  const a = system.spawn(worker, { name: "a" });
  const b = system.spawn(worker, { name: "b" });
  const { address } = a;
  const alias = { ...address, path: "/a" };
  expect(sameActor(a, a)).toBe(true);
  expect(sameActor(a, b)).toBe(false);
  expect(JSON.stringify({ a })).toBe(`{"a":"${formatAddress(alias)}"}`);
});

test("shutdown stops the last started first, and kills what is left after its budget", async () => {
  const { system, clock } = testSystem();
  const ended: string[] = [];
  for (const name of ["first", "second", "third"]) {
    const terminate = (): void => void ended.push(name);
    system.spawn(actorOf<Boom>({ terminate }), { name });
  }
  await system.shutdown();
  expect(ended).toEqual(["third", "second", "first"]);
  expect(() => system.spawn(worker, { name: "late" })).toThrow("is ending");
  expect(clock.pending).toBe(0);
  const hanging = testSystem();
  const terminate = (): Promise<void> => new Promise(() => {});
  hanging.system.spawn(actorOf<Boom>({ terminate }), {
    name: "hangs",
    shutdown_ms: "infinity",
  });
  const down = hanging.system.shutdown(1000);
  await hanging.clock.advance(999);
  expect(hanging.system.tree().length).toBe(1);
  await hanging.clock.advance(1);
  await down;
  expect(hanging.system.tree()).toEqual([]);
  await hanging.system.shutdown();
});

test("with encode_every_hop each message is another object when it arrives", async () => {
  let hops = 0;
  const encode_every_hop = {
    roundTrip: (message: Message): Message => {
      hops++;
      return JSON.parse(JSON.stringify(message));
    },
  };
  const { system } = testSystem(1, { encode_every_hop });
  const got: Message[] = [];
  const ref = system.spawn(actorOf<Message>({ receive: (message) => void got.push(message) }), {
    name: "a",
  });
  const sent = { kind: "boom" };
  ref.tell(sent);
  await system.idle();
  expect(got).toEqual([sent]);
  expect(got[0]).not.toBe(sent);
  expect(hops).toBe(1);
});

test("counters tell what happened", async () => {
  const { system } = testSystem();
  const ref = system.spawn(worker, { name: "a" });
  await system.ask(ref, { kind: "ping" }, { deadline_ms: 10 });
  ref.tell({ kind: "boom" });
  await system.idle();
  expect(system.counters).toEqual({
    asks: 1,
    late_replies: 0,
    expired_asks: 0,
    refused: 0,
    started: 2,
    stopped: 1,
    crashes: 1,
  });
});
