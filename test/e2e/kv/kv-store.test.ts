/** A store behind a machine: its memory and its engine lose all, and are warm again. */
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, pidsOf, startCluster, tree, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";
import { complete, promptTokens } from "../../support/worlds/kv-prompts.ts";

const PROMPT = promptTokens(600, 11);
const BLOCKS = 9;
const CACHED = BLOCKS * 64;
const folder = mkdtempSync(join(tmpdir(), "troupe-kv-store-"));

afterAll(async () => {
  await stopServers();
  rmSync(folder, { recursive: true });
});

/** Of the one actor whose path ends so. */
async function snapshot(cluster: Cluster, path: string): Promise<Record<string, unknown>> {
  const id = (await tree(cluster)).find((node) => node.id.endsWith(path))?.id;
  if (id === undefined) return {};
  const response = await fetch(
    `${cluster.inspector}/api/actors/${encodeURIComponent(id)}/snapshot`,
  );
  return ((await response.json()) as { snapshot?: Record<string, unknown> }).snapshot ?? {};
}

const storeOf = async (cluster: Cluster) => {
  const { neighbours } = await snapshot(cluster, "/kv/keeper");
  return (neighbours as { store?: { put: number; got: number } } | undefined)?.store;
};

async function isOpen(cluster: Cluster): Promise<boolean> {
  const id = (await tree(cluster)).find(({ id }) => /\/worker\/[^/]+worker-0$/.test(id))?.id;
  const { kv_tiers } = await snapshot(cluster, id ?? "no such actor");
  return (kv_tiers as { open?: boolean } | undefined)?.open === true;
}

async function kill(cluster: Cluster, ...roles: ("worker" | "kv")[]): Promise<void> {
  const before = (await Promise.all(roles.map((role) => pidsOf(cluster, role)))).flat();
  for (const pid of before) process.kill(pid, "SIGKILL");
  await until("others in their places", 30_000, async () => {
    const now = (await Promise.all(roles.map((role) => pidsOf(cluster, role)))).flat();
    return now.length === before.length && now.every((pid) => !before.includes(pid));
  });
  await until("their place at the keeper", 20_000, () => isOpen(cluster));
}

for (const store of ["redis", "nats"] as const) {
  testWith(
    lacksProgram("redis-server", "nats-server"),
    `what was used again comes back from ${store} when memory and engine are lost`,
    async () => {
      const [nats, redis] = await Promise.all([
        natsServer(["-js", "--store_dir", join(folder, store)]),
        redisServer(),
      ]);
      await using cluster = await startCluster([
        ...["--nats", nats.url, "--redis", redis.url],
        ...["--kv-host-bytes", "64MB", "--kv-store", store, "--kv-store-bytes", "32MB"],
      ]);
      await until("its place at the keeper", 20_000, () => isOpen(cluster));
      expect(await complete(cluster, PROMPT)).toBe(0);
      await until("its blocks in memory", 20_000, async () => {
        const { spaces } = await snapshot(cluster, "/kv/keeper");
        const [space] = spaces as { registered: number }[];
        return space !== undefined && space.registered > BLOCKS;
      });
      // The engine's are lost: those in memory are used again.
      await kill(cluster, "worker");
      expect(await complete(cluster, PROMPT)).toBe(CACHED);
      await until("its blocks in the store", 20_000, async () => {
        return (await storeOf(cluster))?.put === BLOCKS;
      });
      await kill(cluster, "worker", "kv");
      expect(await complete(cluster, PROMPT)).toBe(CACHED);
      expect((await storeOf(cluster))?.got).toBe(BLOCKS);
      await stopServers();
    },
    120_000,
  );
}
