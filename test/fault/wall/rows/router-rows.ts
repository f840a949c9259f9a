/**
 * A router in a process of its own dies or stops while requests come. Clients neither resume nor
 * ask twice here: whatever they are refused is lost.
 */
import { alive, type Cluster, pidsOf, until } from "../../../support/cluster.ts";
import type { Row } from "../row.ts";
import {
  midway,
  type Running,
  servesWithin,
  somePid,
  sumOfMetric,
  underFault,
} from "../scenario.ts";

const strict = { resumes: false, retries: false, deadline_ms: 20_000 };

/** Requests that the hosted routers have placed in their present lives. */
const placed = (cluster: Cluster) =>
  sumOfMetric(cluster, /^dynamo_component_router_requests_started_total\{[^}]*node="router-\d+"/);

async function killAndAwait(running: Running): Promise<void> {
  const { cluster } = running;
  const pid = await somePid(running, "router");
  process.kill(pid, "SIGKILL");
  await until("the next router", 10_000, async () => {
    const pids = await pidsOf(cluster, "router");
    return pids.length > 0 && !pids.includes(pid);
  });
}

/** A row in which routers decided nothing would show nothing. */
async function decides({ cluster }: Running): Promise<readonly string[]> {
  const asked = async () => (await servesWithin(cluster, 5_000)) && (await placed(cluster)) > 0;
  return await until("the router to decide again", 10_000, asked).then(
    () => [],
    () => ["the hosted router is not asked again"],
  );
}

export const routerRows: readonly Row[] = [
  {
    name: "router-process",
    what: "kill -9 the only hosted router, twice while requests arrive",
    engines: ["mocker"],
    quick: true,
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2", "--routers", "1"],
        flock: { ...strict, requests: world.quick ? 120 : 320, concurrency: 20, tokens: 48 },
        fault: async (running) => {
          await midway(running, 10, 0.5);
          if ((await placed(running.cluster)) === 0) throw new Error("it has decided nothing");
          for (let i = 0; i < 2; i += 1) await killAndAwait(running);
          return {};
        },
        after: decides,
      }),
  },
  {
    name: "router-standby",
    what: "kill -9 one of 2 hosted routers, 4 times while requests arrive",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2", "--routers", "2"],
        flock: { ...strict, requests: 640, concurrency: 20, tokens: 48 },
        fault: async (running) => {
          await midway(running, 10, 0.5);
          for (let i = 0; i < 4; i += 1) await killAndAwait(running);
          return {};
        },
        after: decides,
      }),
  },
  {
    name: "stop-router",
    what: "SIGSTOP the only hosted router for 5 s while requests arrive",
    engines: ["mocker"],
    run: (world) =>
      underFault(world, {
        args: ["--workers", "2", "--frontends", "2", "--routers", "1"],
        flock: { ...strict, requests: 320, concurrency: 20, tokens: 48 },
        fault: async (running) => {
          await midway(running, 10, 0.5);
          const pid = await somePid(running, "router");
          process.kill(pid, "SIGSTOP");
          const stopped_ms = performance.now();
          while (performance.now() - stopped_ms < 5_000 && alive(pid)) await Bun.sleep(10);
          const killed_after_ms = alive(pid) ? 0 : performance.now() - stopped_ms;
          if (alive(pid)) process.kill(pid, "SIGCONT");
          return { killed_after_ms };
        },
        after: decides,
      }),
  },
];
