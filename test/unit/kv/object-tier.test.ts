/** The store of blocks behind a keeper: what is put and found again, and what is not trusted. */
import { expect, test } from "bun:test";
import { type BlockStore, MemoryBlockStore } from "../../../actors/kv/object/block-store.ts";
import { ObjectTier } from "../../../actors/kv/object/object-tier.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { IDENTITY, TestSpace } from "../../support/peer-keepers.ts";

const row = Array.from({ length: 20 }, (_, i) => BigInt(1_000 + i));
const blocks = row.map((hash, i) => ({ hash, parent: row[i - 1] ?? 0n }));

function world() {
  const clock = new VirtualClock();
  const limits = { capacity_bytes: 1_000_000, ttl_ms: 60_000 };
  const memory = new MemoryBlockStore(limits, () => clock.now_ms());
  let broken = false;
  const touched = new Map<string, (bytes: Uint8Array) => Uint8Array>();
  const names: string[] = [];
  const store: BlockStore = {
    name: "test",
    get: async (name) => {
      if (broken) throw new Error("away");
      const bytes = await memory.get(name);
      return bytes && (touched.get(name) ?? ((same) => same))(bytes);
    },
    put: async (name, bytes) => {
      if (broken) throw new Error("away");
      names.push(name);
      await memory.put(name, bytes);
    },
  };
  const failures: unknown[] = [];
  let guests = 0;
  const machine = (slots = 32) => {
    const space = new TestSpace(slots);
    const guest = () => `object ${++guests}`;
    const failed = (why: unknown) => void failures.push(why);
    const tier = new ObjectTier({ store, clock, guest, failed });
    const bring = () => {
      let ended = 0;
      const wanted = {
        space,
        hashes: row,
        from: space.whole(row),
        until_ms: clock.now_ms() + 1_000,
      };
      const cancel = tier.bring(wanted, () => {
        ended += 1;
      });
      return { cancel, ended: () => ended };
    };
    const quiet = () => {
      expect(tier.busy).toBe(0);
      expect(space.room.stats()).toMatchObject({ staged: 0, held: 0 });
    };
    return { space, tier, bring, quiet };
  };
  const breaks = (is: boolean) => {
    broken = is;
  };
  return { clock, machine, names, touched, breaks, failures };
}

test("what one machine used again, another has from the store, up to the first gap", async () => {
  const { clock, machine, names } = world();
  const [one, other] = [machine(), machine()];
  one.space.write(row.slice(0, 12));
  one.tier.reused(one.space, blocks.slice(0, 12));
  one.tier.reused(one.space, blocks.slice(0, 12));
  await clock.advance(1);
  expect(names.length).toBe(12);
  expect(names[0]).toBe(`${IDENTITY}/00000000000003e8`);
  const brought = other.bring();
  await clock.advance(1);
  expect(brought.ended()).toBe(1);
  expect(other.space.whole(row)).toBe(12);
  expect(other.tier.counts()).toMatchObject({ got: 12 });
  // A miss is known for a while.
  expect(other.bring().cancel).toBeUndefined();
  for (const { quiet } of [one, other]) quiet();
});

test("what is torn, of others or corrupt ends the row, and is counted", async () => {
  const { clock, machine, names, touched } = world();
  const one = machine();
  one.space.write(row.slice(0, 9));
  one.tier.reused(one.space, blocks.slice(0, 9));
  await clock.advance(1);
  const flip = (at: number) => (bytes: Uint8Array) => {
    bytes[at] = bytes[at]! ^ 1;
    return bytes;
  };
  const odd = [
    ["torn", (bytes: Uint8Array) => bytes.subarray(0, 100)],
    ["foreign", flip(0)],
    ["corrupt", flip(500)],
  ] as const;
  for (const [what, touch] of odd) {
    touched.set(names[3]!, touch);
    const other = machine();
    const { ended } = other.bring();
    await clock.advance(1);
    expect(ended()).toBe(1);
    expect(other.space.whole(row)).toBe(3);
    expect(other.tier.counts()[what]).toBe(1);
    other.quiet();
  }
});

test("a store that is away is said once, and left in peace for a while", async () => {
  const { clock, machine, breaks, failures, names } = world();
  const one = machine();
  one.space.write(row);
  breaks(true);
  one.tier.reused(one.space, blocks);
  await clock.advance(1);
  const other = machine();
  const brought = other.bring();
  await clock.advance(1);
  expect(brought.ended()).toBe(1);
  expect(failures.length).toBe(2);
  expect(other.bring().cancel).toBeUndefined();
  breaks(false);
  await clock.advance(6_000);
  one.tier.reused(one.space, []);
  await clock.advance(1);
  expect(names.length).toBeGreaterThan(10);
  other.quiet();
});

test("a row that is given up, or has no room, strands nothing", async () => {
  const { clock, machine } = world();
  const one = machine();
  one.space.write(row);
  one.tier.reused(one.space, blocks);
  await clock.advance(1);
  const given_up = machine();
  const { cancel, ended } = given_up.bring();
  cancel?.();
  expect(ended()).toBe(1);
  await clock.advance(10);
  expect([ended(), given_up.space.whole(row)]).toEqual([1, 0]);
  given_up.quiet();
  const small = machine(8);
  // Four slots are somebody's.
  expect(small.space.room.find("a reader", row).lease).toBe(0);
  small.space.write(row.slice(0, 4));
  const { lease } = small.space.room.find("a reader", row);
  const brought = small.bring();
  await clock.advance(1);
  expect([brought.ended(), small.space.whole(row)]).toEqual([1, 8]);
  small.space.room.release("a reader", lease);
  small.quiet();
});
