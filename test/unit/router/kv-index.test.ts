/** The index of caches against a model made of plain sets. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import { CacheMatches } from "../../../actors/router/index/cache-matches.ts";
import { BlockTable, pairsOf } from "../../../llm/blocks/block-table.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { someHashes } from "../../support/worlds/kv-world.ts";

const DEVICE = 0;

function exactIndex(workers: number, blocks_max?: number): CacheIndex {
  const index = new CacheIndex(blocks_max === undefined ? {} : { blocks_max });
  for (let i = 0; i < workers; i++) index.addWorker("events");
  return index;
}

function matched(index: CacheIndex, hashes: Uint32Array, now_ms = 0): Map<string, number[]> {
  const out = new CacheMatches();
  index.match(hashes, hashes.length / 2, out, now_ms);
  const rows = new Map<string, number[]>();
  for (let row = 0; row < out.count; row++) {
    const tiers = [...out.tier_blocks.subarray(4 * row, 4 * row + 4)];
    const sum = tiers.reduce((a, b) => a + b);
    const found = out.find(out.slots[row]!, out.ranks[row]!);
    if (sum !== out.blocks[row] || found !== row) throw new Error(`row ${row}: ${tiers}`);
    rows.set(`${out.slots[row]}/${out.ranks[row]}`, tiers);
  }
  return rows;
}

function blocks(index: CacheIndex, hashes: Uint32Array, now_ms = 0): Record<string, number> {
  const rows = [...matched(index, hashes, now_ms)];
  return Object.fromEntries(rows.map(([key, tiers]) => [key, tiers.reduce((a, b) => a + b)]));
}

function sweepAll(index: CacheIndex): void {
  while (index.sweep());
}

test("the table equals a Map, through growth, splits and shrinking", () => {
  const table = new BlockTable();
  const model = new Map<string, number>();
  const random = new SeededRandom(5);
  // Few words, so that keys meet again; sequential ones, which hash badly if anything does.
  const word = () => (random.u32() % 400) | 0;
  for (let i = 0; i < 150_000; i++) {
    const [lo, hi] = [word() - 200, word() % 300];
    const key = `${lo} ${hi}`;
    const growing = i % 75_000 < 50_000;
    if (random.u32() % 4 < (growing ? 3 : 1)) {
      table.set(lo, hi, i + 1);
      model.set(key, i + 1);
    } else {
      if (table.delete(lo, hi) !== model.delete(key)) throw new Error(`${key} at ${i}`);
    }
  }
  expect(table.count).toBe(model.size);
  for (let lo = -200; lo < 200; lo++) {
    for (let hi = 0; hi < 300; hi += 7) {
      const expected = model.get(`${lo} ${hi}`) ?? 0;
      if (table.get(lo, hi) !== expected) throw new Error(`${lo} ${hi}`);
    }
  }
});

/** Owners of every kind: one, a few (lists), many (bitsets), in several tiers and ranks. */
test("matches equal the model's, whoever stores, removes, clears or leaves", () => {
  const chains = Array.from({ length: 3 }, (_, i) => pairsOf(someHashes(10, i)));
  const slot = fc.oneof(fc.nat(3), fc.nat(79));
  const step = fc.record({
    kind: fc.constantFrom("store", "store", "store", "remove", "remove", "clear", "leave", "sweep"),
    slot,
    many: fc.boolean(),
    rank: fc.constantFrom(0, 0, 0, 1),
    tier: fc.constantFrom(0, 0, 0, 1, 3),
    chain: fc.nat(2),
    from: fc.nat(9),
    count: fc.integer({ min: 1, max: 10 }),
  });
  const property = fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
    const index = exactIndex(80);
    const model = new Map<string, Set<string>>();
    const lanesOf = (n: number) => [...model].filter(([lane]) => lane.startsWith(`${n}/`));
    for (const { kind, slot: first, many, rank, tier, chain, from, count } of steps) {
      const hashes = chains[chain]!.subarray(2 * from, 2 * (from + count));
      const keys = Array.from({ length: hashes.length / 2 }, (_, i) => `${chain} ${from + i}`);
      for (const n of many ? Array.from({ length: 40 }, (_, i) => (first + 2 * i) % 80) : [first]) {
        const lane = `${n}/${rank}/${tier}`;
        const held = model.get(lane) ?? new Set();
        model.set(lane, held);
        if (kind === "store") {
          index.stored(n, rank, tier, hashes);
          for (const key of keys) held.add(key);
        } else if (kind === "remove") {
          const unknown = keys.filter((key) => !held.delete(key)).length;
          if (index.removed(n, rank, tier, hashes) !== unknown) throw new Error("unknown blocks");
        } else if (kind === "clear") {
          index.cleared(n, rank, tier);
          held.clear();
        } else if (kind === "leave") {
          index.removeWorker(n);
          for (const [, each] of lanesOf(n)) each.clear();
          expect(index.addWorker("events")).toBe(n);
        } else {
          index.sweep();
        }
      }
    }
    check(index, model);
    sweepAll(index);
    check(index, model);
    for (let n = 0; n < 80; n++) {
      const sum = lanesOf(n).reduce((total, [, held]) => total + held.size, 0);
      expect(index.blocksOf(n)).toBe(sum);
    }
  });

  function check(index: CacheIndex, model: Map<string, Set<string>>): void {
    for (const [number, chain] of chains.entries()) {
      for (const from of [0, 3, 9]) {
        const expected = new Map<string, number[]>();
        for (const lane of model.keys()) {
          const [n, rank] = lane.split("/");
          const tiers = [0, 0, 0, 0];
          for (let block = from; block < 10; block++) {
            const tier = tiers.findIndex((_, t) =>
              model.get(`${n}/${rank}/${t}`)?.has(`${number} ${block}`),
            );
            if (tier < 0) break;
            tiers[tier]!++;
          }
          if (tiers.some((count) => count > 0)) expected.set(`${n}/${rank}`, tiers);
        }
        expect(matched(index, chain.subarray(2 * from))).toEqual(expected);
      }
    }
  }
  fc.assert(property, { numRuns: 60 });
}, 30_000);

describe("memory", () => {
  test("stays at 64 bytes a block and worker, and goes when the workers go", () => {
    const workers = 300;
    const index = exactIndex(workers);
    const empty_bytes = index.bytes;
    const random = new SeededRandom(3);
    let held = 0;
    for (let chain = 0; chain < 3_000; chain++) {
      const hashes = pairsOf(someHashes(32, chain));
      const holders = chain % 10 === 0 ? 150 : 1 + (random.u32() % 3);
      const first = random.u32() % workers;
      for (let i = 0; i < holders; i++) index.stored((first + i) % workers, 0, DEVICE, hashes);
      held += 32 * holders;
    }
    expect(index.bytes / held).toBeLessThan(64);
    for (let slot = 0; slot < workers - 1; slot++) index.removeWorker(slot);
    sweepAll(index);
    const left = index.blocksOf(workers - 1);
    expect(index.bytes).toBeLessThan(empty_bytes + 64 * left + 300_000);
    index.removeWorker(workers - 1);
    sweepAll(index);
    expect(index.bytes).toBe(empty_bytes);
  });

  test("thousands of workers that hold the same cost a bit each", () => {
    const index = exactIndex(4_000);
    const hashes = pairsOf(someHashes(100, 1));
    for (let slot = 0; slot < 4_000; slot++) index.stored(slot, 0, DEVICE, hashes);
    expect(index.bytes / (4_000 * 100)).toBeLessThan(2);
    expect(Object.keys(blocks(index, hashes)).length).toBe(4_000);
  });

  test("one worker's blocks are capped, the rest is refused and counted", () => {
    const index = exactIndex(2, 100);
    const hashes = pairsOf(someHashes(150, 1));
    index.stored(0, 0, DEVICE, hashes);
    index.stored(0, 0, DEVICE, hashes.subarray(0, 20));
    expect([index.blocksOf(0), index.refusedOf(0)]).toEqual([100, 50]);
    expect(blocks(index, hashes)).toEqual({ "0/0": 100 });
    index.removed(0, 0, DEVICE, hashes.subarray(0, 20));
    index.stored(0, 0, DEVICE, hashes.subarray(0, 30));
    expect([index.blocksOf(0), index.refusedOf(1)]).toEqual([100, 0]);
  });

  test("garbage ranks do not fill the tables", () => {
    const index = exactIndex(1);
    const hashes = pairsOf(someHashes(1, 1));
    for (let rank = 0; rank < 2_000; rank++) index.stored(0, rank * 7, DEVICE, hashes);
    expect([index.blocksOf(0), index.refusedOf(0)]).toEqual([1_024, 976]);
  });
});

describe("guessed caches", () => {
  const prompt = pairsOf(someHashes(8, 1));

  test("a worker without events is known by what was sent there, for the ttl", () => {
    const index = new CacheIndex({ approximate_ttl_ms: 1_000 });
    const slot = index.addWorker("approximate");
    index.routed(slot, 0, prompt, 6, 0);
    expect(blocks(index, prompt, 900)).toEqual({ "0/0": 6 });
    index.routed(slot, 0, prompt, 3, 900);
    expect(blocks(index, prompt, 1_100)).toEqual({ "0/0": 3 });
    expect(blocks(index, prompt, 2_000)).toEqual({});
  });

  test("a prompt just sent counts until the events show it, the larger of both", () => {
    const index = new CacheIndex({ predicted_ttl_ms: 500 });
    const slot = index.addWorker("events");
    index.stored(slot, 0, DEVICE, prompt.subarray(0, 4));
    index.routed(slot, 0, prompt, 8, 0);
    expect(blocks(index, prompt, 0)).toEqual({ "0/0": 8 });
    expect(blocks(index, prompt, 600)).toEqual({ "0/0": 2 });
    index.routed(slot, 0, prompt, 1, 600);
    expect(blocks(index, prompt, 600)).toEqual({ "0/0": 2 });
  });

  test("queues of what is named again and again stay short", () => {
    const index = new CacheIndex();
    const slot = index.addWorker("approximate");
    index.routed(slot, 0, prompt, 8, 0);
    const { bytes } = index;
    for (let i = 0; i < 10_000; i++) index.routed(slot, 0, prompt, 8, i);
    expect(index.bytes).toBeLessThan(bytes + 4_096);
  });

  test("another source begins with nothing known", () => {
    const index = exactIndex(1);
    index.stored(0, 0, DEVICE, prompt);
    index.setSource(0, "approximate");
    expect(blocks(index, prompt)).toEqual({});
    expect(index.source(0)).toBe("approximate");
  });
});
