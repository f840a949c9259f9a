/** Links over a bus that forgets: nothing lost, nothing twice, an end when it takes too long. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { type MemoryBus, MemoryBusWorld } from "../../../runtime/transport/memory-bus.ts";
import { type NatsTransport, natsTransport } from "../../../runtime/transport/nats.ts";
import type { Link } from "../../../runtime/transport/transport.ts";

const limits = { frame_limit_bytes: 32 << 20, queue_limit_bytes: 64 << 20 };

type Side = {
  readonly bus: MemoryBus;
  readonly transport: NatsTransport;
  readonly frames: Uint8Array[];
  readonly closes: string[];
  link: Link;
};

async function pair(seed: number, lost = 0) {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const world = new MemoryBusWorld(clock, random, { delay_ms_max: 2, payload_limit_bytes: 2_000 });
  const side = (): Side => {
    const bus = world.client();
    const transport = natsTransport(bus, { clock, random }, limits, { prefix: "t" });
    return { bus, transport, frames: [], closes: [], link: undefined as unknown as Link };
  };
  const near = side();
  const far = side();
  const open = (of: Side) => (link: Link) => {
    of.link = link;
    return {
      frame: (bytes: Uint8Array) => void of.frames.push(bytes),
      drain: () => {},
      close: (reason: string) => void of.closes.push(reason),
    };
  };
  const listening = far.transport.listen("nats:far", open(far));
  await clock.advance(5);
  await listening;
  const dialling = near.transport.connect("nats:far", open(near), 2_000);
  await clock.advance(10);
  await dialling;
  world.options = { ...world.options, lost };
  return { clock, world, near, far };
}

const frame = (index: number, size: number) => {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
};
const indices = (side: Side) =>
  side.frames.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

const heard_again_ms = 2_000;

test("whatever is lost and whenever the bus goes, frames arrive once, in order, both ways", async () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ send: fc.integer({ min: 4, max: 9_000 }) }) },
    { weight: 3, arbitrary: fc.record({ pass_ms: fc.integer({ min: 1, max: 400 }) }) },
    { weight: 1, arbitrary: fc.record({ down_ms: fc.integer({ min: 1, max: 20_000 }) }) },
    { weight: 1, arbitrary: fc.record({ cut_ms: fc.integer({ min: 1, max: 5_000 }) }) },
    { weight: 1, arbitrary: fc.record({ pause_ms: fc.integer({ min: 1, max: 3_000 }) }) },
  );
  const steps = fc.array(step, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      steps,
      fc.constantFrom(0, 0.02, 0.3),
      async (seed, all, lost) => {
        const { clock, world, near, far } = await pair(seed, lost);
        let sent = 0;
        for (const one of all) {
          if ("send" in one) {
            expect(near.link.send(frame(sent, one.send))).toBe(true);
            expect(far.link.send(frame(sent, one.send))).toBe(true);
            sent++;
          } else if ("pass_ms" in one) await clock.advance(one.pass_ms);
          else if ("down_ms" in one) {
            world.down();
            await clock.advance(one.down_ms);
            world.comeBack(500);
          } else if ("cut_ms" in one) {
            far.bus.cut(true);
            await clock.advance(one.cut_ms);
            far.bus.cut(false);
            // Cuts in a row, or one beside heartbeats that are lost, would be longer than the
            // silence that ends a link.
            world.options = { ...world.options, lost: 0 };
            await clock.advance(heard_again_ms);
            world.options = { ...world.options, lost };
          } else {
            near.link.pause();
            await clock.advance(one.pause_ms);
            near.link.resume();
          }
        }
        world.options = { ...world.options, lost: 0 };
        await clock.advance(10_000);
        expect(near.closes.concat(far.closes)).toEqual([]);
        expect(indices(far)).toEqual(upTo(sent));
        expect(indices(near)).toEqual(upTo(sent));
        expect(near.link.queued_bytes + far.link.queued_bytes).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test("a link says while its bus is away, and breaks on both sides after the limit", async () => {
  const { clock, world, near, far } = await pair(1);
  world.down();
  expect([near.link.away, far.link.away]).toEqual([true, true]);
  near.link.send(frame(0, 10));
  await clock.advance(59_000);
  expect(near.closes).toEqual([]);
  await clock.advance(2_000);
  expect(near.closes).toEqual(["the bus was away for over 60000 ms"]);
  expect(far.closes).toEqual(near.closes);
  expect([near.transport.links, far.transport.links]).toEqual([0, 0]);
});

test("a link that only one side still has ends there as soon as it says something", async () => {
  const { clock, near, far } = await pair(2);
  far.bus.cut(true);
  far.link.close();
  await clock.advance(2_000);
  expect(far.closes).toEqual(["closed here"]);
  far.bus.cut(false);
  near.link.send(frame(0, 10));
  await clock.advance(500);
  expect(near.closes).toEqual(["closed by the peer"]);
  expect(indices(far)).toEqual([]);
});

test("a peer that vanished breaks the link within its limit", async () => {
  const { clock, near, far } = await pair(3);
  await far.bus.close();
  near.link.send(frame(0, 10));
  await clock.advance(13_000);
  expect(near.closes).toEqual(["nothing was heard for 10000 ms"]);
});

test("an address with wildcards or spaces is refused", async () => {
  const { near } = await pair(4);
  for (const address of ["nats:a.*", "nats:a b", "nats:>", "nats:", "unix:/a"]) {
    const dial = near.transport.connect(address, () => ({}) as never, 100);
    await expect(dial).rejects.toMatchObject({ code: "bad_address" });
  }
});

test("garbage on the bus changes nothing", async () => {
  const { clock, world, near, far } = await pair(5);
  const stranger = world.client();
  const random = new SeededRandom(9);
  for (let i = 0; i < 300; i++) {
    const bytes = Uint8Array.from({ length: random.u32() % 12 }, () => random.u32() & 255);
    // Not a whole message of this link: those are a peer's word, and peers are trusted.
    if (bytes.length > 0 && bytes[0] !== 4) stranger.publish(far.transport.inbox, bytes);
  }
  near.link.send(frame(0, 10));
  await clock.advance(500);
  expect(indices(far)).toEqual([0]);
  expect(far.closes).toEqual([]);
});
