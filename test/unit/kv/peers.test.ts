/** Keepers of several machines: what they find at each other, hand over and offer. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { IDENTITY, machines, type TestMachine } from "../../support/peer-keepers.ts";

const random = new SeededRandom(3);
const draw = (count: number) => Array.from({ length: count }, () => random.u64());
const WAIT_MS = 20_000;

/** The row at each block's owner, as offers would have brought it there. */
function spread(all: readonly TestMachine[], row: readonly bigint[]): void {
  for (const machine of all) {
    const owned = row.filter((hash) => machine.members.ownerOf(IDENTITY, hash) === undefined);
    machine.space.write(owned);
  }
}

function wanted({ space, plane }: TestMachine, hashes: readonly bigint[], now_ms: number) {
  expect(plane).toBeDefined();
  return { space, hashes, from: space.whole(hashes), until_ms: now_ms + WAIT_MS };
}

function expectQuiet(all: readonly TestMachine[]): void {
  for (const { plane, peers, space } of all) {
    expect(plane.live).toEqual({ tickets: 0, reading: 0, pulling: 0 });
    expect(peers.busy).toBe(0);
    expect(space.room.unaccounted()).toBe(0);
    expect(space.room.stats()).toMatchObject({ staged: 0, held: 0 });
  }
}

describe("what owners have", () => {
  test("is brought from all of them, up to the first block that nobody has", async () => {
    const { simulation, all } = await machines(1, ["alfa", "bravo", "charlie"]);
    const row = draw(30);
    spread(all, row.slice(0, 24));
    const [alfa] = all as [TestMachine];
    const here = alfa.space.count(row);
    expect(here).toBeGreaterThan(2);
    expect(alfa.space.whole(row)).toBeLessThan(here);
    let ended = 0;
    const now_ms = simulation.clock.now_ms();
    const brought = alfa.peers.bring(wanted(alfa, row, now_ms), () => {
      ended += 1;
    });
    expect(brought).toBeDefined();
    await simulation.run(500);
    expect(ended).toBe(1);
    expect(alfa.space.whole(row)).toBe(24);
    expect(alfa.plane.counts()).toMatchObject({ pulled_blocks: 24 - here });
    // The rest was missed a moment ago: nobody is asked again.
    const counts = alfa.peers.counts();
    const again = wanted(alfa, row, simulation.clock.now_ms());
    expect(alfa.peers.bring(again, () => {})).toBeUndefined();
    expect(alfa.peers.counts()).toEqual(counts);
    expect(counts).toMatchObject({ asked: 2, unanswered: 0 });
    await simulation.run(5_000);
    expectQuiet(all);
  });

  test("is not asked for where a machine is alone", async () => {
    const { all } = await machines(2, ["alfa"]);
    const [alfa] = all as [TestMachine];
    expect(alfa.peers.bring(wanted(alfa, draw(4), 0), () => {})).toBeUndefined();
  });

  test("costs a bounded wait where the owner is frozen, and then nothing for a while", async () => {
    const { simulation, all } = await machines(3, ["alfa", "bravo"]);
    const [alfa, bravo] = all as [TestMachine, TestMachine];
    const row = draw(40).filter((hash) => alfa.members.ownerOf(IDENTITY, hash) !== undefined);
    bravo.space.write(row);
    bravo.net.freeze();
    let ended_ms = 0;
    const { clock } = simulation;
    const began_ms = clock.now_ms();
    alfa.peers.bring(wanted(alfa, row, began_ms), () => {
      ended_ms = clock.now_ms();
    });
    await simulation.run(10_000);
    expect(ended_ms - began_ms).toBeGreaterThan(0);
    expect(ended_ms - began_ms).toBeLessThan(5_000);
    expect(alfa.space.whole(row)).toBe(0);
    expect(alfa.space.room.stats()).toMatchObject({ staged: 0, held: 0 });
  });
});

test("an owner that cannot be read is not asked again when its reader has lost patience", async () => {
  const { simulation, all } = await machines(9, ["alfa", "bravo"]);
  const [alfa, bravo] = all as [TestMachine, TestMachine];
  const row = draw(40).filter((hash) => alfa.members.ownerOf(IDENTITY, hash) !== undefined);
  bravo.space.write(row);
  // It answers what it is asked, but no connection to it gets anywhere.
  bravo.net.freeze();
  const { clock } = simulation;
  const give_up = alfa.peers.bring(wanted(alfa, row, clock.now_ms()), () => {});
  await simulation.run(250);
  give_up?.();
  const { asked } = alfa.peers.counts();
  expect(alfa.peers.bring(wanted(alfa, row, clock.now_ms()), () => {})).toBeUndefined();
  await simulation.run(6_000);
  bravo.net.thaw();
  expect(alfa.peers.bring(wanted(alfa, row, clock.now_ms()), () => {})).toBeDefined();
  await simulation.run(1_000);
  expect(alfa.peers.counts().asked).toBe(asked + 1);
  expect(alfa.space.whole(row)).toBe(row.length);
});

describe("a hand-off", () => {
  test("comes block by block while it is computed, and ends with its writer", async () => {
    const { simulation, all } = await machines(4, ["prefill", "decode"]);
    const [prefill, decode] = all as [TestMachine, TestMachine];
    const row = draw(10);
    prefill.space.hand_offs.add("h1");
    prefill.space.write(row.slice(0, 3));
    let ended = 0;
    const now_ms = simulation.clock.now_ms();
    decode.peers.bringFrom(wanted(decode, row, now_ms), prefill.ref, "h1", () => {
      ended += 1;
    });
    for (let blocks = 3; blocks <= 8; blocks += 1) {
      await simulation.run(1_500);
      expect(decode.space.whole(row)).toBe(blocks);
      prefill.space.write(row.slice(0, blocks + 1));
    }
    await simulation.run(500);
    expect(ended).toBe(0);
    prefill.space.hand_offs.delete("h1");
    prefill.space.news();
    await simulation.run(500);
    expect(ended).toBe(1);
    expect(decode.space.whole(row)).toBe(9);
    await simulation.run(5_000);
    expectQuiet(all);
  });

  test("whose machine dies in the middle leaves what has come, and ends", async () => {
    const { simulation, all } = await machines(5, ["prefill", "decode"]);
    const [prefill, decode] = all as [TestMachine, TestMachine];
    const row = draw(6);
    prefill.space.hand_offs.add("h1");
    prefill.space.write(row.slice(0, 4));
    let ended = 0;
    decode.peers.bringFrom(
      wanted(decode, row, simulation.clock.now_ms()),
      prefill.ref,
      "h1",
      () => {
        ended += 1;
      },
    );
    await simulation.run(1_000);
    prefill.net.kill();
    await simulation.run(5_000);
    expect(ended).toBe(1);
    expect(decode.space.whole(row)).toBe(4);
    expectQuiet([decode]);
  });

  test("that is given up frees both sides", async () => {
    const { simulation, all } = await machines(6, ["prefill", "decode"]);
    const [prefill, decode] = all as [TestMachine, TestMachine];
    const row = draw(6);
    prefill.space.hand_offs.add("h1");
    prefill.space.write(row.slice(0, 2));
    let ended = 0;
    const now_ms = simulation.clock.now_ms();
    const row_of = wanted(decode, row, now_ms);
    const give_up = decode.peers.bringFrom(row_of, prefill.ref, "h1", () => {
      ended += 1;
    });
    await simulation.run(1_000);
    give_up?.();
    expect(ended).toBe(1);
    await simulation.run(5_000);
    expect(ended).toBe(1);
    expect(decode.space.whole(row)).toBe(2);
    expectQuiet(all);
  });
});

describe("a block that is used again", () => {
  test("goes to its owner, once, with its place in the row", async () => {
    const { simulation, all } = await machines(7, ["alfa", "bravo", "charlie"]);
    const [alfa] = all as [TestMachine];
    const row = draw(40);
    alfa.space.write(row);
    const blocks = row.map((hash, i) => ({ hash, parent: row[i - 1] ?? 0n }));
    for (let times = 0; times < 3; times += 1) alfa.peers.offers.reused(alfa.space, blocks);
    await simulation.run(2_000);
    for (const machine of all) {
      const owned = row.filter((hash) => machine.members.ownerOf(IDENTITY, hash) === undefined);
      for (const hash of owned) expect(machine.space.whole([hash])).toBe(1);
      const parents = new Map([...machine.space.room.hashes()].map((b) => [b.hash, b.parent]));
      for (const [i, hash] of row.entries()) {
        if (owned.includes(hash)) expect(parents.get(hash)).toBe(row[i - 1] ?? 0n);
      }
      if (machine !== alfa) expect(machine.offers.toSorted()).toEqual(owned.toSorted());
    }
    await simulation.run(5_000);
    expectQuiet(all);
  });

  test("stays where it is when nothing is to be offered", async () => {
    const { simulation, all } = await machines(8, ["alfa", "bravo"], { policy: "disabled" });
    const [alfa, bravo] = all as [TestMachine, TestMachine];
    const row = draw(10);
    alfa.space.write(row);
    alfa.peers.offers.reused(
      alfa.space,
      row.map((hash) => ({ hash, parent: 0n })),
    );
    await simulation.run(2_000);
    expect(bravo.offers).toEqual([]);
    expect(alfa.peers.counts()).toMatchObject({ offered_blocks: 0 });
  });
});

test("whatever dies and whenever, no slot is stranded and no block is wrong", async () => {
  const fault = fc.constantFrom("kill", "freeze", "give up", "nothing");
  await fc.assert(
    fc.asyncProperty(fc.nat(10_000), fc.integer({ max: 60 }), fault, async (seed, at_ms, what) => {
      const slots = 8 + (seed % 40);
      const { simulation, all } = await machines(seed, ["alfa", "bravo", "charlie"], { slots });
      const [alfa, bravo, charlie] = all as [TestMachine, TestMachine, TestMachine];
      const row = draw(20);
      bravo.space.hand_offs.add("h");
      bravo.space.write(row.slice(0, 6));
      spread([bravo, charlie], row);
      const now_ms = simulation.clock.now_ms();
      let ended = 0;
      const give_up = alfa.peers.bringFrom(wanted(alfa, row, now_ms), bravo.ref, "h", () => {
        ended += 1;
      });
      const others = row.filter((hash) => alfa.members.ownerOf(IDENTITY, hash) !== undefined);
      const also = alfa.peers.bring(wanted(alfa, others, now_ms), () => {
        ended += 1;
      });
      await simulation.run(Math.max(0, at_ms));
      if (what === "kill" || what === "freeze") bravo.net[what]();
      if (what === "give up") give_up?.();
      await simulation.run(WAIT_MS + 10_000);
      expect(ended).toBe(also === undefined ? 1 : 2);
      expect(alfa.space.whole(row)).toBeLessThanOrEqual(20);
      expectQuiet([alfa]);
      if (what === "give up" || what === "nothing") expectQuiet(all);
    }),
    { numRuns: 60 },
  );
});
