/** Several machines: what joins them is lost for a while, or one of them is. */

import { type Cluster, descendants, until } from "../../../support/cluster.ts";
import {
  natsServer,
  type PlaneServer,
  redisServer,
  type ServerName,
} from "../../../support/plane-servers.ts";
import { joinMachine, type Machine } from "../machines.ts";
import { addNamespace, lacksNamespaces } from "../netns.ts";
import type { Figures, Row, RowResult, World } from "../row.ts";
import { midway, type Running, sumOfMetric, underFault } from "../scenario.ts";

const outage_ms = 10_000;

type Site = {
  readonly nats: PlaneServer;
  readonly redis: PlaneServer;
  readonly other: Machine;
};

/** Frontend and worker here, a worker on another machine; requests arrive all the time. */
async function withTwoMachines(
  world: World,
  fault: (running: Running, site: Site) => Promise<Figures>,
  where?: { readonly host: string; readonly inside: readonly string[] },
  tokens = 128,
): Promise<RowResult> {
  await using closing = new AsyncDisposableStack();
  const keep = (server: PlaneServer) => {
    closing.defer(() => server.stop());
    return server;
  };
  const nats = keep(await natsServer([], where?.host));
  const redis = keep(await redisServer(["--protected-mode", "no"], where?.host));
  const namespace = `prove${process.pid}`;
  const planes = ["--nats", nats.url, "--redis", redis.url, "--namespace", namespace];
  let other: Machine | undefined;
  const result = await underFault(world, {
    args: [...planes, "--machine-name", "here", "--workers", "1"],
    flock: { requests: 100_000, concurrency: 24, tokens },
    prepare: async (cluster) => {
      const inside = where?.inside ?? [];
      other = await joinMachine(world, { name: "there", planes, workers: 1, inside });
      await until("both workers to be known", 20_000, async () => {
        const workers = await fetch(`${cluster.url}/health`);
        return /"workers":2/.test(await workers.text());
      });
    },
    fault: async (running) => {
      await midway(running, 10, 0.5);
      try {
        return await fault(running, { nats, redis, other: other as Machine });
      } finally {
        running.flock.stopping = true;
      }
    },
  }).finally(() => other?.[Symbol.asyncDispose]());
  return result;
}

/** Requests that were answered meanwhile say that what needs no new placement goes on. */
async function outage(running: Running, begin: () => Promise<void>, end: () => Promise<void>) {
  const { flock } = running;
  await begin();
  const before = flock.finished;
  await Bun.sleep(outage_ms);
  const answered_meanwhile = flock.finished - before;
  await end();
  await Bun.sleep(3_000);
  return { answered_meanwhile };
}

/** Longer than a lease of its names, 10 s. */
const frozen_ms = 14_000;
/** Some 8 s: answers are on their way when the lease ends. */
const long_tokens = 1_200;

/**
 * The root of one machine is stopped: the other one forgets its names and sends nothing new there,
 * what runs goes on, and all is as before when it goes on.
 */
async function rootFrozen(running: Running, root: number): Promise<Figures> {
  const { cluster, flock } = running;
  const migrations = () => sumOfMetric(cluster, /^dynamo_frontend_model_migration_total\b/);
  const workers = async () =>
    Number(/"workers":(\d+)/.exec(await (await fetch(`${cluster.url}/health`)).text())?.[1] ?? 0);
  const before = { moved: await migrations(), pids: String(descendants(root).sort()) };
  const finished = flock.finished;
  process.kill(root, "SIGSTOP");
  let known_meanwhile = 2;
  try {
    const stopped_ms = performance.now();
    while (performance.now() - stopped_ms < frozen_ms) {
      await Bun.sleep(250);
      known_meanwhile = Math.min(known_meanwhile, await workers());
    }
  } finally {
    process.kill(root, "SIGCONT");
  }
  const went_on_ms = performance.now();
  await until("both workers to be known again", 10_000, async () => (await workers()) === 2);
  const healed_ms = performance.now() - went_on_ms;
  const answered_meanwhile = flock.finished - finished;
  const taken = async () => (await takenByWorker(cluster)).map(([, count]) => count);
  const were = await taken();
  await until("both workers to get requests again", 20_000, async () => {
    const are = await taken();
    return are.length === 2 && are.every((count, i) => count > (were[i] ?? 0));
  });
  if (String(descendants(root).sort()) !== before.pids) throw new Error("processes were replaced");
  const moved = (await migrations()) - before.moved;
  if (moved > 0) throw new Error(`${moved} answers were moved though their worker lived`);
  return { known_meanwhile, healed_ms: Math.round(healed_ms), answered_meanwhile };
}

/** Generations that each worker of all machines has taken, in the order of their names. */
async function takenByWorker(cluster: Cluster): Promise<[string, number][]> {
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const found = text.matchAll(
    /^dynamo_component_requests_total\{[^}]*node="([^"]+)"[^}]*\} (\d+)$/gm,
  );
  const counts = new Map<string, number>();
  for (const [, node = "", count] of found) {
    counts.set(node, (counts.get(node) ?? 0) + Number(count));
  }
  return [...counts].sort();
}

function lacks(...names: ServerName[]): string | undefined {
  const missing = names.find((name) => Bun.which(name) === null);
  return missing === undefined ? undefined : `${missing} is not installed`;
}

const lacksPlanes = () => lacks("nats-server", "redis-server");

export const planeRows: readonly Row[] = [
  {
    name: "nats-down",
    what: "NATS is down for 10 s between two machines",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(world, (running, { nats }) =>
        outage(
          running,
          () => nats.stop(),
          () => nats.start(),
        ),
      ),
  },
  {
    name: "redis-down",
    what: "Redis is down for 10 s, and comes back with nothing",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(world, (running, { redis }) =>
        outage(
          running,
          () => redis.stop(),
          () => redis.start(),
        ),
      ),
  },
  {
    name: "registry-wiped",
    what: "all that Redis knows is deleted, twice",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(world, async (_running, { redis }) => {
        for (let i = 0; i < 2; i += 1) {
          const client = new Bun.RedisClient(redis.url);
          await client.send("FLUSHALL", []);
          client.close();
          await Bun.sleep(4_000);
        }
        return {};
      }),
  },
  {
    name: "machine-dies",
    what: "kill -9 the root of one of two machines",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(world, async (running, { other }) => {
        const taken = () => sumOfMetric(running.cluster, /^dynamo_component_requests_total\b/);
        const before = await taken();
        process.kill(other.pid, "SIGKILL");
        await Bun.sleep(5_000);
        return { generations_before: before };
      }),
  },
  {
    name: "stop-root-far",
    what: "SIGSTOP the root of another machine for 14 s, longer than the lease of its names",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(
        world,
        (running, { other }) => rootFrozen(running, other.pid),
        undefined,
        long_tokens,
      ),
  },
  {
    name: "stop-root-near",
    what: "SIGSTOP the root of the frontend's machine for 14 s, while another machine's worker serves",
    engines: ["mocker"],
    lacks: lacksPlanes,
    run: (world) =>
      withTwoMachines(
        world,
        (running) => rootFrozen(running, running.cluster.pid),
        undefined,
        long_tokens,
      ),
  },
  {
    name: "partition",
    what: "the cable between two machines is pulled for 10 s",
    engines: ["mocker"],
    lacks: () => lacksNamespaces() ?? lacksPlanes(),
    run: async (world) => {
      await using there = await addNamespace("troupe-prove-p", 72);
      const inside = ["ip", "netns", "exec", "troupe-prove-p"];
      return await withTwoMachines(
        world,
        (running) =>
          outage(
            running,
            async () => there.cut(),
            async () => there.heal(),
          ),
        { host: there.host_address, inside },
      );
    },
  },
];
