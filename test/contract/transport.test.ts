/**
 * Every transport keeps the same promises; a new one joins by a line in `worlds`.
 *
 * Long because it is the whole contract, run over every transport.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Listener } from "../../runtime/capabilities.ts";
import { realClock } from "../../runtime/real/clock.ts";
import { natsBus } from "../../runtime/real/nats-bus.ts";
import { realNet } from "../../runtime/real/net.ts";
import { realRandom } from "../../runtime/real/random.ts";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { VirtualClock } from "../../runtime/simulation/virtual-clock.ts";
import { FrameReader, framedTransport } from "../../runtime/transport/framing.ts";
import { MemoryNetwork, memoryTransport } from "../../runtime/transport/memory.ts";
import { type MemoryBusOptions, MemoryBusWorld } from "../../runtime/transport/memory-bus.ts";
import { natsTransport } from "../../runtime/transport/nats.ts";
import {
  type Link,
  type LinkLimits,
  schemeOf,
  type Transport,
  TransportError,
  wayTo,
} from "../../runtime/transport/transport.ts";
import { unixTransport } from "../../runtime/transport/unix.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { freePort, natsServer, stopServers } from "../support/plane-servers.ts";

const limits: LinkLimits = {
  frame_limit_bytes: 32 * 1024 * 1024,
  queue_limit_bytes: 4 * 1024 * 1024,
};

type World = {
  readonly transport: Transport;
  /** Of the dialling side, where the two are different processes in truth. */
  readonly dialling?: Transport;
  readonly address: (name: string) => string;
  /** Lets the other side's events come. */
  readonly pass: () => Promise<void>;
  readonly close: () => void;
};

const worlds: Record<string, () => World> = {
  memory: () => memoryWorld(0, 0),
  "memory with delays and half frames": () => memoryWorld(3, 1_000),
  tcp: () => {
    const ports = new Map<string, number>();
    return {
      transport: framedTransport(realNet(), "tcp", limits),
      address: (name) => {
        const port = ports.get(name) ?? freePort("127.0.0.1");
        ports.set(name, port);
        return `tcp:127.0.0.1:${port}`;
      },
      pass: () => Bun.sleep(1),
      close: () => {},
    };
  },
  unix: () => {
    const folder = mkdtempSync(join(tmpdir(), "troupe-transport-"));
    return {
      transport: unixTransport(realNet(), limits),
      address: (name) => `unix:${folder}/${name}.sock`,
      pass: () => Bun.sleep(1),
      close: () => rmSync(folder, { recursive: true }),
    };
  },
  "nats over a memory bus": () => busWorld({}),
  "nats over a memory bus that delays and loses one message in ten": () =>
    busWorld({ delay_ms_max: 3, lost: 0.1 }),
  "nats over a memory bus with small payloads": () => busWorld({ payload_limit_bytes: 4_096 }),
};

if (isHere(lacksProgram("nats-server"), "a transport over a real nats-server")) {
  const server = await natsServer();
  const small = await natsServer(["-c", smallPayloads()]);
  for (const [name, { url }] of Object.entries({
    "a real nats-server": server,
    "a real nats-server with max_payload 8 KB": small,
  })) {
    const far = natsBus({ url, client_name: "far", env: {} });
    const near = natsBus({ url, client_name: "near", env: {} });
    await Promise.all([far.ready(5_000), near.ready(5_000)]);
    let prefixes = 0;
    worlds[name] = () => {
      const world = { clock: realClock(), random: realRandom() };
      const options = { prefix: `test.${prefixes++}` };
      return {
        transport: natsTransport(far, world, limits, options),
        dialling: natsTransport(near, world, limits, options),
        address: (name) => `nats:${name}`,
        pass: () => Bun.sleep(1),
        close: () => {},
      };
    };
    afterAll(async () => {
      await Promise.all([far.close(), near.close()]);
    });
  }
  afterAll(stopServers);
}

function smallPayloads(): string {
  const file = join(mkdtempSync(join(tmpdir(), "troupe-transport-")), "nats.conf");
  writeFileSync(file, "max_payload: 8192\n");
  return file;
}

function busWorld(options: Partial<MemoryBusOptions>): World {
  const clock = new VirtualClock();
  const random = new SeededRandom(11);
  const bus = new MemoryBusWorld(clock, random, options);
  const world = { clock, random };
  return {
    transport: natsTransport(bus.client(), world, limits, { prefix: "test" }),
    dialling: natsTransport(bus.client(), world, limits, { prefix: "test" }),
    address: (name) => `nats:${name}`,
    pass: () => clock.advance(1),
    close: () => {},
  };
}

function memoryWorld(delay_ms_max: number, split_bytes_max: number): World {
  const clock = new VirtualClock();
  const options = { delay_ms_max, split_bytes_max };
  const network = new MemoryNetwork(clock, new SeededRandom(7), options);
  return {
    transport: memoryTransport(network.net(), limits),
    address: (name) => `memory:${name}`,
    pass: () => clock.advance(1),
    close: () => {},
  };
}

type Side = {
  readonly frames: Uint8Array[];
  readonly closes: string[];
  drains: number;
  link: Link;
};

type Pair = { readonly world: World; readonly near: Side; readonly far: Side; stop(): void };

const opened: World[] = [];
afterEach(() => {
  for (const world of opened.splice(0)) world.close();
});

function recorder(): { side: Side; open: (link: Link) => ReturnType<typeof handlers> } {
  const side = { frames: [], closes: [], drains: 0 } as unknown as Side;
  return {
    side,
    open: (link) => {
      side.link = link;
      return handlers(side);
    },
  };
}

function handlers(side: Side) {
  return {
    frame: (bytes: Uint8Array) => void side.frames.push(bytes),
    drain: () => {
      side.drains++;
    },
    close: (reason: string) => void side.closes.push(reason),
  };
}

async function pair(make: () => World): Promise<Pair> {
  const world = make();
  opened.push(world);
  const far = recorder();
  const near = recorder();
  const listener = await world.transport.listen(world.address("far"), far.open);
  const connecting = dialling(world).connect(world.address("far"), near.open, 2_000);
  await until(world, () => far.side.link !== undefined);
  await outcome(world, connecting);
  return { world, near: near.side, far: far.side, stop: () => listener.close() };
}

const dialling = (world: World): Transport => world.dialling ?? world.transport;

/** The promise's value or error, while the world goes on. */
async function outcome<T>(world: World, promise: Promise<T>): Promise<T | Error> {
  let settled: { value: T | Error } | undefined;
  promise.then(
    (value) => {
      settled = { value };
    },
    (error) => {
      settled = { value: error };
    },
  );
  await until(world, () => settled !== undefined);
  return (settled as unknown as { value: T | Error }).value;
}

async function until(world: World, done: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000 && !done(); i++) await world.pass();
  expect(done()).toBe(true);
}

function frameOf(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 97) bytes[i] = (seed + i) & 255;
  return bytes;
}

const equal = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

for (const [name, make] of Object.entries(worlds)) {
  describe(name, () => {
    test("frames arrive whole, in order, once, both ways", async () => {
      const { world, near, far, stop } = await pair(make);
      const sizes = [0, 1, 3, 4, 5, 100, 70_000, 300_000, 2];
      const sent = sizes.map(frameOf);
      for (const frame of sent) expect(near.link.send(frame)).toBe(true);
      expect(far.link.send(frameOf(9, 1))).toBe(true);
      await until(world, () => far.frames.length >= sizes.length && near.frames.length >= 1);
      expect(far.frames.length).toBe(sizes.length);
      sent.forEach((frame, i) => {
        expect(equal(far.frames[i], frame)).toBe(true);
      });
      expect(equal(near.frames[0], frameOf(9, 1))).toBe(true);
      // No Buffers, whose `slice` is no copy.
      for (const frame of far.frames) expect(Buffer.isBuffer(frame)).toBe(false);
      stop();
    });

    test("the caller may reuse its bytes as soon as send returned", async () => {
      const { world, near, far, stop } = await pair(make);
      const mine = frameOf(500_000, 3);
      const kept = mine.slice();
      near.link.send(mine);
      mine.fill(0xee);
      await until(world, () => far.frames.length === 1);
      expect(equal(far.frames[0], kept)).toBe(true);
      stop();
    });

    test("a frame of the limit passes, a larger one is refused with both sizes named", async () => {
      const { world, near, far, stop } = await pair(make);
      const largest = new Uint8Array(limits.frame_limit_bytes);
      largest[largest.length - 1] = 7;
      expect(near.link.send(largest)).toBe(true);
      expect(() => near.link.send(new Uint8Array(limits.frame_limit_bytes + 1))).toThrow(
        /33554433 bytes.*limit of 33554432/,
      );
      await until(world, () => far.frames.length === 1);
      expect(far.frames[0]?.length).toBe(limits.frame_limit_bytes);
      expect(far.frames[0]?.at(-1)).toBe(7);
      expect(near.closes).toEqual([]);
      stop();
    });

    test("a reader that pauses is felt by the sender, whose queue is bounded; nothing is lost", async () => {
      const { world, near, far, stop } = await pair(make);
      far.link.pause();
      const frame = frameOf(100_000, 1);
      let sent = 0;
      let refusals = 0;
      for (let round = 0; round < 200 && refusals < 3; round++) {
        if (near.link.send(frame)) sent++;
        else refusals++;
        if (round % 10 === 0) await world.pass();
      }
      expect(refusals).toBe(3);
      expect(near.link.queued_bytes).toBeGreaterThan(0);
      expect(near.link.queued_bytes).toBeLessThanOrEqual(limits.queue_limit_bytes + 8);
      expect(far.frames.length).toBeLessThan(sent);
      far.link.resume();
      await until(world, () => far.frames.length === sent && near.drains > 0);
      expect(near.link.queued_bytes).toBe(0);
      expect(near.link.send(frame)).toBe(true);
      await until(world, () => far.frames.length === sent + 1);
      expect(far.frames.every((got) => equal(got, frame))).toBe(true);
      stop();
    });

    test("a close is seen by both sides, once, after what was sent before it", async () => {
      const { world, near, far, stop } = await pair(make);
      const last = frameOf(600_000, 2);
      near.link.send(last);
      near.link.close();
      near.link.close();
      await until(world, () => far.closes.length > 0 && near.closes.length > 0);
      await world.pass();
      expect(far.frames.length).toBe(1);
      expect(equal(far.frames[0], last)).toBe(true);
      expect([far.closes.length, near.closes.length]).toEqual([1, 1]);
      expect(near.link.send(frameOf(1, 1))).toBe(false);
      expect(far.link.send(frameOf(1, 1))).toBe(false);
      stop();
    });

    test("connecting to nobody fails by its deadline, with the address in the error", async () => {
      const world = make();
      opened.push(world);
      const near = recorder();
      const address = world.address("nobody");
      let failure: unknown;
      dialling(world)
        .connect(address, near.open, 50)
        .catch((error) => {
          failure = error;
        });
      await until(world, () => failure !== undefined);
      expect(failure).toBeInstanceOf(TransportError);
      const { code, message } = failure as TransportError;
      expect(["connect_failed", "connect_timeout"]).toContain(code);
      expect(message).toContain(address);
    });

    test("an address has one listener; it is free again after a close", async () => {
      const world = make();
      opened.push(world);
      const address = world.address("one");
      const listen = () => outcome(world, world.transport.listen(address, recorder().open));
      const first = await listen();
      expect(await listen()).toMatchObject({ code: "address_in_use" });
      (first as Listener).close();
      const third = await listen();
      (third as Listener).close();
    });

    test("many links at once do not mix", async () => {
      const world = make();
      opened.push(world);
      const sides: Side[] = [];
      const listener = await world.transport.listen(world.address("hub"), (link) => {
        const { side, open } = recorder();
        sides.push(side);
        return open(link);
      });
      const nears = Array.from({ length: 20 }, recorder);
      const links = nears.map(({ open }) =>
        dialling(world).connect(world.address("hub"), open, 2_000),
      );
      await until(world, () => sides.length === nears.length);
      let connected = 0;
      for (const link of links) link.then(() => connected++);
      await until(world, () => connected === nears.length);
      nears.forEach(({ side }, i) => {
        for (let k = 0; k < 50; k++) side.link.send(Uint8Array.of(i, k));
      });
      await until(world, () => sides.every(({ frames }) => frames.length === 50));
      const seen = sides.map(({ frames }) => {
        expect(frames.map(([, k]) => k)).toEqual(Array.from({ length: 50 }, (_, k) => k));
        return new Set(frames.map(([i]) => i)).size;
      });
      expect(seen).toEqual(nears.map(() => 1));
      listener.close();
    });
  });
}

test("frames are cut right whatever the pieces they arrive in, with pauses between", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(frames, cuts, fc.integer({ min: 1, max: 5 }), (sent, pieces, pauseEvery) => {
      const bytes: number[] = [];
      for (const frame of sent) {
        bytes.push(frame.length, 0, 0, 0, ...frame);
      }
      const got: number[][] = [];
      const reader = new FrameReader(1_000, (frame) => {
        got.push([...frame]);
        if (got.length % pauseEvery === 0) reader.pause();
      });
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const size = pieces[i % pieces.length] as number;
        reader.push(Uint8Array.from(bytes.slice(at, at + size)));
        at += size;
      }
      for (let i = 0; i <= sent.length; i++) reader.resume();
      expect(got).toEqual(sent.map((frame) => [...frame]));
    }),
  );
});

test("a length beyond the limit ends the reading at once, whatever follows", () => {
  const reader = new FrameReader(100, () => {});
  expect(() => reader.push(Uint8Array.of(101, 0, 0, 0))).toThrow(/101 bytes.*limit of 100/);
});

test("unix: garbage that claims a huge frame ends the link with the reason", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-transport-"));
  const address = `unix:${folder}/g.sock`;
  const far = recorder();
  const listener = await unixTransport(realNet(), limits).listen(address, far.open);
  const nothing = { data: () => {}, drain: () => {}, close: () => {} };
  const raw = await realNet().connect(address, nothing, 1_000);
  raw.write(Uint8Array.of(255, 255, 255, 255, 1, 2, 3));
  for (let i = 0; i < 1_000 && far.side.closes.length === 0; i++) await Bun.sleep(1);
  expect(far.side.closes[0]).toContain("over the limit");
  listener.close();
  rmSync(folder, { recursive: true });
});

test("unix: a socket file left by a killed process is taken over", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-transport-"));
  const path = `${folder}/left.sock`;
  const script = `Bun.listen({unix:${JSON.stringify(path)},socket:{data(){}}});console.log("up")`;
  const holder = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await holder.stdout.getReader().read();
  const transport = unixTransport(realNet(), limits);
  const taken = transport.listen(`unix:${path}`, recorder().open);
  await expect(taken).rejects.toMatchObject({ code: "address_in_use" });
  holder.kill("SIGKILL");
  await holder.exited;
  const listener = await transport.listen(`unix:${path}`, recorder().open);
  listener.close();
  rmSync(folder, { recursive: true });
});

test("unix: a path that the system cannot take is refused with its length", async () => {
  const transport = unixTransport(realNet(), limits);
  const address = `unix:/tmp/${"x".repeat(120)}.sock`;
  await expect(transport.listen(address, recorder().open)).rejects.toThrow(/130 bytes/);
});

test("an address of an unknown scheme names the known ones", () => {
  const transport = unixTransport(realNet(), limits);
  expect(schemeOf("unix:/a")).toBe("unix");
  expect(() => wayTo("pigeon:loft", [transport])).toThrow(/pigeon:loft.*unix:/);
});

test("of several addresses the first that can be reached is taken", () => {
  const here = unixTransport(realNet(), limits, "/run/here");
  const anywhere = memoryTransport(
    new MemoryNetwork(new VirtualClock(), new SeededRandom(1)).net(),
    limits,
  );
  const addressOf = (text: string) => wayTo(text, [here, anywhere]).address;
  expect(addressOf("unix:/run/here/a.sock memory:a")).toBe("unix:/run/here/a.sock");
  expect(addressOf("unix:/run/there/a.sock memory:a")).toBe("memory:a");
  expect(() => addressOf("unix:/run/there/a.sock")).toThrow(/no transport/);
});
