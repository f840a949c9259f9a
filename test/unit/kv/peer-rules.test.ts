/** Which machine keeps a block, what is asked for again, what is offered. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Misses } from "../../../actors/kv/peer/misses.ts";
import { Offering } from "../../../actors/kv/peer/offering.ts";
import { ownerKey, ownerOf } from "../../../actors/kv/peer/owners.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";

const random = new SeededRandom(7);
const hashes = Array.from({ length: 8_000 }, () => random.u64());
const named = (...names: string[]) => names.map(ownerKey);

describe("the owner of a block", () => {
  test("is the same for all, in whatever order they know the machines", () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(names, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (machines, hash) => {
        const owner = ownerOf(hash, named(...machines))?.name;
        expect(machines).toContain(owner!);
        expect(ownerOf(hash, named(...machines.toReversed()))?.name).toBe(owner);
      }),
    );
    expect(ownerOf(1n, [])).toBeUndefined();
  });

  test("is each machine as often as any other", () => {
    const machines = named("alfa", "bravo", "charlie", "delta");
    const counts = new Map<string, number>();
    for (const hash of hashes) {
      const { name } = ownerOf(hash, machines)!;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.size).toBe(4);
    for (const count of counts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(200);
  });

  test("changes for the blocks of a machine that leaves, and for no other's", () => {
    const all = named("alfa", "bravo", "charlie", "delta");
    const left = all.filter(({ name }) => name !== "charlie");
    for (const hash of hashes) {
      const before = ownerOf(hash, all)!.name;
      if (before !== "charlie") expect(ownerOf(hash, left)!.name).toBe(before);
    }
  });

  test("is drawn anew for neighbours: hashes that count up are spread, too", () => {
    const machines = named("a", "b", "c");
    const owners = Array.from({ length: 300 }, (_, i) => ownerOf(BigInt(i), machines)!.name);
    for (const { name } of machines) {
      expect(owners.filter((owner) => owner === name).length).toBeGreaterThan(60);
    }
  });
});

test("a miss is known for its time, and the oldest gives way", () => {
  const misses = new Misses(1_000);
  misses.note(1n, 0);
  expect(misses.has(1n, 999)).toBe(true);
  expect(misses.has(1n, 1_000)).toBe(false);
  misses.note(2n, 500);
  misses.forget(2n);
  expect(misses.has(2n, 600)).toBe(false);
  misses.note(3n, 2_000);
  expect(misses.size).toBe(1);
  for (let i = 0; i < 70_000; i += 1) misses.note(BigInt(100 + i), 2_000);
  expect(misses.size).toBe(65_536);
  expect(misses.has(3n, 2_000)).toBe(false);
  expect(misses.has(70_099n, 2_000)).toBe(true);
});

describe("offering", () => {
  const block = (hash: number) => ({ hash: BigInt(hash), parent: BigInt(hash - 1) });

  test("follows its policy", () => {
    const told = (policy: "eager" | "after_first_reuse" | "disabled") => {
      const offering = new Offering(policy);
      for (const hash of [1, 2]) offering.registered(block(hash));
      for (const hash of [2, 3]) offering.reused(block(hash));
      return offering.take(9).map(({ hash }) => Number(hash));
    };
    expect(told("eager")).toEqual([1, 2]);
    expect(told("after_first_reuse")).toEqual([2, 3]);
    expect(told("disabled")).toEqual([]);
  });

  test("names a block once, with its parent, oldest first", () => {
    const offering = new Offering("after_first_reuse");
    for (const hash of [5, 6, 5, 7]) offering.reused(block(hash));
    expect(offering.take(2)).toEqual([block(5), block(6)]);
    offering.reused(block(5));
    expect(offering.take(9)).toEqual([block(7)]);
    expect(offering.waiting).toBe(0);
  });

  test("lets no more wait than it may", () => {
    const offering = new Offering("eager");
    for (let hash = 1; hash <= 5_000; hash += 1) offering.registered(block(hash));
    expect(offering.waiting).toBe(4_096);
    offering.take(5_000);
    offering.registered(block(5_000));
    expect(offering.take(1)).toEqual([block(5_000)]);
  });
});
