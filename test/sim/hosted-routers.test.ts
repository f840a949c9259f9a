/**
 * Routers in processes of their own: one decides, the next one knows all that it knows and takes
 * over at once, and one that comes back is warm before anybody asks it.
 */
import { expect, test } from "bun:test";
import { simClient, simWorld } from "../support/worlds/sim-world.ts";
import type { Client } from "./world/client.ts";
import type { World } from "./world/world.ts";

type View = {
  routed_total: number;
  sent_by_other_routers: number;
  caches: { state: string; blocks: number }[];
  routers: { heard: number }[];
  models: {
    objective?: string;
    workers: { worker: string; in_flight: number }[];
    last: { request: string; worker: string; blocks: number; cached_blocks: number }[];
  }[];
};

const flags = [
  "--workers=4",
  "--frontends=2",
  "--routers=2",
  "--router-session-affinity-ttl-secs=600",
];

function view(cluster: World, place: string): View {
  const path = place.startsWith("router") ? "/router/router" : "/frontend/router";
  return cluster.processes.get(place)!.system!.snapshot(path) as unknown as View;
}

const routed = (cluster: World, places: readonly string[]) =>
  places.map((place) => view(cluster, place).routed_total);

const everybody = ["router-0", "router-1", "frontend-0", "frontend-1"];

const inFlight = (cluster: World, place: string) =>
  view(cluster, place)
    .models[0]!.workers.map(({ worker, in_flight }) => `${worker} ${in_flight}`)
    .sort();

function expectComplete(clients: readonly Client[]): void {
  const told = clients.map(({ complaint, outcome }) => ({ complaint, outcome }));
  expect(told).toEqual(
    clients.map(() => ({ complaint: undefined, outcome: { kind: "complete" } })),
  );
}

/** Cached blocks count for this policy, however cheap a prompt is. */
const one = ["--workers=4", "--routers=1", "--router-policy=dynamo"];

/** Nothing of one is in another one. */
const prompt = (i: number) => `${String.fromCharCode(97 + (i % 26)).repeat(64)} ${i}`;

test("the objective that the machine is started with reaches hosted routers and frontends' own", async () => {
  for (const [flag, objective] of [
    ["--router-objective=ttft", "ttft"],
    ["--routers=2", "goodput"],
  ] as const) {
    const { simulation, cluster } = await simWorld(1, [...flags, flag]);
    await simulation.run(1_000);
    const client = simClient(cluster, "c", { max_tokens: 4, prompt: prompt(1) });
    await simulation.run(500);
    const objectives = everybody.map((place) => view(cluster, place).models[0]!.objective);
    expect(objectives).toEqual(everybody.map(() => objective));
    expectComplete([client]);
    await simulation.run(1);
  }
});

test("each session stays at its worker when the next desk takes over, and when the first is back", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const { simulation, cluster } = await simWorld(seed, flags);
    await simulation.run(1_000);
    const clients: Client[] = [];
    /** Where the turn of each session went, by the router that decides. */
    const turn = async (by: string): Promise<string[]> => {
      const workers: string[] = [];
      for (let session = 0; session < 8; session++) {
        const changes = { max_tokens: 4, prompt: prompt(clients.length) };
        clients.push(simClient(cluster, `s${clients.length}`, changes, `session ${session}`));
        const before = view(cluster, by).routed_total;
        // Eight of them are over before the first desk is back, so each has 24 ms at most.
        const routed = () => view(cluster, by).routed_total > before;
        for (let waits = 0; waits < 12 && !routed(); waits++) await simulation.run(2);
        expect(view(cluster, by).routed_total).toBe(before + 1);
        workers.push(view(cluster, by).models[0]!.last.at(-1)!.worker);
      }
      return workers;
    };
    const homes = await turn("router-0");
    // All at one worker would prove nothing.
    expect(new Set(homes).size).toBeGreaterThan(1);
    cluster.kill("router-0");
    await simulation.run(20);
    expect(await turn("router-1")).toEqual(homes);
    await simulation.run(3_000);
    expect(await turn("router-0")).toEqual(homes);
    await simulation.run(5_000);
    expectComplete(clients);
  }
}, 60_000);

test("the next desk counts what the first has sent, and decides from the moment that it dies", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { simulation, cluster } = await simWorld(seed, flags);
    await simulation.run(1_000);
    const clients: Client[] = [];
    const send = (count: number) => {
      for (let i = 0; i < count; i++) {
        const changes = { max_tokens: 300, prompt: prompt(clients.length) };
        clients.push(simClient(cluster, `s${clients.length}`, changes));
      }
    };
    send(12);
    await simulation.run(100);
    expect(routed(cluster, everybody)).toEqual([12, 0, 0, 0]);
    expect(view(cluster, "router-1").sent_by_other_routers).toBe(12);
    expect(inFlight(cluster, "router-1")).toEqual(inFlight(cluster, "router-0"));
    cluster.kill("router-0");
    await simulation.run(20);
    send(12);
    await simulation.run(100);
    expect(routed(cluster, everybody.slice(1))).toEqual([12, 0, 0]);
    await simulation.run(30_000);
    expectComplete(clients);
    for (const place of everybody) {
      expect(inFlight(cluster, place).every((worker) => worker.endsWith(" 0"))).toBe(true);
    }
  }
}, 60_000);

test("a desk that comes back finds at least 95 % of the prompts where they are cached", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { simulation, cluster } = await simWorld(seed, one);
    await simulation.run(1_000);
    const clients: Client[] = [];
    const ask = async (i: number): Promise<void> => {
      clients.push(simClient(cluster, `s${clients.length}`, { max_tokens: 2, prompt: prompt(i) }));
      await simulation.run(100);
    };
    for (let i = 0; i < 26; i++) await ask(i);
    cluster.kill("router-0");
    // From the first request that it gets: while it starts, frontends decide by themselves.
    const life = () => cluster.processes.get("router-0")?.system?.snapshot("/router/router");
    const decided = () => (life() as unknown as View | undefined)?.routed_total ?? 0;
    const found: number[] = [];
    for (let i = 0; found.length < 40 && i < 200; i++) {
      await ask(i % 26);
      if (decided() === found.length) continue;
      found.push(view(cluster, "router-0").models[0]!.last.at(-1)!.cached_blocks);
      expect(decided()).toBe(found.length);
    }
    expect(found.length).toBe(40);
    expect(found.filter((blocks) => blocks > 0).length / 40).toBeGreaterThanOrEqual(0.95);
    await simulation.run(5_000);
    expectComplete(clients);
  }
}, 60_000);

test("nobody is told of a desk before its router has read the caches and heard the others", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { simulation, cluster } = await simWorld(seed, flags);
    await simulation.run(1_000);
    const clients = Array.from({ length: 26 }, (_, i) => {
      return simClient(cluster, `s${i}`, { max_tokens: 2, prompt: prompt(i) });
    });
    await simulation.run(3_000);
    expectComplete(clients);
    const blocksOf = () =>
      view(cluster, "router-0").caches.reduce((sum, { blocks }) => sum + blocks, 0);
    const blocks = blocksOf();
    expect(blocks).toBeGreaterThan(90);
    // What the other routers say comes after the caches.
    for (const place of everybody.slice(1)) {
      const injector = cluster.injectors.get(cluster.processes.get(place)!)!;
      injector.set({ seed, rules: [{ point: "net.send", do: "delay", delay_ms: 100 }] });
    }
    cluster.kill("router-0");
    await simulation.run(50);
    const registry = () => cluster.processes.get("root")!.system!.snapshot("/cluster/registry")!;
    const told = () => (registry()["keys"] as string[]).includes("troupe/desks/router-0");
    expect(told()).toBe(false);
    for (let ms = 0; !told() && ms < 10_000; ms++) await simulation.run(1);
    expect(blocksOf()).toBe(blocks);
    const { caches, routers } = view(cluster, "router-0");
    expect(caches.map(({ state }) => state)).toEqual(["live", "live", "live", "live"]);
    expect(routers.map(({ heard }) => heard > 0)).toEqual([true, true, true]);
  }
}, 60_000);

test("what a desk had not answered when it died is placed by the next one at once", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { simulation, cluster } = await simWorld(seed, flags);
    await simulation.run(1_000);
    cluster.processes.get("router-0")!.freeze();
    const clients = Array.from({ length: 6 }, (_, i) => simClient(cluster, `s${i}`, {}));
    await simulation.run(50);
    expect(routed(cluster, everybody)).toEqual([0, 0, 0, 0]);
    cluster.kill("router-0");
    await simulation.run(25);
    expect(routed(cluster, everybody.slice(1))).toEqual([6, 0, 0]);
    await simulation.run(20_000);
    expectComplete(clients);
  }
}, 60_000);
