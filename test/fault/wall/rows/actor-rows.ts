/** Actors crash in processes that live on: their supervisors start them again. */
import type { Row } from "../row.ts";
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
