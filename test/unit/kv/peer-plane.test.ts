/** Blocks from one keeper to another: over a simulated network with its faults, and over TCP. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BlockPlane } from "../../../actors/kv/peer/plane.ts";
import type { Pulled } from "../../../actors/kv/peer/pull.ts";
import type { Net, Socket, SocketHandlers } from "../../../runtime/capabilities.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { realRandom } from "../../../runtime/real/random.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryNetwork } from "../../../runtime/transport/memory.ts";
import { blockBytes, planeOn, TestReading, TestTarget } from "../../support/block-peers.ts";

const SIZE = 5_000;
const row = (count: number, first = 1) =>
  Array.from({ length: count }, (_, i) => BigInt(first + i));

async function two(seed = 1, touch: (net: Net) => Net = (net) => net) {
  const clock = new VirtualClock();
  const network = new MemoryNetwork(clock, new SeededRandom(seed), {
    ...{ delay_ms_min: 1, delay_ms_max: 5, split_bytes_max: 3_000, window_bytes: 8_192 },
  });
  const [near_net, far_net] = [network.net(), network.net()];
  const near = planeOn(near_net, clock, new SeededRandom(seed + 1));
  const far = planeOn(touch(far_net), clock, new SeededRandom(seed + 2));
  const address = await far.listen("tcp:far:0");
  return { clock, near, far, near_net, far_net, address };
}

type Two = Awaited<ReturnType<typeof two>>;

function pull({ clock, near, far, address }: Two, reading: TestReading, target: TestTarget) {
  return (hashes: readonly bigint[], within_ms = 20_000) => {
    const until_ms = clock.now_ms() + within_ms;
    const ticket = far.ticket(reading, until_ms)!;
    const ends: Pulled[] = [];
    const plan = { address, ticket, hashes, block_bytes: SIZE, window: 4, until_ms };
    const started = near.pull(plan, target, (pulled) => void ends.push(pulled));
    return { ends, ticket, plan, cancel: () => started.cancel() };
  };
}

function expectNothingLeft(planes: readonly BlockPlane[]): void {
  for (const { live } of planes) expect(live).toEqual({ tickets: 0, reading: 0, pulling: 0 });
}

describe("a pull", () => {
  test("brings the blocks in order, and only those that are not here yet", async () => {
    const world = await two();
    const reading = new TestReading(row(20), SIZE);
    const target = new TestTarget(20, SIZE, [3n, 4n]);
    const { ends } = pull(world, reading, target)(row(20));
    await world.clock.advance(2_000);
    expect(ends).toEqual([{ end: "done", blocks: 20, bytes: 20 * SIZE, heard: true }]);
    expect(target.filled_hashes).toEqual(row(20).filter((hash) => hash !== 3n && hash !== 4n));
    for (const [hash, bytes] of target.memory) {
      expect(Buffer.compare(bytes, blockBytes(hash, SIZE))).toBe(0);
    }
    expect(reading.closed).toBe(1);
    expect(world.near.counts()).toMatchObject({ pulled_blocks: 20, pulls: { done: 1 } });
    expect(world.far.counts()).toMatchObject({ sent_bytes: 20 * SIZE, reads: { done: 1 } });
    expectNothingLeft([world.near, world.far]);
  });

  test("has each block as soon as it is there, however long the next one takes", async () => {
    const world = await two();
    const reading = new TestReading(row(2), SIZE);
    for (const hash of row(2, 3)) reading.set(hash, "coming");
    const target = new TestTarget(4, SIZE);
    const { ends } = pull(world, reading, target)(row(4));
    await world.clock.advance(6_000);
    expect(target.filled_hashes).toEqual(row(2));
    expect(ends).toEqual([]);
    reading.put(3n, blockBytes(3n, SIZE));
    await world.clock.advance(500);
    expect(target.filled_hashes).toEqual(row(3));
    reading.set(4n, "gone");
    await world.clock.advance(500);
    expect(ends).toMatchObject([{ end: "gone", blocks: 3, bytes: 3 * SIZE }]);
    expect(target.dropped_hashes).toEqual([4n]);
    expectNothingLeft([world.near, world.far]);
  });

  test("ends at a block whose bytes are not those of its checksum", async () => {
    const world = await two();
    const reading = new TestReading(row(6), SIZE);
    reading.put(3n, blockBytes(33n, SIZE), Bun.hash.xxHash3(blockBytes(3n, SIZE)));
    const target = new TestTarget(6, SIZE);
    const { ends } = pull(world, reading, target)(row(6));
    await world.clock.advance(2_000);
    expect(ends).toMatchObject([{ end: "corrupt", blocks: 2 }]);
    expect(target.filled_hashes).toEqual(row(2));
    expect([...target.memory.keys()]).toEqual(row(2));
    expect(world.near.counts().pulls).toEqual({ corrupt: 1 });
    expect(reading.closed).toBe(1);
    expectNothingLeft([world.near, world.far]);
  });

  test("has a ticket that is good once, for its blocks, and for a while", async () => {
    const world = await two();
    const reading = new TestReading(row(2), SIZE);
    const target = new TestTarget(8, SIZE);
    const first = pull(world, reading, target)(row(2));
    await world.clock.advance(1_000);
    const again: Pulled[] = [];
    world.near.pull(first.plan, target, (pulled) => void again.push(pulled));
    await world.clock.advance(1_000);
    expect(again).toMatchObject([{ end: "refused", blocks: 0 }]);
    const other = pull(world, new TestReading(row(2), SIZE), new TestTarget(8, SIZE))(row(2, 77));
    await world.clock.advance(1_000);
    expect(other.ends).toMatchObject([{ end: "gone", blocks: 0 }]);
    const unused = new TestReading(row(1), SIZE);
    expect(world.far.ticket(unused, world.clock.now_ms() + 500)).toBeDefined();
    await world.clock.advance(501);
    expect(unused.closed).toBe(1);
    expectNothingLeft([world.near, world.far]);
  });

  test("hears its sender at once, however long the first block takes", async () => {
    for (const is_there of [true, false]) {
      const world = await two();
      const reading = new TestReading([], SIZE);
      reading.set(1n, "coming");
      const pulling = pull(world, reading, new TestTarget(1, SIZE))(row(1));
      if (!is_there) world.far_net.freeze();
      await world.clock.advance(100);
      pulling.cancel();
      expect(pulling.ends).toMatchObject([{ end: "cancelled", heard: is_there }]);
    }
  });

  test("may be given up in the moment that a block is told of", async () => {
    const world = await two();
    const reading = new TestReading(row(4), SIZE);
    const target = new TestTarget(4, SIZE);
    const pulling = pull(world, reading, target)(row(4));
    target.onFilled = (hash) => {
      if (hash === 2n) pulling.cancel();
    };
    await world.clock.advance(4_000);
    expect(pulling.ends).toMatchObject([{ end: "cancelled", blocks: 2 }]);
    expect([...target.memory.keys()]).toEqual(row(2));
    expect(target.dropped_hashes).toEqual([3n, 4n]);
    expectNothingLeft([world.near, world.far]);
  });

  test("ends where there is no room, and at its deadline", async () => {
    const world = await two();
    const small = pull(world, new TestReading(row(6), SIZE), new TestTarget(3, SIZE))(row(6));
    await world.clock.advance(1_000);
    expect(small.ends).toMatchObject([{ end: "full", blocks: 3 }]);
    const slow = new TestReading([], SIZE);
    slow.set(1n, "coming");
    const target = new TestTarget(3, SIZE);
    const late = pull(world, slow, target)(row(1), 700);
    await world.clock.advance(699);
    expect(late.ends).toEqual([]);
    await world.clock.advance(1);
    expect(late.ends).toMatchObject([{ end: "late", blocks: 0 }]);
    expect(target.dropped_hashes).toEqual([1n]);
    await world.clock.advance(1_000);
    expect(slow.closed).toBe(1);
    expectNothingLeft([world.near, world.far]);
  });

  test("notices a sender that is dead, frozen, or was never there", async () => {
    for (const how of ["kill", "freeze"] as const) {
      const world = await two();
      const reading = new TestReading([], SIZE);
      reading.set(1n, "coming");
      const { ends } = pull(world, reading, new TestTarget(3, SIZE))(row(1));
      await world.clock.advance(1_500);
      world.far_net[how]();
      await world.clock.advance(6_000);
      // The timers of a frozen one go on here: whoever loses patience first hangs up.
      const may_be = how === "kill" ? ["broken"] : ["broken", "silent"];
      expect(may_be).toContain(ends[0]?.end ?? "no end");
    }
    const world = await two();
    world.far_net.kill();
    const { ends } = pull(world, new TestReading(row(1), SIZE), new TestTarget(3, SIZE))(row(1));
    await world.clock.advance(6_000);
    expect(ends).toMatchObject([{ end: "unreachable", blocks: 0 }]);
  });

  test("whose puller is dead, frozen or cancelled gives the sender its blocks back", async () => {
    for (const how of ["kill", "freeze", "cancel"] as const) {
      const world = await two();
      const reading = new TestReading(row(1), SIZE);
      reading.set(2n, "coming");
      const pulling = pull(world, reading, new TestTarget(3, SIZE))(row(2));
      await world.clock.advance(1_500);
      if (how === "cancel") pulling.cancel();
      else world.near_net[how]();
      await world.clock.advance(6_000);
      expect(reading.closed).toBe(1);
      expect(world.far.live).toEqual({ tickets: 0, reading: 0, pulling: 0 });
    }
  });
});

test("whoever says something else than a puller is hung up on", async () => {
  const { clock, near_net, far, address } = await two();
  const closed: string[] = [];
  const handlers = { data: () => {}, drain: () => {}, close: (why: string) => closed.push(why) };
  const talker = await connecting(clock, near_net.connect(address, handlers, 1_000));
  talker.write(Buffer.from("GET / HTTP/1.1\r\nhost: far\r\n\r\n"));
  await connecting(clock, near_net.connect(address, handlers, 1_000));
  expect(far.live.reading).toBe(1);
  await clock.advance(6_000);
  expect(closed.length).toBe(2);
  expect(far.counts().reads).toEqual({ misread: 1, silent: 1 });
});

async function connecting(clock: VirtualClock, socket: Promise<Socket>): Promise<Socket> {
  await clock.advance(50);
  return await socket;
}

/** One bit of what is written there turns at a time. */
const flipping = (net: Net, at_byte: number): Net => ({
  ...net,
  connect: (...given) => net.connect(...given),
  listen: (address, accept) =>
    net.listen(address, (socket): SocketHandlers => {
      let passed = 0;
      return accept({
        write: (bytes) => {
          const at = at_byte - passed;
          passed += bytes.length;
          if (at < 0 || at >= bytes.length) return socket.write(bytes);
          const copy = bytes.slice();
          copy[at] = copy[at]! ^ 4;
          return socket.write(copy);
        },
        get buffered_bytes() {
          return socket.buffered_bytes;
        },
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        close: () => socket.close(),
      });
    }),
});

test("a flipped bit anywhere in the stream leaves no wrong block, and every pull ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(4 * (SIZE + 24) + 24), fc.nat(1_000), async (at, seed) => {
      const world = await two(seed, (net) => flipping(net, at));
      const reading = new TestReading(row(4), SIZE);
      const target = new TestTarget(4, SIZE);
      const { ends } = pull(world, reading, target)(row(4));
      await world.clock.advance(25_000);
      expect(ends.length).toBe(1);
      for (const hash of target.filled_hashes) {
        expect(Buffer.compare(target.memory.get(hash)!, blockBytes(hash, SIZE))).toBe(0);
      }
      expect(target.memory.size).toBe(target.filled_hashes.length);
      expect(reading.closed).toBe(1);
      expectNothingLeft([world.near, world.far]);
    }),
    { numRuns: 60 },
  );
});

test("kills and cancels at any moment strand no slot and no reading", async () => {
  const moment = fc.integer({ min: 0, max: 150 });
  const how = fc.constantFrom("near", "far", "cancel", "freeze", "none");
  await fc.assert(
    fc.asyncProperty(moment, how, fc.nat(1_000), async (at_ms, what, seed) => {
      const world = await two(seed);
      const reading = new TestReading(row(12), SIZE);
      const target = new TestTarget(12, SIZE);
      const pulling = pull(world, reading, target)(row(12));
      await world.clock.advance(at_ms);
      if (what === "near") world.near_net.kill();
      if (what === "far") world.far_net.kill();
      if (what === "freeze") world.far_net.freeze();
      if (what === "cancel") pulling.cancel();
      await world.clock.advance(25_000);
      if (what !== "near") {
        expect(pulling.ends.length).toBe(1);
        expect(target.memory.size).toBe(target.filled_hashes.length);
        expect(world.near.live.pulling).toBe(0);
      }
      if (what === "far" || what === "freeze") return;
      expect(reading.closed).toBe(1);
      expectNothingLeft([world.far]);
    }),
    { numRuns: 100 },
  );
});

test("the same over TCP, with blocks that no kernel buffer takes at once", async () => {
  const size = 3_000_000;
  const clock = realClock();
  const [near, far] = [realNet(), realNet()].map((net) => planeOn(net, clock, realRandom()));
  const address = await far!.listen("tcp:127.0.0.1:0");
  expect(address).toMatch(/^tcp:127\.0\.0\.1:[1-9]\d*$/);
  const until_ms = clock.now_ms() + 30_000;
  const ticket = far!.ticket(new TestReading(row(12), size), until_ms)!;
  const target = new TestTarget(12, size);
  const plan = { address, ticket, hashes: row(12), block_bytes: size, window: 3, until_ms };
  const pulled = await new Promise<Pulled>((resolve) => void near!.pull(plan, target, resolve));
  expect(pulled).toMatchObject({ end: "done", blocks: 12, bytes: 12 * size });
  for (const [hash, bytes] of target.memory) {
    expect(Buffer.compare(bytes, blockBytes(hash, size))).toBe(0);
  }
  expect(far!.counts().reads).toEqual({ done: 1 });
  near!.close();
  far!.close();
  const refused = new Promise<Pulled>((resolve) => void near!.pull(plan, target, resolve));
  expect(await refused).toMatchObject({ end: "unreachable" });
});
