/** An injector between a node and the network: framed links over the memory network. */
import { expect, test } from "bun:test";
import { FaultInjector, type FaultRule, partition } from "../../../actors/fault/fault.ts";
import { faultyNet } from "../../../actors/fault/faulty-world.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryNetwork, memoryTransport } from "../../../runtime/transport/memory.ts";
import type { Link, LinkHandlers } from "../../../runtime/transport/transport.ts";

const limits = { frame_limit_bytes: 1 << 20, queue_limit_bytes: 1 << 20 };

type End = { link: Link; readonly got: string[]; readonly closed: string[] };

function newEnd(): End & { handlers: LinkHandlers } {
  const got: string[] = [];
  const closed: string[] = [];
  const handlers = {
    frame: (bytes: Uint8Array) => void got.push(new TextDecoder().decode(bytes)),
    drain: () => {},
    close: (reason: string) => void closed.push(reason),
  };
  return { link: undefined as never, got, closed, handlers };
}

/** The dialling node has the injector. */
async function linked(rules: FaultRule[]) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, new SeededRandom(1), { delay_ms_max: 1 });
  const injector = new FaultInjector({ node: "a", clock, exit: () => {} }, { seed: 1, rules });
  const near = newEnd();
  const far = newEnd();
  const there = memoryTransport(network.net(), limits);
  await there.listen("memory:b", (link) => {
    far.link = link;
    return far.handlers;
  });
  const here = memoryTransport(faultyNet(network.net(), injector), limits);
  const connecting = here
    .connect("memory:b", () => near.handlers, 500)
    .then((link) => {
      near.link = link;
      return "up";
    });
  const outcome = connecting.catch((error) => error.code as string);
  await clock.advance(1_000);
  return { clock, injector, near, far, outcome: await outcome };
}

const send = (end: End, text: string) => end.link.send(new TextEncoder().encode(text));

test("a partition holds both directions until it heals", async () => {
  const { clock, injector, near, far } = await linked([]);
  injector.set({ seed: 1, rules: partition("memory:b", "both", { for_ms: 100 }) });
  send(near, "one");
  send(near, "two");
  send(far, "back");
  await clock.advance(99);
  expect([near.got, far.got]).toEqual([[], []]);
  await clock.advance(5);
  expect([near.got, far.got]).toEqual([["back"], ["one", "two"]]);
  expect([near.closed, far.closed]).toEqual([[], []]);
});

test.each(["in", "out"] as const)("only one direction is cut: %s", async (direction) => {
  const { clock, injector, near, far } = await linked([]);
  injector.set({ seed: 1, rules: partition("memory:b", direction) });
  send(near, "out");
  send(far, "in");
  await clock.advance(100);
  expect([...near.got, ...far.got]).toEqual([direction === "in" ? "out" : "in"]);
});

test("an end that gives up behind a cut cable is told of elsewhere when it heals", async () => {
  const { clock, injector, near, far } = await linked([]);
  injector.set({ seed: 1, rules: partition("memory:b") });
  send(near, "last words");
  near.link.close();
  await clock.advance(100);
  expect([near.closed.length, far.closed.length]).toEqual([1, 0]);
  injector.set({ seed: 1, rules: [] });
  await clock.advance(10);
  expect(far.got).toEqual(["last words"]);
  expect(far.closed.length).toBe(1);
});

test("nobody can be dialled through a cut cable, and nobody listens when it fails", async () => {
  expect((await linked(partition("memory:b"))).outcome).toBe("connect_timeout");
  expect((await linked([{ point: "net.connect", do: "fail" }])).outcome).toBe("connect_failed");
  const late: FaultRule = { point: "net.connect", do: "delay", delay_ms: 100 };
  expect((await linked([late])).outcome).toBe("up");
});

test("what is late keeps its order", async () => {
  const { clock, near, far } = await linked([
    { point: "net.send", do: "delay", delay_ms: 50, nth: 2 },
  ]);
  for (const text of ["one", "two", "three"]) send(near, text);
  await clock.advance(20);
  expect(far.got).toEqual(["one"]);
  await clock.advance(60);
  expect(far.got).toEqual(["one", "two", "three"]);
});

test("a corrupt frame ends the link, and the n-th send that fails does so too", async () => {
  for (const deed of ["corrupt", "fail"] as const) {
    const { clock, near, far } = await linked([{ point: "net.send", do: deed, nth: 2 }]);
    for (const text of ["one", "two", "three"]) send(near, text);
    await clock.advance(20);
    expect(far.got).toEqual(["one"]);
    expect([near.closed.length, far.closed.length]).toEqual([1, 1]);
  }
});

test("nothing is left listening when links have ended", async () => {
  const { clock, near, far, injector } = await linked([]);
  near.link.close();
  await clock.advance(10);
  expect(far.closed.length).toBe(1);
  expect(injector.listening).toBe(0);
});
