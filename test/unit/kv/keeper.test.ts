/** The keeper of blocks as its workers see it: spaces, slots, leases, and what the dead leave. */
import { expect, test } from "bun:test";
import { hashesIn, packedHashes } from "../../../actors/kv/kv.ts";
import type { KvKeeperMessage, KvSpace } from "../../../proto/index.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { BLOCK, identity, SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { absent, testSystem } from "../../support/worlds/test-system.ts";

class Silent extends Actor<Message> {
  override receive(): void {}
}

async function keeperWorld(options: { bytes?: number; areas?: number } = {}) {
  const dead = new Set<number>();
  const isAlive = (pid: number) => !dead.has(pid);
  const spawn = { start: absent<() => never>("start"), self: [], pid: 1, isAlive };
  const world = { spawn: { ...spawn, resident_bytes: () => 0 } };
  const { system, clock } = testSystem(1, {}, world);
  await joinAlone(system);
  const segments = new SegmentTable();
  const keeper = await startKeeper(system, segments, options);
  let number = 0;
  const worker = (pid: number) => {
    const name = `w${number++}`;
    const ref = system.spawn(() => new Silent(), { name });
    const own = wireOf(system, ref);
    const ask = { deadline_ms: 1_000 };
    const open = (like: Parameters<typeof identity>[0] = {}): Promise<KvSpace> => {
      const message = { kind: "open_kv_space", worker: own, identity: identity(like) } as const;
      return system.ask(keeper, { ...message, name, pid }, ask);
    };
    const tell = (message: KvKeeperMessage) => keeper.tell(message);
    return {
      ...{ name, ref, open },
      reserve: async (space: number, hashes: readonly bigint[]) => {
        const parents = packedHashes([0n, ...hashes].slice(0, hashes.length));
        const offer = { hashes: packedHashes(hashes), parents, priority: 0, hand_off: "" };
        return (await system.ask(keeper, { kind: "reserve_kv", space, ...offer }, ask)).slots;
      },
      filled: (space: number, hashes: readonly bigint[], dropped: readonly bigint[] = []) =>
        tell({
          ...{ kind: "kv_filled", space },
          ...{ hashes: packedHashes(hashes), dropped: packedHashes(dropped) },
        }),
      find: (space: number, hashes: readonly bigint[], from = 0) => {
        const find = { hashes: packedHashes(hashes), from, writer: "", wait_ms: 0 };
        return system.ask(keeper, { kind: "find_kv", space, ...find }, ask);
      },
      release: (space: number, lease: number) => tell({ kind: "release_kv", space, lease }),
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

test("the segment's name goes with the keeper", async () => {
  const { system, segments } = await keeperWorld();
  expect(segments.names).toHaveLength(1);
  await system.shutdown();
  expect(segments.names).toEqual([]);
});
