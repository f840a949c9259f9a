/** The block pool against a plain model of it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { BlockPool } from "../../../actors/engine/mocker/block-pool.ts";
import { SlotTable } from "../../../actors/engine/mocker/slot-table.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";

function names(ids: readonly number[]): TraceBlocks {
  return new TraceBlocks(ids, 1, ids.length, 1, 0);
}

function find(pool: BlockPool, { sequence_words: words }: TraceBlocks, at: number): number {
  return pool.find(words[2 * at]!, words[2 * at + 1]!);
}

/** Allocates and names every block of a sequence; returns its slots. */
function hold(pool: BlockPool, blocks: TraceBlocks): number[] {
  const slots: number[] = [];
  while (slots.length < blocks.count && find(pool, blocks, slots.length) >= 0) {
    const slot = find(pool, blocks, slots.length);
    pool.retain(slot);
    slots.push(slot);
  }
  const shared = slots.length;
  if (!pool.allocate(blocks.count - shared, slots)) throw new Error("full");
  for (let at = shared; at < blocks.count; at++) {
    const parent = at === 0 ? -1 : slots[at - 1]!;
    const { sequence_words, local_words } = blocks;
    slots[at] = pool.register(slots[at]!, at, parent, sequence_words, local_words);
  }
  return slots;
}

function release(pool: BlockPool, slots: readonly number[]): void {
  for (const slot of slots.toReversed()) pool.release(slot);
}

test("released blocks are found again until they are evicted, the oldest and the last first", () => {
  const pool = new BlockPool(4);
  const first = names([1, 2]);
  const second = names([3, 4]);
  release(pool, hold(pool, first));
  release(pool, hold(pool, second));
  expect([pool.used, pool.cached, pool.free]).toEqual([0, 4, 0]);
  expect(pool.allocate(1, [])).toBe(true);
  expect([pool.evicted, pool.evictions]).toEqual([1, 1]);
  expect([find(pool, first, 0) >= 0, find(pool, first, 1) >= 0]).toEqual([true, false]);
  expect(find(pool, second, 1)).toBeGreaterThanOrEqual(0);
});

test("using a prefix keeps it from being evicted first", () => {
  const pool = new BlockPool(4);
  release(pool, hold(pool, names([1, 2])));
  release(pool, hold(pool, names([3, 4])));
  release(pool, hold(pool, names([1])));
  pool.allocate(2, []);
  expect(find(pool, names([1, 2]), 0)).toBeGreaterThanOrEqual(0);
  expect(find(pool, names([1, 2]), 1)).toBe(-1);
  expect(find(pool, names([3, 4]), 1)).toBe(-1);
  expect(find(pool, names([3, 4]), 0)).toBeGreaterThanOrEqual(0);
});

test("more than there is is refused and changes nothing", () => {
  const pool = new BlockPool(3);
  const slots = hold(pool, names([1, 2]));
  release(pool, slots.slice(1));
  const more: number[] = [];
  expect(pool.allocate(3, more)).toBe(false);
  expect(more).toEqual([]);
  expect([pool.used, pool.cached, pool.free]).toEqual([1, 1, 1]);
});

test("the second block of one name is given back for the first", () => {
  const pool = new BlockPool(4);
  const blocks = names([1]);
  const [first] = hold(pool, blocks);
  const slots: number[] = [];
  pool.allocate(1, slots);
  expect(pool.register(slots[0]!, 0, -1, blocks.sequence_words, blocks.local_words)).toBe(first!);
  expect([pool.used, pool.cached]).toEqual([1, 0]);
  pool.release(first!);
  expect(pool.used).toBe(1);
  pool.release(first!);
  expect([pool.used, pool.cached]).toEqual([0, 1]);
});

test("releasing twice is an error", () => {
  const pool = new BlockPool(2);
  const slots = hold(pool, names([1]));
  release(pool, slots);
  expect(() => pool.release(slots[0]!)).toThrow("released twice");
});

test("clearing forgets names and frees what nobody uses", () => {
  const pool = new BlockPool(4);
  const kept = hold(pool, names([1, 2]));
  release(pool, hold(pool, names([3])));
  pool.clear();
  expect([pool.used, pool.cached, pool.free]).toEqual([2, 0, 2]);
  expect(find(pool, names([1]), 0)).toBe(-1);
  release(pool, kept);
  expect([pool.used, pool.cached, pool.free]).toEqual([0, 0, 4]);
});

test("a dump lists every named block once, in runs, parents first", () => {
  const pool = new BlockPool(100);
  hold(pool, names([1, 2, 3]));
  release(pool, hold(pool, names([1, 2, 4, 5])));
  const dump = [...pool.dump(41, 3)];
  expect(dump.map(({ event_id, dp_rank }) => [event_id, dp_rank])).toEqual([
    [41, 3],
    [41, 3],
  ]);
  expect(dump.map(({ start_block }) => start_block)).toEqual([0, 2]);
  const { sequence_hashes, local_hashes } = names([1, 2, 3]).hashes();
  expect(dump[0]!.sequence_hashes).toEqual(sequence_hashes);
  expect(dump[0]!.local_hashes).toEqual(local_hashes);
  expect(dump[0]!.parent_hash).toBeUndefined();
  expect(dump[1]!.parent_hash).toBe(sequence_hashes[1]!);
  expect(dump[1]!.sequence_hashes).toEqual(names([1, 2, 4, 5]).hashes().sequence_hashes.slice(2));
});

test("used, cached and free always add up, and the cache is what a model says", () => {
  const prefix = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 5 });
  const action = fc.oneof(
    { weight: 4, arbitrary: prefix.map((ids) => ({ kind: "hold", ids }) as const) },
    { weight: 4, arbitrary: fc.nat(20).map((which) => ({ kind: "release", which }) as const) },
    { weight: 1, arbitrary: fc.constant({ kind: "clear" } as const) },
  );
  const capacity = 12;
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const pool = new BlockPool(capacity);
      const held: number[][] = [];
      for (const each of actions) {
        if (each.kind === "hold") {
          const in_use = new Set(held.flat()).size;
          if (in_use + each.ids.length <= capacity) held.push(hold(pool, names(each.ids)));
        } else if (each.kind === "release" && held.length > 0) {
          release(pool, held.splice(each.which % held.length, 1)[0]!);
        } else if (each.kind === "clear") {
          pool.clear();
        }
        expect(pool.used).toBe(new Set(held.flat()).size);
        expect(pool.used + pool.cached + pool.free).toBe(capacity);
        expect(pool.free).toBeGreaterThanOrEqual(0);
        let dumped = 0;
        for (const run of pool.dump(0, 0)) {
          dumped += run.sequence_hashes.length;
          const words = new Int32Array(run.sequence_hashes.buffer);
          for (let i = 0; i < run.sequence_hashes.length; i++) {
            expect(pool.find(words[2 * i]!, words[2 * i + 1]!)).toBeGreaterThanOrEqual(0);
          }
        }
        expect(dumped).toBeGreaterThanOrEqual(pool.cached);
      }
      for (const slots of held) release(pool, slots);
      expect(pool.used).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("the slot table finds what was added and not removed, whatever collides", () => {
  const key = fc.record({
    low: fc.integer({ min: -4, max: 4 }),
    high: fc.integer({ max: 3, min: 0 }),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 300 }), (actions) => {
      const table = new SlotTable();
      const records = new Int32Array(8 * 300);
      const model = new Map<string, number>();
      for (const [slot, [add, { low, high }]] of actions.entries()) {
        const name = `${low} ${high}`;
        const there = model.get(name);
        if (add && there === undefined) {
          records[8 * slot] = low;
          records[8 * slot + 1] = high;
          table.add(slot, low);
          model.set(name, slot);
        } else if (!add && there !== undefined) {
          table.remove(there, low);
          model.delete(name);
        }
        for (let l = -4; l <= 4; l++) {
          for (let h = 0; h <= 3; h++) {
            expect(table.find(l, h, records)).toBe(model.get(`${l} ${h}`) ?? -1);
          }
        }
      }
    }),
    { numRuns: 50 },
  );
});
