/** The history of one actor while it is watched; all kinds of cells and handlers. */
import { expect, test } from "bun:test";
import { Actor, type ChildEnded, type Down } from "../../../runtime/kernel/actor.ts";
import type { Cell } from "../../../runtime/kernel/cell.ts";
import type { Ask, Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { ActorRecord } from "../../../runtime/observe/actor-record.ts";
import { supervisor } from "../../../runtime/supervision/supervisor.ts";
import { noBackoff, testSystem } from "../../support/worlds/test-system.ts";

type Counted =
  | { readonly kind: "add"; readonly by: number }
  | { readonly kind: "later"; readonly by: number }
  | { readonly kind: "forward"; readonly to: Ref<Counted> }
  | { readonly kind: "ask_other"; readonly to: Ref<Counted> }
  | { readonly kind: "watch"; readonly ref: Ref }
  | (Ask<number> & { readonly kind: "get" });

class Counter extends Actor<Counted> {
  #total = 0;

  receive(message: Counted): void | Promise<void> {
    switch (message.kind) {
      case "add":
        if (message.by < 0) throw new Error("only up");
        this.#total += message.by;
        return;
      case "later":
        return this.#later(message.by);
      case "forward":
        message.to.tell({ kind: "add", by: 7 });
        return;
      case "ask_other":
        this.ctx.askThen(
          message.to,
          { kind: "get" },
          { deadline_ms: 100 },
          (total) => {
            this.#total = total;
          },
          () => {},
        );
        return;
      case "watch":
        this.ctx.monitor(message.ref);
        return;
      case "get":
        this.ctx.reply(this.#total);
        return;
    }
  }

  override down(_signal: Down): void {
    this.#total = -1;
  }

  override inspect() {
    return { total: this.#total };
  }

  async #later(by: number): Promise<void> {
    await this.ctx.clock.wall_ms();
    if (by < 0) throw new Error("never down");
    this.#total += by;
  }
}

function recorded(system: ActorSystem, path: string) {
  const times = system.watchTurns();
  const record = new ActorRecord(system, path, times);
  const seen = (after = 0) =>
    record.after(after).map(({ seq, kind, before, after: then, crashed }) => ({
      ...{ seq, kind, before: JSON.parse(before).total, after: JSON.parse(then).total },
      ...(crashed === undefined ? {} : { crashed }),
    }));
  return { record, seen };
}

const counter = () => new Counter();

test("each message stands there with the state before and after it", async () => {
  const { system, clock } = testSystem();
  const ref: Ref<Counted> = system.spawn(counter, { name: "a" });
  ref.tell({ kind: "add", by: 1 });
  await system.idle();
  const { record, seen } = recorded(system, "/a");
  ref.tell({ kind: "add", by: 2 });
  ref.tell({ kind: "later", by: 3 });
  const trace = {
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    flags: 1,
  };
  const asked = system.ask(ref, { kind: "get" }, { deadline_ms: 100, trace });
  expect(await asked).toBe(6);
  expect(seen()).toEqual([
    { seq: 1, kind: "add", before: 1, after: 3 },
    { seq: 2, kind: "later", before: 3, after: 6 },
    { seq: 3, kind: "get", before: 6, after: 6 },
  ]);
  expect(seen(2).map(({ seq }) => seq)).toEqual([3]);
  const [first, , third] = record.after(0);
  expect(JSON.parse(first!.message)).toEqual({ kind: "add", by: 2 });
  expect([first!.ask, third!.ask]).toEqual([false, true]);
  expect([first!.trace_id, third!.trace_id]).toEqual([undefined, trace.trace_id]);
  expect(first!.at_ms).toBe(clock.wall_ms());
  record.stop();
});

test("it says how long a message waited, and who sent it in a turn of its own", async () => {
  const { system, clock } = testSystem();
  const a: Ref<Counted> = system.spawn(counter, { name: "a" });
  const b: Ref<Counted> = system.spawn(counter, { name: "b" });
  await system.idle();
  const { record } = recorded(system, "/b");
  system.control("/b", "suspend");
  a.tell({ kind: "forward", to: b });
  await system.idle();
  await clock.advance(250);
  system.control("/b", "resume");
  b.tell({ kind: "add", by: 1 });
  await system.idle();
  expect(record.after(0).map(({ from, waited_ms }) => [from, waited_ms])).toEqual([
    ["test/a", 250],
    [undefined, 0],
  ]);
  record.stop();
});

test("answers to askThen and ends of others are entries too", async () => {
  const { system } = testSystem();
  const a: Ref<Counted> = system.spawn(counter, { name: "a" });
  const b: Ref<Counted> = system.spawn(counter, { name: "b" });
  const { record, seen } = recorded(system, "/a");
  b.tell({ kind: "add", by: 5 });
  a.tell({ kind: "ask_other", to: b });
  await system.idle();
  a.tell({ kind: "watch", ref: b });
  await system.idle();
  system.stop(b);
  await system.idle();
  expect(seen()).toEqual([
    { seq: 1, kind: "ask_other", before: 0, after: 0 },
    { seq: 2, kind: "(answer)", before: 0, after: 5 },
    { seq: 3, kind: "watch", before: 5, after: 5 },
    { seq: 4, kind: "(down)", before: 5, after: -1 },
  ]);
  record.stop();
});

test("a crash stands there, at once or later, and the record goes on with the next life", async () => {
  const { system, clock } = testSystem();
  system.spawn(
    supervisor({
      ...{ strategy: "one_for_one", intensity: 9, period_ms: 1_000, backoff: noBackoff },
      children: [{ id: "c", start: counter }],
    }),
    { name: "s" },
  );
  await system.idle();
  const { record, seen } = recorded(system, "/s/c");
  const tell = async (message: Counted) => {
    (system.lookup("/s/c") as Ref<Counted>).tell(message);
    await system.idle();
  };
  await tell({ kind: "add", by: -1 });
  await clock.advance(100);
  await tell({ kind: "add", by: 4 });
  await tell({ kind: "later", by: -1 });
  await clock.advance(100);
  await tell({ kind: "add", by: 2 });
  expect(seen()).toMatchObject([
    { kind: "add", before: 0, after: 0, crashed: "only up" },
    { kind: "add", before: 0, after: 4 },
    { kind: "later", before: 4, crashed: "never down" },
    { kind: "add", before: 0, after: 2 },
  ]);
  expect(system.counters.crashes).toBe(2);
  record.stop();
});

test("nothing is left on the actor when the record ends", async () => {
  const { system } = testSystem();
  const ref: Ref<Counted> = system.spawn(counter, { name: "a" });
  await system.idle();
  const cell = system.lookup("/a") as Cell;
  const own = () =>
    ["receive", "down", "childEnded"].filter((name) => Object.hasOwn(cell.actor!, name));
  const onCell = () => ["deliver", "call"].filter((name) => Object.hasOwn(cell, name));
  const before = [own(), onCell(), cell.relations?.watchers ?? 0];
  const { record } = recorded(system, "/a");
  expect([own(), onCell()]).toEqual([
    ["receive", "down"],
    ["deliver", "call"],
  ]);
  record.stop();
  expect([own(), onCell(), cell.relations?.watchers ?? 0]).toEqual(before);
  ref.tell({ kind: "add", by: 1 });
  expect(await system.ask(ref, { kind: "get" }, { deadline_ms: 10 })).toBe(1);
  expect(record.after(0)).toEqual([]);
});

test("cells of fault injection and of encoded hops work as before", async () => {
  const steps: string[] = [];
  const hook = {
    deliver: () => ({ kind: "pass" }) as const,
    before: (_path: string, { kind }: Message) => void steps.push(`before ${kind}`),
    after: (_path: string, { kind }: Message) => void steps.push(`after ${kind}`),
  };
  const codec = { roundTrip: (message: Message) => ({ ...message }) };
  for (const options of [{ steps: hook }, { encode_every_hop: codec }]) {
    const { system } = testSystem(1, options);
    const ref: Ref<Counted> = system.spawn(counter, { name: "a" });
    await system.idle();
    const { record, seen } = recorded(system, "/a");
    ref.tell({ kind: "add", by: 1 });
    ref.tell({ kind: "later", by: 1 });
    await system.idle();
    record.stop();
    ref.tell({ kind: "add", by: 1 });
    await system.idle();
    expect(seen()).toEqual([
      { seq: 1, kind: "add", before: 0, after: 1 },
      { seq: 2, kind: "later", before: 1, after: 2 },
    ]);
    expect(system.snapshot("/a")).toEqual({ total: 3 });
  }
  const each = [
    "before add",
    "after add",
    "before later",
    "after later",
    "before add",
    "after add",
  ];
  expect(steps).toEqual(each);
});

test("it keeps the last 256, and does not write down more than so many a second", async () => {
  const { system, clock } = testSystem();
  const ref: Ref<Counted> = system.spawn(counter, { name: "a" });
  await system.idle();
  const { record } = recorded(system, "/a");
  for (let i = 0; i < 300; i++) ref.tell({ kind: "add", by: 1 });
  await system.idle();
  expect([record.after(0).length, record.dropped]).toEqual([256, 44]);
  await clock.advance(1_000);
  for (let i = 0; i < 10; i++) ref.tell({ kind: "add", by: 1 });
  await system.idle();
  const kept = record.after(0);
  expect([kept.length, kept[0]?.seq, kept.at(-1)?.seq]).toEqual([256, 11, 266]);
  expect(JSON.parse(kept.at(-1)!.after)).toEqual({ total: 310 });
  // A record before this one has counted further.
  expect(record.after(1_000).length).toBe(256);
  record.stop();
});

test("an actor that hears of its children's ends is recorded there, others are asked as before", async () => {
  class Parent extends Actor<{ readonly kind: "x" }> {
    readonly #ended: string[] = [];
    override init(): void {
      this.ctx.spawn(counter, { name: "child" });
    }
    receive(): void {}
    override childEnded({ name }: ChildEnded): void {
      this.#ended.push(name);
    }
    override inspect() {
      return { total: this.#ended.length };
    }
  }
  const { system } = testSystem();
  system.spawn(() => new Parent(), { name: "p" });
  await system.idle();
  const { record, seen } = recorded(system, "/p");
  system.control("/p/child", "kill");
  await system.idle();
  expect(seen()).toEqual([{ seq: 1, kind: "(child ended)", before: 0, after: 1 }]);
  record.stop();
});
