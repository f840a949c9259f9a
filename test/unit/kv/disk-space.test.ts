/** Blocks on disk behind the memory: written through, read back, and never trusted. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { DiskSpace } from "../../../actors/kv/disk/disk-space.ts";
import { BlockRoom } from "../../../actors/kv/keeper/room.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { BLOCK } from "../../support/kv/kept-blocks.ts";
import { MemoryFiles } from "../../support/kv/memory-files.ts";

const FILE = 2 * BLOCK;
const IDENTITY = "0123456789abcdef0123456789abcdef";

function world({ slots = 8, files: count = 100, kept = new Map() as MemoryFiles["kept"] } = {}) {
  const clock = new VirtualClock();
  const memory = new Uint8Array(slots * BLOCK);
  const files = new MemoryFiles(clock, (at, bytes) => memory.subarray(at, at + bytes), kept);
  const room = new BlockRoom(slots);
  let arrived = 0;
  const disk = new DiskSpace({
    ...{ room, files, identity: IDENTITY, folder: "/kv" },
    shape: { block_bytes: BLOCK, slot_bytes: BLOCK, base: 0 },
    capacity_bytes: count * FILE,
    now_ms: () => clock.now_ms(),
    counted: () => {},
    changed: () => {},
    arrived: () => {
      arrived += 1;
    },
  });
  /** As a worker does: the block's bytes are its name. */
  const fill = (hash: bigint, parent = 0n) => {
    const [slot] = room.reserve("w", [{ hash, parent, priority: 0 }]);
    if (typeof slot !== "number") return false;
    memory.fill(Number(hash & 255n), slot * BLOCK, (slot + 1) * BLOCK);
    room.filled("w", hash, 0n);
    disk.keep([hash]);
    return true;
  };
  const bring = async (hashes: readonly bigint[]) => {
    let ended = false;
    const behind = disk.bring(hashes, 0, () => {
      ended = true;
    });
    await clock.advance(10_000);
    expect(ended).toBe(behind > 0);
    const { lease, slots: found } = room.find("r", hashes);
    for (const [i, slot] of found.entries()) {
      expect(memory[slot * BLOCK + 100]).toBe(Number(hashes[i]! & 255n));
    }
    room.release("r", lease);
    return found.length;
  };
  return { clock, files, room, disk, fill, bring, arrived: () => arrived };
}

test("what comes into memory is written, and read back into an empty one", async () => {
  const first = world();
  expect(first.fill(1n)).toBe(true);
  expect(first.fill(2n, 1n)).toBe(true);
  await first.clock.advance(100);
  expect(first.disk.stats()).toMatchObject({ stored: 2, registered: 2 });
  const next = world({ kept: first.files.kept });
  expect(await next.bring([1n, 2n])).toBe(0);
  for (const hash of [1n, 2n, 3n]) next.disk.adopt(hash);
  expect(await next.bring([1n, 2n, 3n])).toBe(2);
  // The third one was listed, and is not there.
  expect(next.disk.stats()).toMatchObject({ loaded: 2, missing: 1, registered: 2 });
  expect(next.arrived()).toBeGreaterThan(0);
});

test("what is torn, of others or corrupt is computed again, counted, and forgotten", async () => {
  const { clock, files, disk, fill } = world();
  for (const hash of [1n, 2n, 3n, 4n]) fill(hash);
  await clock.advance(100);
  const kept = [...files.kept.values()];
  kept[0]!.bytes = kept[0]!.bytes.subarray(1);
  kept[1]!.identity = "another";
  kept[2]!.bytes[7]! ^= 1;
  const next = world({ kept: files.kept });
  for (const hash of [1n, 2n, 3n, 4n]) next.disk.adopt(hash);
  for (const hash of [1n, 2n, 3n]) expect(await next.bring([hash])).toBe(0);
  expect(await next.bring([4n])).toBe(1);
  expect(next.disk.stats()).toMatchObject({ torn: 1, foreign: 1, corrupt: 1, registered: 1 });
  expect(next.room.unaccounted()).toBe(0);
  expect(disk.unaccounted()).toBe(0);
});

test("the oldest files give way, and a full disk is left alone for a while", async () => {
  const { clock, files, disk, fill } = world({ slots: 64, files: 4 });
  for (let hash = 1n; hash <= 10n; hash++) {
    fill(hash);
    await clock.advance(10);
  }
  expect(files.kept.size).toBe(4);
  files.room = 0;
  fill(20n);
  await clock.advance(10);
  expect(disk.stats()).toMatchObject({ full: 1 });
  const { stored } = disk.stats();
  files.room = 100;
  fill(21n);
  await clock.advance(5_000);
  expect(disk.stats().stored).toBe(stored);
  await clock.advance(6_000);
  fill(22n);
  await clock.advance(10);
  expect(disk.stats().stored).toBe(stored + 1);
});

test("a disk that hangs is a miss, at once", async () => {
  const { clock, files, disk, fill } = world();
  fill(1n);
  await clock.advance(100);
  const next = world({ kept: files.kept });
  for (const hash of [1n, 2n]) next.disk.adopt(hash);
  next.files.delay_ms = 60_000;
  expect(next.disk.bring([1n], 0, () => {})).toBe(1);
  await next.clock.advance(1_100);
  expect(next.disk.bring([2n], 0, () => {})).toBe(0);
  await next.clock.advance(60_000);
  expect(next.disk.bring([2n], 0, () => {})).toBe(1);
  expect(disk.unaccounted()).toBe(0);
});

test("whatever comes, goes and fails: every slot and file is accounted for, no wrong byte", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("fill" as const), hash: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant("bring" as const), hash: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant("flip" as const), hash: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constant("wait" as const), hash: fc.integer({ min: 0, max: 5 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, files, room, disk, fill, bring } = world({ slots: 4, files: 12 });
      for (const { kind, hash } of steps) {
        if (kind === "fill") fill(BigInt(hash));
        else if (kind === "wait") await clock.advance(hash);
        else if (kind === "bring") await bring([BigInt(hash), BigInt(hash + 1)]);
        else for (const file of [...files.kept.values()].slice(hash, hash + 1)) file.bytes[1]! ^= 1;
      }
      await clock.advance(20_000);
      expect([room.unaccounted(), disk.unaccounted()]).toEqual([0, 0]);
      expect(room.stats()).toMatchObject({ staged: 0, held: 0 });
      expect(disk.busy).toBe(false);
      expect(files.kept.size).toBeLessThanOrEqual(12);
    }),
    { numRuns: 100 },
  );
});
