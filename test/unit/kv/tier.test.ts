/** One tier of blocks: rules by example, then any row of steps against a plain model. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  BlockMisuseError,
  type HeldBlock,
  NO_PARENT,
  ResetBlock,
  Tier,
} from "../../../actors/kv/tier/tier.ts";

function put(tier: Tier, hash: bigint, parent = NO_PARENT, priority = 0): string | number {
  const reset = tier.reserve(hash, parent, priority);
  if (!(reset instanceof ResetBlock)) return reset;
  const held = reset.fill().complete(hash).register();
  held.release();
  return held.slot;
}

describe("the life of a block", () => {
  test("is found from the moment it is registered", () => {
    const tier = new Tier(2);
    const reset = tier.reserve(1n, NO_PARENT) as ResetBlock;
    expect(tier.reserve(1n, NO_PARENT)).toBe("held");
    const complete = reset.fill().complete(99n);
    expect(tier.has(1n)).toBe(false);
    const held = complete.register();
    expect(tier.match([1n, 2n])).toBe(1);
    expect([held.slot, held.sum]).toEqual([reset.slot, 99n]);
    expect(tier.stats()).toMatchObject({ free: 1, staged: 0, registered: 1, held: 1 });
  });

  test("ends at any state, and its slot is free", () => {
    const tier = new Tier(1);
    (tier.reserve(1n, NO_PARENT) as ResetBlock).drop();
    (tier.reserve(1n, NO_PARENT) as ResetBlock).fill().drop();
    (tier.reserve(1n, NO_PARENT) as ResetBlock).fill().complete(0n).drop();
    expect(tier.stats()).toMatchObject({ free: 1, staged: 0, registered: 0 });
  });

  test("takes each step once", () => {
    const tier = new Tier(2);
    const reset = tier.reserve(1n, NO_PARENT) as ResetBlock;
    const partial = reset.fill();
    expect(() => reset.fill()).toThrow(BlockMisuseError);
    expect(() => reset.drop()).toThrow(BlockMisuseError);
    partial.drop();
    expect(() => partial.complete(0n)).toThrow(BlockMisuseError);
    put(tier, 2n);
    const held = tier.hold(2n)!;
    held.release();
    expect(() => held.release()).toThrow(BlockMisuseError);
    expect(tier.unaccounted()).toBe(0);
  });

  test("goes on for who holds it, although it is forgotten", () => {
    const gone: bigint[] = [];
    const tier = new Tier(1, (hash) => gone.push(hash));
    put(tier, 1n);
    const held = tier.hold(1n)!;
    expect(tier.forget(1n)).toBe(true);
    expect(tier.forget(1n)).toBe(false);
    expect(gone).toEqual([1n]);
    expect(put(tier, 2n)).toBe("full");
    held.release();
    expect(put(tier, 2n)).toBe(held.slot);
  });
});

describe("who gives way", () => {
  test("the least recently used", () => {
    const tier = new Tier(3);
    for (const hash of [1n, 2n, 3n]) put(tier, hash);
    tier.match([1n]);
    put(tier, 4n);
    expect([1n, 2n, 3n, 4n].map((hash) => tier.has(hash))).toEqual([true, false, true, true]);
  });

  test("never a parent before its child, nor what somebody holds", () => {
    const tier = new Tier(3);
    put(tier, 1n);
    put(tier, 2n, 1n);
    put(tier, 3n, 2n);
    const held = tier.hold(3n)!;
    expect(put(tier, 4n)).toBe("full");
    held.release();
    expect(put(tier, 4n)).toBeNumber();
    expect([1n, 2n, 3n].map((hash) => tier.has(hash))).toEqual([true, true, false]);
    put(tier, 5n);
    expect([1n, 2n].map((hash) => tier.has(hash))).toEqual([true, false]);
  });

  test("a lower priority before an older block", () => {
    const tier = new Tier(2);
    put(tier, 1n, NO_PARENT, 1);
    put(tier, 2n, NO_PARENT, 0);
    expect(put(tier, 3n, NO_PARENT, 1)).toBeNumber();
    expect([1n, 2n, 3n].map((hash) => tier.has(hash))).toEqual([true, false, true]);
    expect(put(tier, 4n, NO_PARENT, 0)).toBe("unwanted");
  });

  test("not what many ask for, to a scan that asks once", () => {
    const tier = new Tier(32);
    const hot = Array.from({ length: 32 }, (_, i) => BigInt(i + 1) * 0x9e3779b97f4a7c15n);
    for (const hash of hot) put(tier, hash & 0xffff_ffff_ffff_ffffn);
    const names = hot.map((hash) => hash & 0xffff_ffff_ffff_ffffn);
    for (let round = 0; round < 7; round += 1) for (const hash of names) tier.match([hash]);
    for (let i = 0; i < 200; i += 1)
      put(tier, BigInt.asUintN(64, BigInt(i + 7) * 0xc2b2ae3d27d4eb4fn));
    expect(names.filter((hash) => tier.has(hash)).length).toBeGreaterThanOrEqual(30);
    expect(tier.stats().declined).toBeGreaterThan(150);
  });
});

test("all that is registered is listed, parents first", () => {
  const tier = new Tier(8);
  put(tier, 3n, 2n);
  put(tier, 2n, 1n);
  put(tier, 1n);
  put(tier, 9n, 8n);
  expect([...tier.hashes()].map(({ hash }) => hash)).toEqual([1n, 2n, 3n, 9n]);
});

type Step = readonly ["put" | "match" | "hold" | "release" | "forget" | "drop", number, number];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("put", "put", "match", "hold", "release", "forget", "drop"),
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 0, max: 3 }),
);

test("whatever is done, each slot is in one state and no slot has two blocks", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(step, { maxLength: 120 }),
      (slots, steps) => {
        const found = new Map<bigint, number>();
        const tier = new Tier(slots, (hash, slot) => {
          expect(found.get(hash)).toBe(slot);
          found.delete(hash);
        });
        const held: HeldBlock[] = [];
        for (const [what, n, m] of steps) {
          const hash = BigInt(n);
          if (what === "put") {
            const reset = tier.reserve(hash, BigInt(m), m);
            if (!(reset instanceof ResetBlock)) continue;
            expect([...found.values(), ...held.map(({ slot }) => slot)]).not.toContain(reset.slot);
            const block = reset.fill().complete(hash).register();
            found.set(hash, block.slot);
            if (m === 3) held.push(block);
            else block.release();
          } else if (what === "match") tier.match([hash, BigInt(m)]);
          else if (what === "hold") {
            const block = tier.hold(hash);
            expect(block !== undefined).toBe(found.has(hash));
            if (block !== undefined) held.push(block);
          } else if (what === "release") held.splice(m, 1)[0]?.release();
          else if (what === "forget") {
            const was = found.has(hash);
            expect(tier.forget(hash)).toBe(was);
          } else {
            const reset = tier.reserve(hash, NO_PARENT);
            if (reset instanceof ResetBlock) reset.fill().drop();
          }
          expect(tier.unaccounted()).toBe(0);
          expect(tier.stats().registered).toBe(found.size);
          for (const block of held)
            if (found.has(block.hash)) expect(tier.has(block.hash)).toBe(true);
        }
        for (const block of held) block.release();
        const { free, registered } = tier.stats();
        expect(free + registered).toBe(slots);
      },
    ),
    { numRuns: 500 },
  );
});
