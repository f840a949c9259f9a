/** Two machines over a bus and a table that may be away: what crosses them waits, or comes home. */
import { expect, test } from "bun:test";
import { simClient, simWorld } from "../support/worlds/sim-world.ts";
import type { Client } from "./world/client.ts";
import type { World } from "./world/world.ts";

const there = ["--workers=1"];

function ask(cluster: World, count: number): Client[] {
  return Array.from({ length: count }, (_, i) => simClient(cluster, `s${i}`, { seed: i }));
}

function expectComplete(clients: readonly Client[]): void {
  const told = clients.map(({ complaint, outcome }) => ({ complaint, outcome }));
  expect(told).toEqual(
    clients.map(() => ({ complaint: undefined, outcome: { kind: "complete" } })),
  );
}

const answersAt = (cluster: World, place: string): unknown => {
  const system = cluster.processes.get(place)?.system;
  return system?.snapshot(`/worker/${system.node}`)?.["answers"];
};

const movesOf = (cluster: World): number => {
  const text = cluster.processes.get("frontend-0")?.system?.metrics.render() ?? "";
  return Number(/model_migration_total\{[^}]*why="away"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
};

test("the bus is away: what the far worker made goes on at the near one, before it is back", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { simulation, cluster } = await simWorld(seed, ["--router-mode=round-robin"], there);
    await simulation.run(1_000);
    const clients = ask(cluster, 8);
    await simulation.run(400);
    expect(answersAt(cluster, "worker-0@there")).toBe(4);
    cluster.planes.busDown();
    await simulation.run(20_000);
    expectComplete(clients);
    expect(movesOf(cluster)).toBe(4);
    for (const each of clients) expect(each.longest_gap_ms).toBeLessThan(4_000);
    cluster.planes.busBack();
    await simulation.run(5_000);
    // It hears that nobody wants them any more.
    expect(answersAt(cluster, "worker-0@there")).toBe(0);
    const after = ask(cluster, 4);
    await simulation.run(300);
    expect(answersAt(cluster, "worker-0@there")).toBe(2);
    await simulation.run(10_000);
    expectComplete(after);
  }
}, 60_000);

test("with no worker of its own a machine waits for the bus, and its answers are the same", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { simulation, cluster } = await simWorld(seed, ["--role=frontend"], there);
    await simulation.run(1_000);
    const clients = ask(cluster, 4);
    await simulation.run(400);
    cluster.planes.busDown();
    await simulation.run(8_000);
    for (const { outcome } of clients) expect(outcome).toBeUndefined();
    cluster.planes.busBack();
    await simulation.run(15_000);
    expectComplete(clients);
    expect(movesOf(cluster)).toBe(0);
  }
}, 60_000);
