/** The tree of a process while it is watched: what is told bit by bit is the tree. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Actor } from "../../../runtime/kernel/actor.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { ToldTree } from "../../../runtime/observe/tree-delta.ts";
import {
  CHILDREN_MAX,
  type LiveNode,
  LOOKED_AT,
  TreeWatch,
} from "../../../runtime/observe/tree-watch.ts";
import { testSystem } from "../../support/worlds/test-system.ts";

class Parent extends Actor<Message> {
  readonly #children: number;
  constructor(children: number) {
    super();
    this.#children = children;
  }
  override init(): void {
    for (let i = 0; i < this.#children; i++) {
      this.ctx.spawn(() => new Parent(0), { name: `c${i}` });
    }
  }
  receive(): void {}
}

const parent = (children: number) => () => new Parent(children);
const atOnce = () => Promise.resolve();
const ROWS = 5_000;

const row = fc.record({
  id: fc.constantFrom(..."abcdefghij").map((name) => `n/${name}`),
  handled: fc.nat(3),
  state: fc.constantFrom("running", "waiting"),
  children: fc.subarray(["n/x", "n/y"]),
});
const tree = fc.uniqueArray(row, { selector: ({ id }) => id }).map((rows) =>
  rows.map(
    (each): LiveNode => ({
      ...{ path: each.id.slice(1), kind: "actor", role: "r", pid: 0, restarts: 0, mailbox: 0 },
      ...{ oldest_ms: 0, rate: 0, ms_per_message: 0, more: 0, ...each },
    }),
  ),
);

test("all changes together are the tree, however few fit into one answer", () => {
  fc.assert(
    fc.property(fc.array(tree, { minLength: 1 }), fc.integer({ min: 1, max: 5 }), (trees, most) => {
      const told = new ToldTree();
      const known = new Map<string, LiveNode>();
      const take = (rows: readonly LiveNode[]) => {
        const { nodes, gone } = told.take(rows, most);
        expect(nodes.length).toBeLessThanOrEqual(most);
        for (const id of gone) known.delete(id);
        for (const node of nodes) known.set(node.id, node);
        return nodes.length + gone.length;
      };
      for (const rows of trees) take(rows);
      const last = trees.at(-1) ?? [];
      // Nothing moves any more: within these the rest comes, and then nothing.
      for (let i = 0; i <= last.length / most; i++) take(last);
      expect(take(last)).toBe(0);
      expect(known).toEqual(new Map(last.map((each) => [each.id, each])));
    }),
  );
});

test("rows that change all the time do not keep others from being told", () => {
  const told = new ToldTree();
  const rows = (n: number) =>
    ["a", "b", "c", "d"].map(
      (id): LiveNode => ({
        ...{ id, path: id, kind: "actor", role: "", pid: 0, state: "running" },
        ...{ restarts: 0, mailbox: 0 },
        ...{ oldest_ms: 0, rate: 0, ms_per_message: 0, more: 0, children: [], handled: n },
      }),
    );
  told.take(rows(0), 4);
  const seen = [1, 2, 3, 4].flatMap((n) => told.take(rows(n), 2).nodes.map(({ id }) => id));
  expect(seen).toEqual(["a", "b", "c", "d", "a", "b", "c", "d"]);
});

test("a walk gives what tree() gives, parents first", async () => {
  const { system } = testSystem();
  system.spawn(parent(3), { name: "a" });
  system.spawn(parent(0), { name: "b", role: "lonely" });
  await system.idle();
  const watch = new TreeWatch(system);
  const rows = await watch.walk(ROWS, atOnce);
  const plain = rows.map(({ rate: _rate, ms_per_message: _ms, more: _more, ...node }) => node);
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  expect(plain.toSorted(byId)).toEqual(system.tree().toSorted(byId));
  const places = new Map(rows.map(({ id }, place) => [id, place]));
  for (const { id, children } of rows) {
    for (const child of children) expect(places.get(child)).toBeGreaterThan(places.get(id) ?? -1);
  }
  watch.stop();
});

test("of many children the busy ones are shown, and stay while nobody is busier", async () => {
  const { system } = testSystem();
  system.spawn(parent(1_000), { name: "many" });
  await system.idle();
  const watch = new TreeWatch(system);
  const shownNow = async () => {
    const rows = await watch.walk(ROWS, atOnce);
    const many = rows.find(({ path }) => path === "/many")!;
    expect(rows.length).toBe(1 + CHILDREN_MAX);
    expect(many.children.length + many.more).toBe(1_000);
    return many.children;
  };
  const first = await shownNow();
  expect(await shownNow()).toEqual(first);
  // One that is stuck with its messages, far behind those that were looked at first.
  const stuck = system.lookup("/many/c900") as Ref<Message>;
  expect(first).not.toContain("test/many/c900");
  system.control("/many/c900", "suspend");
  stuck.tell({ kind: "x" });
  // So many walks look at all of them.
  for (let i = 0; i < 1_000 / LOOKED_AT; i++) await shownNow();
  const later = await shownNow();
  expect(later).toContain("test/many/c900");
  expect(later.filter((id) => first.includes(id)).length).toBe(CHILDREN_MAX - 1);
  // One that takes turns.
  const busy = system.lookup("/many/c950") as Ref<Message>;
  for (let i = 0; i < 50; i++) {
    busy.tell({ kind: "x" });
    await system.idle();
  }
  expect(await shownNow()).toContain("test/many/c950");
  watch.stop();
});

test("a walk is bounded in rows, and lets others go on in between", async () => {
  const { system, clock } = testSystem();
  for (let i = 0; i < 60; i++) system.spawn(parent(80), { name: `p${i}` });
  await system.idle();
  const watch = new TreeWatch(system);
  const bounded = await watch.walk(500, atOnce);
  expect(bounded.length).toBe(500);
  const whole = bounded.reduce((sum, { more }) => sum + more, bounded.length);
  expect(whole).toBe(60 * 81);
  let pauses = 0;
  const now_ms = clock.now_ms.bind(clock);
  let reads = 0;
  clock.now_ms = () => now_ms() + reads++ / 4;
  const rows = await watch.walk(ROWS, async () => void pauses++);
  expect(rows.length).toBe(60 * 81);
  expect(pauses).toBeGreaterThan(10);
  watch.stop();
});

test("rates are messages a second between two walks", async () => {
  const { system, clock } = testSystem();
  const ref: Ref<Message> = system.spawn(parent(0), { name: "a" });
  await system.idle();
  const watch = new TreeWatch(system);
  expect((await watch.walk(ROWS, atOnce))[0]?.rate).toBe(0);
  for (let i = 0; i < 30; i++) ref.tell({ kind: "x" });
  await system.idle();
  await clock.advance(500);
  const [row] = await watch.walk(ROWS, atOnce);
  expect([row?.handled, row?.rate]).toEqual([30, 60]);
  watch.stop();
});

test("turns are timed while somebody watches, and not before or after", async () => {
  const { system, clock } = testSystem();
  const ref: Ref<Message> = system.spawn(parent(0), { name: "a" });
  await system.idle();
  const handle = async () => {
    for (let i = 0; i < 20; i++) {
      ref.tell({ kind: "x" });
      await system.idle();
    }
  };
  const watch = new TreeWatch(system);
  const other = system.watchTurns();
  expect(other).toBe(watch.times);
  await handle();
  const sums = [...watch.times.take().values()];
  expect(sums.length).toBe(1);
  expect(sums[0]!.messages).toBeGreaterThan(0);
  watch.stop();
  await handle();
  expect(other.take().size).toBe(1);
  system.unwatchTurns();
  await handle();
  expect(other.take().size).toBe(0);
  expect(clock.now_ms()).toBeGreaterThanOrEqual(0);
});
