/** Keepers of two machines, with workers at both: what one computes, the other reads. */
import { expect, test } from "bun:test";
import { identityText, type KeeperEntry, packedHashes } from "../../../actors/kv/kv.ts";
import { MemoryBlockStore } from "../../../actors/kv/object/block-store.ts";
import type { ActorRef, KvArrived, KvKeeperMessage } from "../../../proto/index.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { wireOf } from "../../../runtime/remote/node.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { MemoryNetwork } from "../../../runtime/transport/memory.ts";
import { blockBytes } from "../../support/block-peers.ts";
import { BLOCK, identity, SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { joinAlone } from "../../support/worlds/join-alone.ts";
import { absent, testSystem } from "../../support/worlds/test-system.ts";

class Inbox extends Actor<KvArrived> {
  readonly #took: (message: KvArrived) => void;

  constructor(took: (message: KvArrived) => void) {
    super();
    this.#took = took;
  }

  override receive(message: KvArrived): void {
    this.#took(message);
  }
}

type Policy = "eager" | "after_first_reuse" | "disabled";

/** Of a disk's folders: all are empty, and can be made. */
const folders = {
  ...absent<Files>("files"),
  list: async () => [],
  makeFolder: async () => {},
  write: async () => {},
  read: async () => new Uint8Array(),
  remove: async () => {},
};

type Behind = { readonly store?: boolean; readonly disk?: boolean };

async function twoMachines(policy: Policy = "disabled", behind: Behind = {}) {
  const spawn = { start: absent<() => never>("start"), self: [], pid: 1, isAlive: () => true };
  const net_world = { net: absent<ReturnType<MemoryNetwork["net"]>>("net") };
  const world = { spawn: { ...spawn, resident_bytes: () => 0 }, files: folders, ...net_world };
  const { system, clock } = testSystem(1, {}, world);
  const network = new MemoryNetwork(clock, new SeededRandom(5), {
    ...{ delay_ms_min: 0.5, delay_ms_max: 2, split_bytes_max: 2_000 },
  });
  const net = network.net();
  Object.assign(system.capabilities, { net });
  await joinAlone(system);
  const segments = new SegmentTable(clock);
  const keepers: Ref<KvKeeperMessage>[] = [];
  const listeners: ((keepers: readonly KeeperEntry[]) => void)[] = [];
  const limits = { capacity_bytes: 1_000_000, ttl_ms: 60_000 };
  const store = behind.store ? new MemoryBlockStore(limits, () => clock.now_ms()) : undefined;
  for (const machine of ["alfa", "bravo"]) {
    const neighbours = {
      ...{ machine, policy, host: () => "127.0.0.1", store },
      watch: (listener: (typeof listeners)[number]) => {
        listeners.push(listener);
        return () => {};
      },
    };
    const disk = { bytes: 1_000_000, folder: `/disk/${machine}` };
    const shape = { name: machine, neighbours, ...(behind.disk ? { disk } : {}) };
    keepers.push(await startKeeper(system, segments, shape));
  }
  const entries = keepers.map((ref, i) => ({
    machine: ["alfa", "bravo"][i]!,
    ref: wireOf(system, ref),
    identities: [identityText(identity())],
  }));
  for (const listener of listeners) listener(entries);
  const ask = { deadline_ms: 1_000 };
  let number = 0;
  const worker = async (at: 0 | 1) => {
    const told: KvArrived[] = [];
    const name = `w${number++}`;
    const ref = system.spawn(() => new Inbox((message) => void told.push(message)), { name });
    const keeper = keepers[at]!;
    const place_of = { worker: wireOf(system, ref), name, pid: number, follows: false };
    const open = { ...place_of, identity: identity() };
    const asked = system.ask(keeper, { kind: "open_kv_space", ...open }, ask);
    // A keeper with a disk answers when its files are listed.
    await clock.advance(1_000);
    const place = await asked;
    const mapped = segments.map(place.segment, place.segment_bytes)!;
    const memory = (slot: number) =>
      segments.memory(mapped.address + place.base + slot * place.slot_bytes, BLOCK);
    const { space } = place;
    return {
      told,
      write: async (row: readonly bigint[], from: number, to: number, hand_off = "") => {
        const hashes = packedHashes(row.slice(from, to));
        const parents = packedHashes(row.slice(from, to).map((_, i) => row[from + i - 1] ?? 0n));
        const offer = { hashes, parents, priority: 0, hand_off };
        const { slots } = await system.ask(keeper, { kind: "reserve_kv", space, ...offer }, ask);
        for (const [i, slot] of slots.entries()) {
          if (slot >= 0) memory(slot).set(blockBytes(row[from + i]!, BLOCK));
        }
        keeper.tell({ kind: "kv_filled", space, hashes, dropped: new Uint8Array() });
      },
      writing: (id: string) => keeper.tell({ kind: "kv_writing", space, id, blocks: 0 }),
      written: (id: string) => keeper.tell({ kind: "kv_written", space, id }),
      find: (row: readonly bigint[], writer = "", from_keeper?: ActorRef) => {
        const whole = { hashes: packedHashes(row), from: 0, writer, wait_ms: 10_000 };
        const from = from_keeper === undefined ? {} : { from_keeper };
        return system.ask(keeper, { kind: "find_kv", space, ...whole, ...from }, ask);
      },
      release: (lease: number) => keeper.tell({ kind: "release_kv", space, lease }),
      right: (row: readonly bigint[], slots: readonly number[]) =>
        slots.every((slot, i) => Buffer.compare(memory(slot), blockBytes(row[i]!, BLOCK)) === 0),
    };
  };
  const state = (name: string) => {
    const { spaces = [], waits, neighbours } = system.snapshot(`/${name}`) ?? {};
    const [{ staged, held, unaccounted } = {}] = spaces as Record<string, number>[];
    const { tickets, reading, pulling } = neighbours as Record<string, number>;
    return { staged, held, unaccounted, waits, tickets, reading, pulling };
  };
  const quiet = {
    staged: 0,
    held: 0,
    unaccounted: 0,
    waits: 0,
    tickets: 0,
    reading: 0,
    pulling: 0,
  };
  return {
    system,
    clock,
    net,
    segments,
    worker,
    keeper_refs: entries.map(({ ref }) => ref),
    state,
    quiet,
  };
}

const row = Array.from({ length: 8 }, (_, i) => BigInt(101 + i * 7));
const slotsOf = (told: readonly KvArrived[]) => told.flatMap(({ slots }) => slots);

test("a hand-off comes from the other machine while it is computed there", async () => {
  const { clock, worker, keeper_refs, state, quiet } = await twoMachines();
  const [prefill, decode] = [await worker(0), await worker(1)];
  // Both legs begin at once: who reads may be first.
  const found = await decode.find(row, "h1", keeper_refs[0]);
  expect(found).toMatchObject({ slots: [], coming: true });
  prefill.writing("h1");
  for (const at of [0, 3, 6]) {
    await prefill.write(row, at, Math.min(8, at + 3), "h1");
    await clock.advance(1_500);
    expect(slotsOf(decode.told).length).toBe(Math.min(8, at + 3));
  }
  prefill.written("h1");
  await clock.advance(100);
  expect(decode.told.at(-1)).toMatchObject({ lease: found.lease, coming: false });
  expect(decode.right(row, slotsOf(decode.told))).toBe(true);
  decode.release(found.lease);
  await clock.advance(30_000);
  for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
});

test("a hand-off whose writer never begins, or stops in the middle, ends with what has come", async () => {
  const { clock, worker, keeper_refs, state, quiet } = await twoMachines();
  const [prefill, decode] = [await worker(0), await worker(1)];
  const never = await decode.find(row, "never", keeper_refs[0]);
  expect(never.coming).toBe(true);
  await clock.advance(5_000);
  expect(decode.told).toMatchObject([{ slots: [], coming: false }]);
  prefill.writing("h2");
  await prefill.write(row, 0, 4, "h2");
  const found = await decode.find(row, "h2", keeper_refs[0]);
  await clock.advance(1_000);
  prefill.written("h2");
  await clock.advance(500);
  expect(decode.told.at(-1)).toMatchObject({ lease: found.lease, coming: false });
  expect(slotsOf(decode.told).length).toBe(4);
  for (const { lease } of [never, found]) decode.release(lease);
  await clock.advance(30_000);
  for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
});

test("a reader that is released in the middle gives both machines their slots back", async () => {
  const { clock, worker, keeper_refs, state, quiet } = await twoMachines();
  const [prefill, decode] = [await worker(0), await worker(1)];
  prefill.writing("h3");
  await prefill.write(row, 0, 4, "h3");
  const { lease } = await decode.find(row, "h3", keeper_refs[0]);
  await clock.advance(20);
  decode.release(lease);
  const before = decode.told.length;
  await clock.advance(5_000);
  expect(decode.told.length).toBe(before);
  prefill.written("h3");
  await clock.advance(30_000);
  for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
});

test("what is kept at its owner is found from the other machine", async () => {
  const { clock, worker, state, quiet } = await twoMachines("eager");
  const [one, other] = [await worker(0), await worker(1)];
  await one.write(row, 0, 8);
  await clock.advance(1_000);
  const found = await other.find(row);
  await clock.advance(1_000);
  const slots = [...found.slots, ...slotsOf(other.told)];
  expect(slots.length).toBe(8);
  expect(other.right(row, slots)).toBe(true);
  other.release(found.lease);
  await clock.advance(30_000);
  for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
});

test.each(["eager", "disabled"] as const)(
  "what owners lack comes from the store (%s)",
  async (policy) => {
    const { clock, worker, state, quiet } = await twoMachines(policy, { store: true });
    const [one, other] = [await worker(0), await worker(1)];
    await one.write(row, 0, 8);
    // Used again: it goes to the store.
    one.release((await one.find(row)).lease);
    await clock.advance(1_000);
    const found = await other.find(row);
    await clock.advance(1_000);
    const slots = [...found.slots, ...slotsOf(other.told)];
    expect(other.right(row, slots)).toBe(true);
    expect(slots.length).toBe(8);
    other.release(found.lease);
    await clock.advance(30_000);
    for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
  },
);

test("what lies on its owner's disk is read from the other machine, and kept on its own", async () => {
  const { system, clock, worker, segments, state, quiet } = await twoMachines("eager", {
    disk: true,
  });
  const [one, other] = [await worker(0), await worker(1)];
  await clock.advance(100);
  await one.write(row, 0, 8);
  await clock.advance(1_000);
  // So much more that the row gives way in memory, at both.
  const more = Array.from({ length: 64 }, (_, i) => 5_000n + BigInt(i));
  for (let at = 0; at < more.length; at += 8) {
    await one.write(more, at, at + 8);
    await clock.advance(200);
  }
  const registered = (name: string) => {
    const { spaces = [] } = system.snapshot(`/${name}`) ?? {};
    return (spaces as { registered: number; disk: { registered: number } }[])[0];
  };
  expect(registered("alfa")?.registered).toBe(16);
  const owned = registered("bravo")?.disk.registered ?? 0;
  expect(owned).toBeGreaterThan(10);
  const found = await other.find(row);
  await clock.advance(2_000);
  const slots = [...found.slots, ...slotsOf(other.told)];
  expect(slots.length).toBe(8);
  expect(other.right(row, slots)).toBe(true);
  other.release(found.lease);
  await clock.advance(1_000);
  expect(registered("bravo")?.disk.registered).toBeGreaterThan(owned);
  expect(segments.files?.loaded).toBeGreaterThan(0);
  await clock.advance(30_000);
  for (const machine of ["alfa", "bravo"]) expect(state(machine)).toMatchObject(quiet);
});
