/** Actors crash in processes that live on: their supervisors start them again. */
import { tree, until } from "../../../support/cluster.ts";
import type { Figures, Row } from "../row.ts";
import { killActor, midway, type Running, underFault } from "../scenario.ts";

/** New requests go on coming while it happens: the flock is larger than what runs at once. */
const arriving = { requests: 80, concurrency: 20, tokens: 64 };

const crash = (path: string, times: number) => async (running: Running) => {
  await midway(running, 10, 0.5);
  for (let i = 0; i < times; i += 1) {
    await killActor(running.cluster, path);
    await Bun.sleep(300);
  }
  return {};
};

/** Less than five kills of a supervisor's children in its ten seconds. */
const between_ms = 2_100;
/** Killed more than five times in a minute, a process is started again more and more slowly. */
const back_ms = 60_000;
/** The top of the root is the cluster itself; answers come and go. */
const spared = /^\/cluster$|\/answers\/./;

/**
 * Each actor of the tree once, its node and path told when it does not come back. A kill runs no
 * `terminate`, neither in the actor nor below it.
 */
async function killEach(running: Running): Promise<Figures> {
  const { cluster, flock, world } = running;
  await midway(running, 5, 0.5);
  const nodeOf = (id: string) => id.slice(0, id.indexOf("/"));
  const every = (await tree(cluster)).filter(({ path }) => !spared.test(path));
  for (const { id, path } of every) {
    const began_ms = performance.now();
    world.say(`kill ${id}`);
    const answer = await fetch(`${cluster.inspector}/api/actors/${encodeURIComponent(id)}/kill`, {
      method: "POST",
      signal: AbortSignal.timeout(3_000),
    }).catch((error: unknown) => new Response(String(error), { status: 599 }));
    // Who would answer may be what was killed, or go down with it.
    if (answer.status < 500 && answer.status !== 200) throw new Error(`${id}: ${answer.status}`);
    await Bun.sleep(Math.max(0, between_ms - (performance.now() - began_ms)));
    await until(`${nodeOf(id)}${path} to be back`, back_ms, async () => {
      const nodes = await tree(cluster).catch(() => []);
      return nodes.some((each) => each.path === path && each.state === "running");
    });
  }
  flock.stopping = true;
  return { killed: every.length };
}

const row = (name: string, what: string, path: string, times: number, quick = false): Row => ({
  name,
  what,
  engines: ["mocker"],
  quick,
  run: (world) =>
    underFault(world, {
      args: ["--workers", "2"],
      flock: arriving,
      fault: crash(path, times),
    }),
});

export const actorRows: readonly Row[] = [
  row(
    "router",
    "crash the router actor, 3 times while requests arrive",
    "/frontend/router",
    3,
    true,
  ),
  row(
    "registry",
    "crash the registry actor, 3 times while requests arrive",
    "/cluster/registry",
    3,
  ),
  {
    name: "every-actor",
    what: "kill each actor of the tree once, supervisors and doors too, while requests arrive",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--routers", "1"],
        flock: { requests: 100_000, concurrency: 8, tokens: 64 },
        fault: killEach,
      }),
  },
  row("slot", "crash the supervisor of a worker process", "/cluster/workers/worker-1", 1),
  row("discovery", "crash a frontend's view of the registry", "/frontend/discovery", 2),
  {
    name: "workers-supervisor",
    what: "crash the supervisor of all workers: no engine is left for a moment",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2"],
        flock: arriving,
        fault: crash("/cluster/workers", 1),
      }),
  },
];
