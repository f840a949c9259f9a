/** Nodes over a bus: an outage is no death, a long one is, and an end that somebody saw is told. */
import { expect, test } from "bun:test";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { isAway, refOf, wireOf } from "../../../runtime/remote/node.ts";
import { MemoryBusWorld } from "../../../runtime/transport/memory-bus.ts";
import { natsTransport } from "../../../runtime/transport/nats.ts";
import { note, probe, type TestMessage } from "../../support/worlds/remote-child.ts";
import { RemoteWorld } from "../../support/worlds/remote-world.ts";

class Subject extends Actor<TestMessage> {
  readonly got: number[] = [];
  override receive(message: TestMessage): void {
    if (message.kind === "probe") this.ctx.reply(note("echo", this.got.length));
    else this.got.push(message.fraction);
  }
}

const limits = { frame_limit_bytes: 32 << 20, queue_limit_bytes: 64 << 20 };

async function two() {
  const world = new RemoteWorld(7);
  const bus = new MemoryBusWorld(world.clock, world.random, { delay_ms_max: 2 });
  const join = async (name: string) => {
    const client = bus.client();
    const options = { prefix: "t", name };
    const transport = natsTransport(client, world, limits, options);
    const node = await world.node(name, { transports: [transport], listen: `nats:${name}` });
    return { ...node, transport, client };
  };
  const [a, b, c] = [await join("a"), await join("b"), await join("c")];
  const subject = new Subject();
  const ref = b.system.spawn(() => subject, { name: "subject" });
  const far = refOf<TestMessage>(a.system, wireOf(b.system, ref));
  const downs: string[] = [];
  a.system.onDown(far as Ref, ({ kind }) => downs.push(kind));
  await world.pass(100);
  return { world, bus, a, b, c, far, subject, downs };
}

test("tells and asks of an outage of 30 s arrive once it is over, once and in order", async () => {
  const { world, bus, a, far, subject, downs } = await two();
  let sent = 0;
  const say = () => expect(far.tell(note("n", sent++))).toBe(true);
  say();
  await world.pass(10);
  bus.down();
  await world.pass(100);
  expect(isAway(a.system, far as Ref)).toBe(true);
  for (let i = 0; i < 50; i++) say();
  const asked = a.system.ask(far, probe("echo"), { deadline_ms: 60_000 });
  await world.pass(30_000);
  expect(subject.got.length).toBe(1);
  bus.comeBack(500);
  expect(await world.outcome(asked, 5_000)).toMatchObject({ fraction: 51 });
  expect(isAway(a.system, far as Ref)).toBe(false);
  expect(subject.got).toEqual(Array.from({ length: 51 }, (_, i) => i));
  await world.pass(20_000);
  expect(downs).toEqual([]);
});

test("an outage of more than a minute ends the connection; the next message makes another", async () => {
  const { world, bus, far, subject, downs } = await two();
  bus.down();
  await world.pass(61_000);
  expect(downs).toEqual(["noconnection"]);
  bus.comeBack(100);
  await world.pass(300);
  far.tell(note("n", 7));
  await world.pass(100);
  expect(subject.got).toEqual([7]);
});

test("only one side's connection to the bus breaks: the other gives it up, both heal", async () => {
  const { world, b, far, subject, downs } = await two();
  b.client.cut(true);
  await world.pass(6_000);
  expect(downs).toEqual(["noconnection"]);
  b.client.cut(false);
  await world.pass(1_000);
  far.tell(note("n", 8));
  await world.pass(1_000);
  expect(subject.got).toEqual([8]);
});

test("whoever started a process tells of its end: links to it break at once", async () => {
  const { world, b, c, downs } = await two();
  await b.client.close();
  await world.pass(10);
  expect(downs).toEqual([]);
  c.transport.tellEnd("nats:b");
  await world.pass(10);
  expect(downs).toEqual(["noconnection"]);
});
