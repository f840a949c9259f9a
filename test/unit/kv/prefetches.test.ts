/** Hints of what a waiting request will read: bounded, and for nothing without effect. */
import { expect, test } from "bun:test";
import { DiskSpace } from "../../../actors/kv/disk/disk-space.ts";
import { Prefetches } from "../../../actors/kv/keeper/prefetches.ts";
import { BlockRoom } from "../../../actors/kv/keeper/room.ts";
import type { Space } from "../../../actors/kv/keeper/spaces.ts";
import { TierNews } from "../../../actors/kv/keeper/tier-news.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { BLOCK, identity } from "../../support/kv/kept-blocks.ts";
import { MemoryFiles } from "../../support/kv/memory-files.ts";

/** A space whose disk has `kept`, and whose memory has nothing. */
async function world(slots: number, kept: readonly bigint[]) {
  const clock = new VirtualClock();
  const memory = new Uint8Array(Math.max(slots, kept.length) * BLOCK);
  const view = (at: number, bytes: number) => memory.subarray(at, at + bytes);
  const files = new MemoryFiles(clock, view);
  const prefetches = new Prefetches();
  const spaceOf = (count: number): Space => {
    const room = new BlockRoom(count);
    const disk = new DiskSpace({
      ...{ room, files, identity: "i", folder: "/kv", capacity_bytes: 1e9 },
      shape: { block_bytes: BLOCK, slot_bytes: BLOCK, base: 0 },
      now_ms: () => clock.now_ms(),
      counted: () => {},
      changed: () => {},
      arrived: () => prefetches.came(space),
    });
    const shape = { base: 0, slots: count, slot_bytes: BLOCK, guests: 1, disk };
    const space = { identity: identity(), room, news: new TierNews(), ...shape };
    return space;
  };
  const before = spaceOf(kept.length);
  for (const hash of kept) {
    before.room.reserve("w", [{ hash, parent: 0n, priority: 0 }]);
    before.room.filled("w", hash, 0n);
  }
  before.disk?.keep(kept);
  await clock.advance(1_000);
  const space = spaceOf(slots);
  for (const hash of kept) space.disk?.adopt(hash);
  const hint = (row: readonly bigint[], from = 0) =>
    prefetches.begin(space, BigUint64Array.from(row), from, clock.now_ms());
  const here = () => space.room.stats();
  return { clock, files, space, prefetches, hint, here };
}

const row = (count: number, first = 1) =>
  Array.from({ length: count }, (_, i) => BigInt(first + i));

test("blocks come from disk, stay until they are read, and are let go after a while", async () => {
  const { clock, files, space, prefetches, hint, here } = await world(64, row(16));
  hint(row(8));
  hint(row(8));
  await clock.advance(100);
  expect([files.loaded, here().registered, here().held]).toEqual([8, 8, 8]);
  expect(prefetches.inspect()).toEqual({ live: 1, begun: 1, left_out: 0 });
  prefetches.read(space, BigUint64Array.from(row(9)));
  expect([prefetches.count, here().held, here().registered]).toEqual([0, 0, 8]);
  hint(row(16), 8);
  await clock.advance(100);
  expect([files.loaded, here().held]).toEqual([16, 8]);
  prefetches.late(clock.now_ms() + 9_000);
  expect(prefetches.count).toBe(1);
  prefetches.late(clock.now_ms() + 10_000);
  expect([prefetches.count, here().held, here().registered]).toEqual([0, 0, 16]);
  expect(here()).toMatchObject({ hits: 0, misses: 0 });
});

test("a hint for what is there, or for what nobody has, leaves nothing behind", async () => {
  const { clock, files, prefetches, hint, here } = await world(64, row(4));
  hint(row(8, 100));
  hint([]);
  hint(row(4), 4);
  expect(prefetches.inspect()).toEqual({ live: 0, begun: 0, left_out: 0 });
  hint(row(4));
  await clock.advance(20_000);
  prefetches.late(clock.now_ms());
  hint(row(4));
  expect([prefetches.count, files.loaded, here().held]).toEqual([0, 4, 0]);
});

test("hints hold no more than their share of the memory, however many there are", async () => {
  const { clock, files, space, prefetches, hint, here } = await world(40, row(200));
  for (let first = 1; first <= 181; first += 20) hint(row(20, first));
  await clock.advance(1_000);
  expect(here().held).toBe(10);
  expect(files.loaded).toBe(10);
  expect(prefetches.inspect()).toEqual({ live: 1, begun: 1, left_out: 9 });
  prefetches.late(clock.now_ms() + 10_000);
  expect([space.room.unaccounted(), here().held, here().staged]).toEqual([0, 0, 0]);
});

test("a file that cannot be used ends the row where it is", async () => {
  const { clock, files, prefetches, hint, here } = await world(64, row(16));
  [...files.kept.values()][0]!.bytes[7]! ^= 1;
  hint(row(16));
  await clock.advance(100);
  // Without its first block the rest is of use to nobody.
  expect([prefetches.count, here().held, here().staged]).toEqual([0, 0, 0]);
});
