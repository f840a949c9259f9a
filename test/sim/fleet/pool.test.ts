/**
 * Workers come and go while a cluster runs and clients ask: under kills at any point of the change
 * it is reached once, nothing is done twice, and no answer is lost.
 */
import { expect, test } from "bun:test";
import type { Pool, PoolMessage, WorkersAdded, WorkersRetired } from "../../../proto/index.ts";
import { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { Simulation } from "../../../runtime/simulation/simulation.ts";
import { simClient, simWorld } from "../../support/worlds/sim-world.ts";
import type { Client } from "../world/client.ts";
import type { World } from "../world/world.ts";

type Add = { readonly count: number; readonly change: string; readonly epoch?: number };

const rootOf = (cluster: World) => cluster.processes.get("root")!.system!;

/** Asks until there is an answer, as somebody who does not know whether the last one was heard. */
async function insist<Answer>(
  { simulation, cluster }: { simulation: Simulation; cluster: World },
  message: PoolMessage,
): Promise<Answer> {
  let answer: Answer | undefined;
  let waits = false;
  const ask = () => {
    const system = rootOf(cluster);
    const pool = system.lookup("/cluster/pool") as Ref<PoolMessage> | undefined;
    if (pool === undefined) return;
    waits = true;
    system.ask(pool, message as never, { deadline_ms: 60_000 }).then(
      (said) => {
        answer = said as Answer;
      },
      (error: unknown) => {
        waits = false;
        expect(error).toBeInstanceOf(AskError);
      },
    );
  };
  for (let turns = 0; answer === undefined; turns++) {
    if (!waits) ask();
    await simulation.run(50);
    expect(turns).toBeLessThan(2_400);
  }
  return answer;
}

const add = (wish: Add): PoolMessage => ({
  ...{ kind: "add_workers", model: "", ready_ms: 0, epoch: 0 },
  ...wish,
});
const retire = (change: string, ...workers: string[]): PoolMessage => ({
  ...{ kind: "retire_workers", change, workers, budget_ms: 2_000, epoch: 0 },
});

const processesOf = (cluster: World): string[] =>
  [...cluster.processes.keys()].filter((node) => node.startsWith("worker-")).sort();

const namesIn = ({ workers }: Pool): string[] => workers.map(({ worker }) => worker);

/** What the routers can choose from. */
function routed(cluster: World): string[] {
  const router = cluster.processes.get("frontend-0")?.system?.snapshot("/frontend/router");
  const workers = (router?.["workers"] ?? []) as readonly { worker: string }[];
  return workers.map(({ worker }) => worker).sort();
}

function complete(clients: readonly Client[]): void {
  const wrong = clients
    .filter(({ complaint, outcome }) => complaint !== undefined || outcome?.kind !== "complete")
    .map(({ story, complaint }) => `${story} ${complaint ?? ""}`);
  expect(wrong).toEqual([]);
}

/** Clients who come all the time, until they are told to stop. */
function visitors(simulation: Simulation, cluster: World) {
  const clients: Client[] = [];
  let going = true;
  const visit = () => {
    if (!going) return;
    clients.push(simClient(cluster, `v${clients.length}`, { max_tokens: 120 }));
    simulation.clock.after(150, visit);
  };
  visit();
  return {
    clients,
    stop: () => {
      going = false;
    },
  };
}

test("workers that are added serve, and those that are retired drain and are forgotten", async () => {
  const world = await simWorld(3, ["--workers=2"]);
  const { simulation, cluster } = world;
  const { clients, stop } = visitors(simulation, cluster);
  await simulation.run(500);
  const added = await insist<WorkersAdded>(world, add({ count: 2, change: "one" }));
  expect(added).toMatchObject({ workers: ["worker-2", "worker-3"], failed: [], refused: "" });
  // The same change again: the same answer, and nothing more.
  expect(await insist<WorkersAdded>(world, add({ count: 2, change: "one" }))).toEqual(added);
  await simulation.run(1_000);
  expect(routed(cluster)).toEqual(["worker-0", "worker-1", "worker-2", "worker-3"]);
  const gone = await insist<WorkersRetired>(world, retire("two", "worker-0", "worker-3"));
  expect(gone).toMatchObject({
    retired: [{ worker: "worker-0" }, { worker: "worker-3" }],
    failed: [],
  });
  expect(processesOf(cluster)).toEqual(["worker-1", "worker-2"]);
  await simulation.run(1_000);
  expect(routed(cluster)).toEqual(["worker-1", "worker-2"]);
  // A name comes once.
  const last = await insist<WorkersAdded>(world, add({ count: 1, change: "three" }));
  expect(last.workers).toEqual(["worker-4"]);
  const unknown = await insist<WorkersRetired>(world, retire("four", "worker-0"));
  expect(unknown.failed[0]?.why).toContain("there is no worker worker-0 here");
  stop();
  await simulation.run(20_000);
  complete(clients);
  expect(rootOf(cluster).metrics.render()).not.toContain('process="worker-0"');
}, 60_000);

test("a supervisor that crashes brings back those that were added, and nobody who was retired", async () => {
  const world = await simWorld(5, ["--workers=2"]);
  const { simulation, cluster } = world;
  await insist(world, add({ count: 1, change: "one" }));
  await insist(world, retire("two", "worker-1"));
  expect(rootOf(cluster).control("/cluster/workers", "kill")).toBe(true);
  await simulation.run(5_000);
  expect(processesOf(cluster)).toEqual(["worker-0", "worker-2"]);
  expect(namesIn(await insist<Pool>(world, { kind: "get_pool" }))).toEqual([
    "worker-0",
    "worker-2",
  ]);
  cluster.kill("worker-2");
  await simulation.run(5_000);
  expect(processesOf(cluster)).toEqual(["worker-0", "worker-2"]);
}, 60_000);

test("workers that share a process are retired one by one, and its next life is without them", async () => {
  const world = await simWorld(6, ["--workers=3", "--workers-per-process=3"]);
  const { simulation, cluster } = world;
  const gone = await insist<WorkersRetired>(world, retire("one", "worker-0"));
  expect(gone.failed).toEqual([]);
  await simulation.run(1_000);
  expect(routed(cluster)).toEqual(["worker-1", "worker-2"]);
  cluster.kill("worker-0");
  await simulation.run(5_000);
  expect(routed(cluster)).toEqual(["worker-1", "worker-2"]);
  const added = await insist<WorkersAdded>(world, add({ count: 1, change: "two" }));
  expect(added.workers).toEqual(["worker-3"]);
  await insist(world, retire("three", "worker-1", "worker-2"));
  expect(processesOf(cluster)).toEqual(["worker-3"]);
}, 60_000);

test("who decides no more is refused, and what cannot be started says why", async () => {
  const world = await simWorld(8, ["--workers=1"]);
  const { cluster } = world;
  await insist(world, add({ count: 1, change: "a", epoch: 7 }));
  const late = await insist<WorkersAdded>(world, add({ count: 1, change: "b", epoch: 6 }));
  expect(late).toMatchObject({ workers: [], refused: "epoch 6 is over: epoch 7 decides now" });
  const none = { ...add({ count: 1, change: "c" }), model: "other" } as PoolMessage;
  expect(await insist<WorkersAdded>(world, none)).toMatchObject({
    refused: 'this machine has no model "other"; it can start workers of toy',
  });
  const role = { ...add({ count: 1, change: "d" }), role: "prefill" } as PoolMessage;
  expect((await insist<WorkersAdded>(world, role)).refused).toContain("--kv-host-bytes");
  // Five milliseconds are too few for any process.
  const hasty = { ...add({ count: 1, change: "e" }), ready_ms: 5 } as PoolMessage;
  const { workers, failed } = await insist<WorkersAdded>(world, hasty);
  expect([workers, failed[0]?.worker]).toEqual([[], "worker-2"]);
  expect(failed[0]?.why).toContain("was not ready within 5 ms");
  expect(processesOf(cluster)).toEqual(["worker-0", "worker-1"]);
  expect(cluster.lost).toBeUndefined();
}, 60_000);

/** What is killed, at each of so many moments of the change. */
const victims = ["pool", "workers", "slot", "process", "registry"] as const;
const moments_ms = [0, 2, 5, 10, 20, 30, 40, 60, 90, 150, 250, 500];

function strike(cluster: World, victim: (typeof victims)[number], worker: string): void {
  const root = rootOf(cluster);
  if (victim === "process") cluster.kill(worker);
  else if (victim === "slot") root.control(`/cluster/workers/${worker}`, "kill");
  else root.control(`/cluster/${victim}`, "kill");
}

test.each(victims)(
  "%s killed at any moment of an add or a retire: it is reached once",
  async (victim) => {
    for (const [seed, at_ms] of moments_ms.entries()) {
      const world = await simWorld(100 + seed, ["--workers=2"]);
      const { simulation, cluster } = world;
      const { clients, stop } = visitors(simulation, cluster);
      await simulation.run(400);
      simulation.clock.after(at_ms, () => strike(cluster, victim, "worker-2"));
      const added = await insist<WorkersAdded>(world, add({ count: 1, change: "one" }));
      expect([victim, at_ms, added.workers, added.failed]).toEqual([
        victim,
        at_ms,
        ["worker-2"],
        [],
      ]);
      // No answer is promised to outlive two ends of its worker in one second.
      await simulation.run(3_000);
      simulation.clock.after(at_ms, () => strike(cluster, victim, "worker-1"));
      const gone = await insist<WorkersRetired>(world, retire("two", "worker-1"));
      expect([victim, at_ms, gone.failed]).toEqual([victim, at_ms, []]);
      stop();
      await simulation.run(20_000);
      expect([victim, at_ms, processesOf(cluster)]).toEqual([
        victim,
        at_ms,
        ["worker-0", "worker-2"],
      ]);
      const pool = await insist<Pool>(world, { kind: "get_pool" });
      expect(namesIn(pool)).toEqual(["worker-0", "worker-2"]);
      expect(routed(cluster)).toEqual(["worker-0", "worker-2"]);
      expect(cluster.lost).toBeUndefined();
      complete(clients);
    }
  },
  300_000,
);
