/** Who may write and read which slot: by example, and under ten thousand kills and cancels. */
import { expect, test } from "bun:test";
import { BlockRoom } from "../../../actors/kv/keeper/room.ts";

const offer = (hash: number, parent = 0) => ({
  ...{ hash: BigInt(hash), parent: BigInt(parent), priority: 0 },
});
const row = (...hashes: number[]) => hashes.map(BigInt);

test("a block is found by others once its writer says that it is whole", () => {
  const room = new BlockRoom(4);
  const slots = room.reserve("a", [offer(1), offer(2, 1)]);
  expect(slots).toEqual([0, 1]);
  expect(room.reserve("b", [offer(1)])).toEqual(["held"]);
  expect(room.find("b", row(1, 2)).slots).toEqual([]);
  expect(room.filled("a", 1n, 11n)).toBe(true);
  expect(room.filled("a", 1n, 11n)).toBe(false);
  expect(room.find("b", row(1, 2))).toMatchObject({ slots: [0], sums: [11n] });
  expect(room.filled("a", 2n, 12n)).toBe(true);
  expect(room.find("b", row(1, 2, 3))).toMatchObject({ slots: [0, 1], sums: [11n, 12n] });
  expect(room.find("b", row(1, 2), 1)).toMatchObject({ slots: [1] });
});

test("what is leased stays, and what is declined takes its children with it", () => {
  const room = new BlockRoom(2);
  room.reserve("a", [offer(1), offer(2, 1)]);
  for (const hash of row(1, 2)) room.filled("a", hash, 0n);
  const { lease } = room.find("b", row(1, 2));
  expect(room.reserve("a", [offer(3), offer(4, 3)])).toEqual(["full", "unwanted"]);
  expect(room.release("b", lease)).toBe(true);
  expect(room.release("b", lease)).toBe(false);
  expect(room.reserve("a", [offer(3)])).toEqual([1]);
});

test("with a worker goes what it was writing and reading", () => {
  const room = new BlockRoom(3);
  room.reserve("a", [offer(1), offer(2, 1)]);
  room.filled("a", 1n, 0n);
  room.find("b", row(1));
  room.gone("a");
  room.gone("b");
  expect(room.stats()).toMatchObject({ free: 2, staged: 0, registered: 1, held: 0 });
  expect(room.filled("a", 2n, 0n)).toBe(false);
});

test("after ten thousand kills and cancels no slot is lost and none has two owners", () => {
  let seed = 12345;
  const draw = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const room = new BlockRoom(40);
  const writing = new Map<number, { readonly worker: string; readonly hash: bigint }>();
  const leases: { readonly worker: string; readonly lease: number }[] = [];
  let kills = 0;
  let cancels = 0;
  while (kills + cancels < 10_000) {
    const worker = `w${draw(6)}`;
    const what = draw(10);
    const first = 1 + draw(30) * 10;
    const chain = Array.from({ length: 1 + draw(6) }, (_, i) => first + i);
    if (what < 4) {
      const offers = chain.map((hash, i) => offer(hash, i === 0 ? 0 : hash - 1));
      room.reserve(worker, offers).forEach((slot, i) => {
        if (typeof slot !== "number") return;
        expect(writing.has(slot)).toBe(false);
        writing.set(slot, { worker, hash: offers[i]!.hash });
      });
    } else if (what < 6) {
      const [slot, block] = [...writing][draw(writing.size)] ?? [];
      if (slot === undefined || block === undefined) continue;
      writing.delete(slot);
      if (draw(3) > 0) expect(room.filled(block.worker, block.hash, 1n)).toBe(true);
      else {
        cancels += 1;
        expect(room.dropped(block.worker, block.hash)).toBe(true);
      }
    } else if (what < 8) {
      const { lease, slots } = room.find(worker, row(...chain));
      for (const slot of slots) expect(writing.has(slot)).toBe(false);
      if (lease > 0) leases.push({ worker, lease });
    } else if (what < 9) {
      const [held] = leases.splice(draw(leases.length), 1);
      if (held !== undefined) expect(room.release(held.worker, held.lease)).toBe(true);
    } else {
      kills += 1;
      room.gone(worker);
      for (const [slot, block] of writing) if (block.worker === worker) writing.delete(slot);
      for (let i = leases.length - 1; i >= 0; i -= 1) {
        if (leases[i]!.worker === worker) leases.splice(i, 1);
      }
    }
    expect(room.unaccounted()).toBe(0);
    expect(room.stats().staged).toBe(writing.size);
  }
  for (let i = 0; i < 6; i += 1) room.gone(`w${i}`);
  const { free, staged, registered, held } = room.stats();
  expect([staged, held, free + registered]).toEqual([0, 0, 40]);
  expect(kills).toBeGreaterThan(2_000);
});
