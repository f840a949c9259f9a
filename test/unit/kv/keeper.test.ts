/** The keeper of blocks as its workers see it: spaces, slots, leases, and what the dead leave. */
import { describe, expect, test } from "bun:test";
import { hashesIn, identityText, packedHashes } from "../../../actors/kv/kv.ts";
import type { KvArrived, KvKeeperMessage, KvSpace, KvTierNews } from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { BLOCK, identity, SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { absent, testSystem } from "../../support/worlds/test-system.ts";

class Hearing extends Actor<Message> {
  readonly arrived: Omit<KvArrived, "kind">[] = [];
  readonly news: KvTierNews[] = [];

  override receive(message: KvArrived | KvTierNews): void {
    if (message.kind === "kv_tier_news") this.news.push(message);
    else {
      const { kind: _, ...arrived } = message;
      this.arrived.push(arrived);
    }
  }
}

async function keeperWorld(options: { bytes?: number; areas?: number } = {}) {
  const dead = new Set<number>();
  const isAlive = (pid: number) => !dead.has(pid);
  const spawn = { start: absent<() => never>("start"), self: [], pid: 1, isAlive };
  const world = { spawn: { ...spawn, resident_bytes: () => 0 } };
  const { system, clock } = testSystem(1, {}, world);
  await joinAlone(system);
  const segments = new SegmentTable(clock);
  const keeper = await startKeeper(system, segments, options);
  let number = 0;
  const worker = (pid: number) => {
    const name = `w${number++}`;
    const actor = new Hearing();
    const ref = system.spawn(() => actor, { name });
    const own = wireOf(system, ref);
    const ask = { deadline_ms: 1_000 };
    const open = (like: Parameters<typeof identity>[0] = {}, follows = false): Promise<KvSpace> => {
      const message = { kind: "open_kv_space", worker: own, identity: identity(like) } as const;
      return system.ask(keeper, { ...message, name, pid, follows }, ask);
    };
    const tell = (message: KvKeeperMessage) => keeper.tell(message);
    return {
      ...{ name, ref, open, arrived: actor.arrived, news: actor.news },
      reserve: async (space: number, hashes: readonly bigint[], hand_off = "") => {
        const parents = packedHashes([0n, ...hashes].slice(0, hashes.length));
        const offer = { hashes: packedHashes(hashes), parents, priority: 0, hand_off };
        return (await system.ask(keeper, { kind: "reserve_kv", space, ...offer }, ask)).slots;
      },
      filled: (space: number, hashes: readonly bigint[], dropped: readonly bigint[] = []) =>
        tell({
          ...{ kind: "kv_filled", space },
          ...{ hashes: packedHashes(hashes), dropped: packedHashes(dropped) },
        }),
      find: (space: number, hashes: readonly bigint[], from = 0, writer = "", wait_ms = 0) => {
        const find = { hashes: packedHashes(hashes), from, writer, wait_ms };
        return system.ask(keeper, { kind: "find_kv", space, ...find }, ask);
      },
      release: (space: number, lease: number) => tell({ kind: "release_kv", space, lease }),
      writing: (space: number, id: string) => tell({ kind: "kv_writing", space, id, blocks: 0 }),
      written: (space: number, id: string) => tell({ kind: "kv_written", space, id }),
    };
  };
  const state = () => {
    const { spaces = [] } = system.snapshot("/keeper") ?? {};
    const [space = {}] = spaces as Record<string, number>[];
    const { free, staged, registered, held, guests, unaccounted } = space;
    return { free, staged, registered, held, guests, unaccounted };
  };
  return { system, clock, segments, keeper, worker, state, dead };
}

test("hashes travel as they are, and half of one is none", () => {
  const hashes = [0n, 1n, 0xffff_ffff_ffff_ffffn];
  expect([...hashesIn(packedHashes(hashes))]).toEqual(hashes);
  expect([...hashesIn(packedHashes(hashes).subarray(0, 23))]).toEqual(hashes.slice(0, 2));
});

test("what one worker has filled, others find, and slots are held while they are read", async () => {
  const { worker, segments, state } = await keeperWorld();
  const [a, b] = [worker(10), worker(11)];
  const { space, segment, slots, slot_bytes, block_bytes } = await a.open();
  expect([slots, slot_bytes, block_bytes]).toEqual([16, BLOCK, BLOCK]);
  expect(segments.map(segment, 16 * BLOCK)).toBeDefined();
  const other = (await b.open()).space;
  expect(other).not.toBe(space);
  const row = [1n, 2n, 3n];
  const reserved = await a.reserve(space, row);
  expect(new Set(reserved).size).toBe(3);
  expect(await b.reserve(other, [1n])).toEqual([-1]);
  expect(await b.find(other, row)).toMatchObject({ lease: 0, slots: [] });
  a.filled(space, [1n, 2n], [3n]);
  const found = await b.find(other, row);
  expect(found).toMatchObject({ slots: reserved.slice(0, 2), coming: false });
  expect(state()).toMatchObject({ staged: 0, registered: 2, held: 2, free: 14 });
  expect((await b.find(other, row, 1)).slots).toEqual([reserved[1]!]);
  b.release(other, found.lease);
  expect((await a.find(space, [9n])).lease).toBe(0);
  expect(state()).toMatchObject({ held: 1, guests: 2, unaccounted: 0 });
});

test("what a worker holds goes with its process, not with its connection", async () => {
  const { system, clock, worker, state, dead } = await keeperWorld();
  const [a, b] = [worker(10), worker(11)];
  const { space } = await a.open();
  await b.open();
  await a.reserve(space, [1n, 2n]);
  a.filled(space, [1n]);
  await a.find(space, [1n]);
  system.stop(a.ref);
  await clock.advance(1_000);
  expect(state()).toMatchObject({ staged: 1, held: 1, guests: 2 });
  dead.add(10);
  await clock.advance(1_000);
  expect(state()).toMatchObject({ staged: 0, held: 0, registered: 1, guests: 1, unaccounted: 0 });
});

test("a worker that opens a space again has nothing of the one before", async () => {
  const { system, worker, state } = await keeperWorld();
  const a = worker(10);
  const { space } = await a.open();
  await a.reserve(space, [1n, 2n]);
  const again = await a.open();
  expect(again.space).not.toBe(space);
  expect(state()).toMatchObject({ staged: 0, free: 16, guests: 1 });
  await expect(a.reserve(space, [1n])).rejects.toThrow("open one");
  await expect(a.find(space, [1n])).rejects.toThrow("open one");
  expect((await a.reserve(again.space, [1n]))[0]).toBeGreaterThanOrEqual(0);
  await system.shutdown();
});

test("models have spaces of their own, and only one that nobody has gives way", async () => {
  const { system, clock, worker, dead } = await keeperWorld({ areas: 2 });
  const a = worker(10);
  expect((await a.open({ block_bytes: 0 })).space).toBe(0);
  const first = await a.open();
  expect([first.slots, first.base]).toEqual([8, 0]);
  // An engine that is cold does not know how large its blocks are.
  expect(await worker(11).open({ block_bytes: 0 })).toMatchObject({ base: 0, block_bytes: BLOCK });
  const b = worker(12);
  expect(await b.open({ library: "newer", block_bytes: BLOCK + 1 })).toMatchObject({
    ...{ slots: 4, slot_bytes: 2 * BLOCK, base: 8 * BLOCK },
  });
  const c = worker(13);
  expect((await c.open({ model: "third" })).space).toBe(0);
  expect((await c.open({ model: "large", block_bytes: 99 * BLOCK })).space).toBe(0);
  dead.add(12);
  system.stop(b.ref);
  await clock.advance(1_000);
  expect(await c.open({ model: "third" })).toMatchObject({ slots: 8, base: 8 * BLOCK });
});

test("blocks of another size are nobody's but those of its workers, though they weigh the same", async () => {
  const { system, worker } = await keeperWorld({ areas: 2 });
  const [small, large] = [worker(10), worker(11)];
  const [own, other] = [await small.open({ block_size: 16 }), await large.open({ block_size: 64 })];
  expect([own.slots, other.slots]).toEqual([8, 8]);
  expect(other.space).not.toBe(own.space);
  const hashes = [1n, 2n];
  expect(await small.reserve(own.space, hashes)).toHaveLength(2);
  small.filled(own.space, hashes);
  expect((await small.find(own.space, hashes)).slots).toHaveLength(2);
  expect((await large.find(other.space, hashes)).slots).toEqual([]);
  // So names folders, files, peers and stores.
  const texts = [16, 32, 64].map((block_size) => identityText(identity({ block_size })));
  expect(new Set(texts).size).toBe(3);
  await system.shutdown();
});

test("the segment's name goes with the keeper", async () => {
  const { system, segments } = await keeperWorld();
  expect(segments.names).toHaveLength(1);
  await system.shutdown();
  expect(segments.names).toEqual([]);
});

describe("a hand-off", () => {
  async function pair(options: { bytes?: number } = {}) {
    const world = await keeperWorld(options);
    const [a, b] = [world.worker(10), world.worker(11)];
    const [from, to] = [(await a.open()).space, (await b.open()).space];
    return { ...world, a, b, from, to };
  }
  const row = [1n, 2n, 3n];

  test("tells its reader of each block as it comes, and of the end", async () => {
    const { a, b, from, to, state, clock } = await pair();
    const found = await b.find(to, row, 0, "h", 5_000);
    expect(found).toMatchObject({ slots: [], coming: true });
    const { lease } = found;
    expect(lease).toBeGreaterThan(0);
    a.writing(from, "h");
    const slots = await a.reserve(from, row, "h");
    a.filled(from, [1n]);
    a.filled(from, [2n]);
    a.filled(from, [3n]);
    a.written(from, "h");
    await clock.advance(1);
    expect(b.arrived).toEqual([
      { lease, first: 0, slots: [slots[0]!], coming: true },
      { lease, first: 1, slots: [slots[1]!], coming: true },
      { lease, first: 2, slots: [slots[2]!], coming: false },
    ]);
    b.release(to, lease);
    await clock.advance(1);
    expect(state()).toMatchObject({ held: 0, registered: 3 });
  });

  test("ends for its reader when the writer is done, gone, or never begins", async () => {
    const { system, a, b, from, to, clock, dead } = await pair();
    for (const id of ["done", "gone", "late", "never"]) {
      expect((await b.find(to, [9n], 0, id, 1_000)).coming).toBe(true);
    }
    for (const id of ["done", "gone", "late"]) a.writing(from, id);
    a.written(from, "done");
    await clock.advance(1);
    expect(b.arrived.splice(0)).toMatchObject([{ first: 0, slots: [], coming: false }]);
    await clock.advance(1_100);
    // All three by the reader's own deadline.
    expect(b.arrived.splice(0).map(({ coming }) => coming)).toEqual([false, false, false]);
    expect((await b.find(to, [9n], 0, "unknown", 60_000)).coming).toBe(true);
    expect((await b.find(to, [9n], 0, "gone", 60_000)).coming).toBe(true);
    dead.add(10);
    system.stop(a.ref);
    await clock.advance(300);
    expect(b.arrived.splice(0)).toHaveLength(1);
    await clock.advance(2_100);
    expect(b.arrived.splice(0)).toHaveLength(1);
    expect((await b.find(to, [9n], 0, "done", 1_000)).coming).toBe(false);
  });

  test("keeps its blocks for a reader that comes later, and no longer than it may", async () => {
    const { a, b, from, to, clock, state } = await pair({ bytes: 4 * BLOCK });
    await a.reserve(from, [1n]);
    a.filled(from, [1n]);
    a.writing(from, "h");
    // The first one is there already.
    expect((await a.reserve(from, row, "h"))[0]).toBe(-1);
    a.filled(from, [2n, 3n]);
    a.written(from, "h");
    for (let hash = 100n; hash < 120n; hash++) {
      await a.reserve(from, [hash]);
      a.filled(from, [hash]);
    }
    expect(state()).toMatchObject({ held: 3 });
    const { lease, slots, coming } = await b.find(to, row, 0, "h", 1_000);
    expect([slots.length, coming]).toEqual([3, false]);
    b.release(to, lease);
    await clock.advance(1);
    expect(state()).toMatchObject({ held: 0, unaccounted: 0 });
    await a.reserve(from, row, "nobody");
    a.written(from, "nobody");
    await clock.advance(1);
    expect(state()).toMatchObject({ held: 3 });
    await clock.advance(10_100);
    expect(state()).toMatchObject({ held: 0, unaccounted: 0 });
  });
});

test("who follows hears of each block once, in its best tier, and of what has changed", async () => {
  const { worker, clock, system, dead } = await keeperWorld({ bytes: 2 * BLOCK });
  const [a, b] = [worker(10), worker(11)];
  const { space } = await a.open();
  await a.reserve(space, [1n]);
  a.filled(space, [1n]);
  await b.open({}, true);
  const told = () =>
    b.news.splice(0).map(({ number, anew, host, host_gone }) => {
      return { number, anew, host: [...hashesIn(host)], gone: [...hashesIn(host_gone)] };
    });
  await clock.advance(50);
  expect(told()).toEqual([{ number: 0, anew: true, host: [1n], gone: [] }]);
  for (const hash of [2n, 3n]) {
    await a.reserve(space, [hash]);
    a.filled(space, [hash]);
  }
  await clock.advance(50);
  // There are two slots: one block has given way.
  const [news, ...more] = told();
  expect(more).toEqual([]);
  expect(news).toMatchObject({ number: 1, anew: false });
  expect([news!.host.length - news!.gone.length, news!.host.includes(3n)]).toEqual([1, true]);
  expect(a.news).toEqual([]);
  dead.add(11);
  system.stop(b.ref);
  await clock.advance(500);
  await a.open({}, true);
  await clock.advance(50);
  expect(a.news.map(({ host }) => hashesIn(host).length)).toEqual([2]);
});
