/** Which hosted router a frontend asks, over nodes that come and go. */
import { expect, test } from "bun:test";
import { nearestDesk } from "../../../cluster/nearest-desk.ts";
import type { ActorRef } from "../../../proto/index.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { actorOf } from "../../support/worlds/actor-of.ts";
import { RemoteWorld, type WorldNode } from "../../support/worlds/remote-world.ts";

async function open() {
  const world = new RemoteWorld(3);
  const front = await world.node("front");
  let told: (desks: readonly ActorRef[]) => void = () => {};
  const watchDesks = (listener: (desks: readonly ActorRef[]) => void) => {
    told = listener;
    listener([]);
    return () => {};
  };
  const { desk, hosted } = nearestDesk(front.system, { watchDesks });
  const host = async (name: string) => {
    const node = await world.node(name);
    node.system.spawn(actorOf({}), { name: "desk" });
    return node;
  };
  const wire = ({ system }: WorldNode) => wireOf(system, system.lookup("/desk")!);
  return {
    world,
    host,
    wire,
    tell: async (...nodes: ActorRef[]) => {
      told(nodes);
      await world.pass(50);
    },
    asked: () => desk()?.address.node,
    hosted,
  };
}

test("the first by name is asked, in whatever order the registry names them", async () => {
  const { host, wire, tell, asked, hosted } = await open();
  const [a, b] = [await host("router-0"), await host("router-1")];
  expect([asked(), hosted()]).toEqual([undefined, false]);
  await tell(wire(b));
  expect(asked()).toBe("router-1");
  await tell(wire(b), wire(a));
  expect(asked()).toBe("router-0");
  await tell();
  expect([asked(), hosted()]).toEqual([undefined, true]);
});

test("the next one is asked from the moment that the first is gone, long before the registry says so", async () => {
  const { world, host, wire, tell, asked } = await open();
  const [a, b] = [await host("router-0"), await host("router-1")];
  await tell(wire(a), wire(b));
  a.net.kill();
  await world.pass(5);
  expect(asked()).toBe("router-1");
  // Each look at the one that is gone is in vain, and costs nobody anything.
  for (let s = 0; s < 5; s++) {
    await world.pass(1_000);
    expect(asked()).toBe("router-1");
  }
  b.net.kill();
  await world.pass(5);
  expect(asked()).toBeUndefined();
});

test("one whose connection broke is asked again a second later", async () => {
  const { world, host, wire, tell, asked } = await open();
  const [a, b] = [await host("router-0"), await host("router-1")];
  await tell(wire(a), wire(b));
  for (const socket of [...a.net.sockets]) socket.close();
  await world.pass(5);
  expect(asked()).toBe("router-1");
  await world.pass(1_100);
  expect(asked()).toBe("router-0");
});
