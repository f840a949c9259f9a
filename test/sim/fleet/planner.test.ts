/**
 * A planner that is killed at any moment of a change comes back and reaches its target once: no
 * worker comes or goes twice, whoever is killed when. Of two planners one decides.
 */
import { expect, test } from "bun:test";
import type { Snapshot } from "../../../runtime/kernel/actor.ts";
import { simClient, simWorld } from "../../support/worlds/sim-world.ts";
import type { World } from "../world/world.ts";

const PLANNER = "/planner/models/toy";
const planned = ["--planner=load", "--max-workers=8"];
/** From one worker to three, and from three to one. */
const adds = ["--workers=1", ...planned, "--min-workers=3"];
const retires = ["--workers=3", "--planner=load", "--min-workers=1", "--max-workers=1"];

const processesOf = (cluster: World): string[] =>
  [...cluster.processes.keys()].filter((node) => node.startsWith("worker-")).sort();

const plannerOf = (cluster: World, node = "planner-0"): Snapshot | undefined =>
  cluster.processes.get(node)?.system?.snapshot(PLANNER);

/** When the first decision that changes something was told, on the simulation's clock. */
function decidedAt(cluster: World): number | undefined {
  return cluster.log.find(({ message }) => /^planner: aggregated /.test(message))?.at_ms;
}

/** Without a kill: the same seed decides at the same time. */
async function decisionTime(seed: number, flags: readonly string[]): Promise<number> {
  const { simulation, cluster } = await simWorld(seed, flags);
  for (let turns = 0; decidedAt(cluster) === undefined; turns++) {
    await simulation.run(500);
    expect(turns).toBeLessThan(400);
  }
  return decidedAt(cluster) ?? 0;
}

/** Before, while and after the decision is written, asked for and carried out. */
const moments_ms = [-6_000, -4, -2, -1, 0, 1, 2, 3, 5, 10, 20, 30, 40, 60, 90, 150, 400, 1_000];
const changes = [
  { name: "an add", flags: adds, left: ["worker-0", "worker-1", "worker-2"] },
  { name: "a retire", flags: retires, left: undefined },
] as const;

test.each(changes)(
  "a planner killed at any moment of $name: the target is reached once",
  async ({ flags, left }) => {
    const at_ms = await decisionTime(41, flags);
    for (const offset_ms of moments_ms) {
      const { simulation, cluster } = await simWorld(41, flags);
      const client = simClient(cluster, `beside ${offset_ms}`, { max_tokens: 300 });
      const names = new Set<string>();
      const kill_ms = at_ms + offset_ms;
      while (simulation.clock.now_ms() < kill_ms) {
        await simulation.run(Math.min(1_000, kill_ms - simulation.clock.now_ms()));
      }
      expect([offset_ms, cluster.kill("planner-0")]).toEqual([offset_ms, true]);
      for (let second = 0; second < 60; second++) {
        await simulation.run(1_000);
        for (const name of processesOf(cluster)) names.add(name);
      }
      const now = processesOf(cluster);
      if (left === undefined) expect([offset_ms, now.length]).toEqual([offset_ms, 1]);
      else expect([offset_ms, now]).toEqual([offset_ms, [...left]]);
      // A name comes once: a worker that came twice would be a fourth.
      expect([offset_ms, [...names].every((name) => Number(name.slice(-1)) < 3)]).toEqual([
        offset_ms,
        true,
      ]);
      expect(plannerOf(cluster)).toMatchObject({ decides: true, pending: [], trouble: "" });
      expect([client.complaint, client.outcome?.kind]).toEqual([undefined, "complete"]);
      expect(cluster.lost).toBeUndefined();
    }
  },
  300_000,
);

test("pool and workers' supervisor restarted under a change: the target is reached once", async () => {
  const at_ms = await decisionTime(43, adds);
  for (const offset_ms of [-1, 0, 2, 5, 20, 60]) {
    for (const victim of ["pool", "workers", "registry"]) {
      const { simulation, cluster } = await simWorld(43, adds);
      await simulation.run(at_ms + offset_ms - simulation.clock.now_ms());
      cluster.processes.get("root")?.system?.control(`/cluster/${victim}`, "kill");
      await simulation.run(60_000);
      expect([victim, offset_ms, processesOf(cluster)]).toEqual([
        ...[victim, offset_ms],
        ["worker-0", "worker-1", "worker-2"],
      ]);
      expect(plannerOf(cluster)).toMatchObject({ decides: true, pending: [] });
    }
  }
}, 300_000);

test("of two planners one decides, and the other takes over when it is gone", async () => {
  const there = ["--role=planner", ...planned, "--min-workers=3"];
  const { simulation, cluster } = await simWorld(44, adds, there);
  await simulation.run(60_000);
  const nodes = ["planner-0", "planner-0@there"];
  const deciding = () => nodes.filter((node) => plannerOf(cluster, node)?.["decides"] === true);
  const [first = ""] = deciding();
  expect(deciding()).toHaveLength(1);
  expect(processesOf(cluster)).toEqual(["worker-0", "worker-1", "worker-2"]);
  const epoch = Number(plannerOf(cluster, first)?.["epoch"]);
  cluster.kill(first);
  await simulation.run(60_000);
  const [second = ""] = deciding();
  expect(deciding()).toHaveLength(1);
  expect(Number(plannerOf(cluster, second)?.["epoch"])).toBeGreaterThan(epoch);
  expect(processesOf(cluster)).toEqual(["worker-0", "worker-1", "worker-2"]);
}, 300_000);

test("what went with another machine comes anew where there is room", async () => {
  const { simulation, cluster } = await simWorld(45, adds, ["--workers=1"]);
  await simulation.run(60_000);
  const all = () => [...cluster.processes.keys()].filter((node) => node.startsWith("worker-"));
  expect(all().length).toBe(3);
  expect(cluster.kill("root@there")).toBe(true);
  await simulation.run(90_000);
  // The machine came back with the worker that it is started with.
  expect([3, 4]).toContain(all().length);
  expect(plannerOf(cluster)).toMatchObject({ decides: true, pending: [] });
}, 300_000);

test("an idle model has no worker, and a request for it waits while the first one starts", async () => {
  const flags = ["--workers=1", "--planner=load", "--min-workers=0", "--max-workers=4"];
  const { simulation, cluster } = await simWorld(46, flags);
  for (let turns = 0; processesOf(cluster).length > 0; turns++) {
    await simulation.run(5_000);
    expect(turns).toBeLessThan(60);
  }
  // Longer than a door keeps a model without workers where there is no planner.
  await simulation.run(120_000);
  const clients = ["one", "two"].map((name) => simClient(cluster, name, { max_tokens: 40 }));
  await simulation.run(60_000);
  expect(clients.map(({ complaint, outcome }) => [complaint, outcome?.kind])).toEqual([
    [undefined, "complete"],
    [undefined, "complete"],
  ]);
  expect(plannerOf(cluster)).toMatchObject({ decides: true });
  expect(cluster.lost).toBeUndefined();
}, 120_000);

test("a frontend that restarts while its model has no worker serves it again", async () => {
  const flags = ["--workers=1", "--planner=load", "--min-workers=0", "--max-workers=4"];
  const { simulation, cluster } = await simWorld(48, flags);
  for (let turns = 0; processesOf(cluster).length > 0; turns++) {
    await simulation.run(5_000);
    expect(turns).toBeLessThan(60);
  }
  expect(cluster.kill("frontend-0")).toBe(true);
  await simulation.run(30_000);
  const client = simClient(cluster, "after", { max_tokens: 40 });
  await simulation.run(30_000);
  expect([client.complaint, client.outcome?.kind]).toEqual([undefined, "complete"]);
  // And idle again it has none.
  await simulation.run(120_000);
  expect(processesOf(cluster)).toEqual([]);
}, 120_000);

test("a request whose only worker is dead for good is refused after 10 s, planner or not", async () => {
  for (const planner of [[], ["--planner=load", "--min-workers=1", "--max-workers=1"]]) {
    const { simulation, cluster } = await simWorld(47, ["--workers=1", ...planner]);
    await simulation.run(20_000);
    // As when a person stops it: nobody starts it again.
    cluster.processes.get("root")?.system?.control("/cluster/workers/worker-0", "stop");
    await simulation.run(10_000);
    expect(processesOf(cluster)).toEqual([]);
    const client = simClient(cluster, "late", { max_tokens: 4 });
    await simulation.run(9_000);
    expect(client.outcome).toBeUndefined();
    await simulation.run(2_000);
    expect(client.outcome).toEqual({ kind: "error", status: 503, code: "no_worker" });
    // A planner gives it up after the time of a start, and starts another one.
    await simulation.run(330_000);
    expect(processesOf(cluster)).toEqual(planner.length > 0 ? ["worker-1"] : []);
    expect(cluster.lost).toBeUndefined();
  }
}, 120_000);

test("a planner that begins anew while there is no worker still knows of both roles", async () => {
  const roles = ["--prefill=1", "--decode=1", "--kv-host-bytes=1GiB"];
  const flags = [...roles, "--planner=load", "--min-workers=0", "--max-workers=4"];
  const { simulation, cluster } = await simWorld(47, flags);
  const workers = () =>
    [...cluster.processes.keys()].filter((node) => /^(worker|prefill|decode)-/.test(node)).sort();
  for (let turns = 0; workers().length > 0; turns++) {
    await simulation.run(5_000);
    expect(turns).toBeLessThan(60);
  }
  expect(cluster.kill("planner-0")).toBe(true);
  await simulation.run(60_000);
  expect(plannerOf(cluster)).toMatchObject({ decides: true });
  const client = simClient(cluster, "late", { max_tokens: 40 });
  await simulation.run(60_000);
  expect([client.complaint, client.outcome?.kind]).toEqual([undefined, "complete"]);
  expect(workers().map((node) => node.split("-")[0])).toEqual(["decode", "prefill"]);
}, 120_000);
