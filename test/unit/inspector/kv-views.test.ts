import { expect, test } from "bun:test";
import { kvRates } from "../../../actors/inspector/kv/kv-rates.ts";
import { prefixPage } from "../../../actors/inspector/kv/prefix-page.ts";
import type { KvPage, KvTierRow } from "../../../actors/inspector/kv-page.ts";
import { healthOf, ofMachine } from "../../../actors/inspector/status.ts";
import { Tier } from "../../../actors/kv/tier/tier.ts";
import { CELLS_MAX, cellsOfCounts, sampled, tierMap } from "../../../llm/blocks/block-map.ts";

const tier = (more: Partial<KvTierRow>): KvTierRow => ({
  ...{ tier: "G1", blocks: 10, used: 1, hits: 0, misses: 0, evicted: 0, bytes: 0 },
  ...more,
});
const page = (row: KvTierRow): KvPage => ({
  workers: [{ worker: "w", role: "decode", tiers: [row] }],
});

test("hits and evictions have rates between two looks", () => {
  const before = page(tier({ hits: 10, misses: 10, evicted: 1 }));
  const now = page(tier({ hits: 40, misses: 20, evicted: 5 }));
  const [row] = kvRates(before, now, 2_000).workers[0]?.tiers ?? [];
  expect(row).toMatchObject({
    ...{ hits: 40, hits_per_s: 15, misses_per_s: 5, evicted_per_s: 2, hit_share: 0.75 },
  });
});

test("a first look, and another worker of the name, have no rates", () => {
  const now = page(tier({ hits: 40, misses: 20 }));
  const none = { hits_per_s: 0, misses_per_s: 0, evicted_per_s: 0, hit_share: null };
  expect(kvRates(undefined, now, 0).workers[0]?.tiers[0]).toMatchObject(none);
  const other = page(tier({ hits: 400, misses: 20 }));
  expect(kvRates(other, now, 1_000).workers[0]?.tiers[0]).toMatchObject(none);
});

test("of each model the router is shown that has looked at most prompts", () => {
  const node = (hash: string, hits: number) => ({
    ...{ hash, parent: null, blocks: 2, workers: ["w"], hits },
  });
  const said = (name: string, prompts: number, hits: number) => ({
    node: name,
    snapshot: { models: [{ model: "m", prompts, seen: prompts, nodes: [node(name, hits)] }] },
  });
  const made = prefixPage([said("f0", 3, 3), said("f1", 9, 8), { node: "x", snapshot: {} }]);
  expect(made.models).toEqual([{ model: "m", node: "f1", prompts: 9, seen: 9 }]);
  expect(made.nodes.map(({ hash, hits }) => [hash, hits])).toEqual([["f1", 8]]);
});

test("a picture of many slots is a sample of them, of few all", () => {
  expect([...sampled(3, (slot) => slot)]).toEqual([0, 1, 2]);
  const cells = sampled(1_000_000, (slot) => (slot < 500_000 ? 2 : 0));
  expect(cells).toHaveLength(CELLS_MAX);
  expect(cells.filter((cell) => cell === 2)).toHaveLength(CELLS_MAX / 2);
  expect(sampled(0, () => 1)).toHaveLength(0);
});

test("where only counts are known they are shown in a row, and one block of many is seen", () => {
  expect([...cellsOfCounts(6, 2, 3)]).toEqual([3, 3, 2, 2, 2, 0]);
  const cells = cellsOfCounts(1_000_000, 1, 0);
  expect(cells.filter((cell) => cell === 3)).toHaveLength(1);
  expect([...cellsOfCounts(2, 5, 5)]).toEqual([3, 3]);
  expect([...cellsOfCounts(0, 0, 0)]).toEqual([]);
});

test("cells go as base64", () => {
  const { cells } = tierMap("G2", 4, 2, Uint8Array.from([0, 1, 2, 3]));
  expect([...Buffer.from(cells, "base64")]).toEqual([0, 1, 2, 3]);
});

test("a tier's slots say what they hold, through a block's whole life", () => {
  const slots = new Tier(2);
  const state = () => [...slots.states].sort();
  const reset = slots.reserve(1n, 0n);
  if (typeof reset === "string") throw new Error(reset);
  expect(state()).toEqual([0, 1]);
  const held = reset.fill().complete(0n).register();
  expect(state()).toEqual([0, 3]);
  held.release();
  expect(state()).toEqual([0, 2]);
  const again = slots.hold(1n);
  expect(state()).toEqual([0, 3]);
  slots.forget(1n);
  expect(state()).toEqual([0, 3]);
  again?.release();
  expect(state()).toEqual([0, 0]);
  const dropped = slots.reserve(2n, 0n);
  if (typeof dropped === "string") throw new Error(dropped);
  dropped.fill().drop();
  expect(state()).toEqual([0, 0]);
});

test("an evicted block's slot shows the one that took it", () => {
  const slots = new Tier(1);
  for (const hash of [1n, 2n]) {
    const reset = slots.reserve(hash, 0n, 0, true);
    if (typeof reset === "string") throw new Error(reset);
    expect([...slots.states]).toEqual([1]);
    reset.fill().complete(0n).register().release();
    expect([...slots.states]).toEqual([2]);
  }
});

const worker = (ready: boolean, draining = false, node = "worker-0") => ({
  ...{ node, snapshot: { ready, draining } },
});
const door = (health: string, node = "frontend-0") => ({ node, snapshot: { health } });
const roles = ["worker", "frontend"];

test("a machine is ready when a worker takes requests and a frontend answers them", () => {
  expect(healthOf(roles, [worker(true)], [door("ready")], 1_500)).toEqual({
    status: "ready",
    endpoints: { generate: "ready", http: "ready" },
    uptime: { secs: 1, nanos: 500_000_000 },
  });
  expect(healthOf(roles, [worker(true, true)], [door("ready")], 0).endpoints["generate"]).toBe(
    "notready",
  );
  expect(healthOf(roles, [worker(false)], [door("starting")], 0).status).toBe("notready");
  expect(healthOf(roles, [], [door("ready")], 0).status).toBe("notready");
});

test("a machine without frontends is asked for workers alone, and one without anything waits", () => {
  expect(healthOf(["prefill"], [worker(true)], [], 0).endpoints).toEqual({ generate: "ready" });
  expect(healthOf([], [worker(true)], [door("ready")], 0).status).toBe("notready");
});

test("of several machines only this one's processes count", () => {
  const all = [worker(true, false, "a-1.worker-0"), worker(true, false, "b-2.worker-0")];
  expect(ofMachine(all, "a-1").map(({ node }) => node)).toEqual(["a-1.worker-0"]);
  expect(ofMachine(all, "c-3")).toEqual([]);
  expect(ofMachine([worker(true)], "root")).toHaveLength(1);
});
