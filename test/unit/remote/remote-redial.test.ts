/** A link that broke on one side only: the other takes the new dial, not the dead link. */
import { expect, test } from "bun:test";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { memoryTransport } from "../../../runtime/transport/memory.ts";
import type { Link, LinkHandlers, Transport } from "../../../runtime/transport/transport.ts";
import { type Note, note, probe, type TestMessage } from "../../support/worlds/remote-child.ts";
import { RemoteWorld, type WorldNode } from "../../support/worlds/remote-world.ts";

class Echo extends Actor<TestMessage> {
  override receive(message: TestMessage): void {
    if (message.kind === "probe") this.ctx.reply(note("echo", message.fraction));
  }
}

const limits = { frame_limit_bytes: 32 << 20, queue_limit_bytes: 64 << 20 };

/** A transport whose links can break here without a word to the other side. */
function fragile(under: Transport): { transport: Transport; breakAll: () => void } {
  const breaks: (() => void)[] = [];
  const wrapped = new WeakMap<Link, Link>();
  const wrap = (open: (link: Link) => LinkHandlers) => (link: Link) => {
    let broken = false;
    const mine: Link = {
      send: (frame) => broken || link.send(frame),
      get queued_bytes() {
        return link.queued_bytes;
      },
      pause: () => link.pause(),
      resume: () => link.resume(),
      close: () => {
        if (!broken) link.close();
      },
    };
    wrapped.set(link, mine);
    const handlers = open(mine);
    breaks.push(() => {
      if (broken) return;
      broken = true;
      handlers.close("broken here");
    });
    return {
      frame: (bytes: Uint8Array) => {
        if (!broken) handlers.frame(bytes);
      },
      drain: () => handlers.drain(),
      close: (reason: string) => {
        if (!broken) handlers.close(reason);
      },
    };
  };
  return {
    transport: {
      ...under,
      listen: (address, accept) => under.listen(address, wrap(accept)),
      connect: async (address, open, timeout_ms) =>
        wrapped.get(await under.connect(address, wrap(open), timeout_ms)) as Link,
    },
    breakAll: () => {
      for (const each of breaks) each();
    },
  };
}

async function two(dialler: "a" | "b") {
  const world = new RemoteWorld(3);
  const { transport, breakAll } = fragile(memoryTransport(world.network.net(), limits));
  const a = await world.node("a", { transports: [transport] });
  const b = await world.node("b");
  const farOf = (here: WorldNode, there: WorldNode): Ref<TestMessage> => {
    const ref = there.system.spawn(() => new Echo(), { name: "echo" });
    return refOf<TestMessage>(here.system, wireOf(there.system, ref));
  };
  const atB = farOf(a, b);
  const atA = farOf(b, a);
  const ask = (from: WorldNode, ref: Ref<TestMessage>) =>
    world.outcome(from.system.ask(ref, probe("echo", 7), { deadline_ms: 1_000 }), 2_000);
  const first = dialler === "a" ? await ask(a, atB) : await ask(b, atA);
  expect((first as Note).fraction).toBe(7);
  return { world, a, b, atA, atB, ask, breakAll };
}

test("the side that dialled dials again: it is taken at once, and both directions work", async () => {
  const { world, a, b, atA, atB, ask, breakAll } = await two("a");
  const downs: string[] = [];
  b.system.onDown(atA as Ref, (reason) => downs.push(reason.kind));
  await world.pass(10);
  breakAll();
  expect(((await ask(a, atB)) as Note).fraction).toBe(7);
  expect(((await ask(b, atA)) as Note).fraction).toBe(7);
  // What hung on the old link heard of its end.
  expect(downs).toEqual(["noconnection"]);
  expect(b.remote.peers().length).toBe(1);
});

test("the side that was dialled dials: it is taken as soon as it has missed its heartbeat", async () => {
  const { world, a, atB, ask, breakAll } = await two("b");
  breakAll();
  await world.pass(760);
  expect(((await ask(a, atB)) as Note).fraction).toBe(7);
});
