/** Several workers in one process: each is restarted by itself, and all when the process dies. */
import { expect, test } from "bun:test";
import { type Cluster, pidsOf, startCluster, tree, until } from "../support/cluster.ts";

const workersOf = async (cluster: Cluster) =>
  (await tree(cluster)).filter(({ path }) => /^\/worker\/worker-\d+$/.test(path));

const registered = async (cluster: Cluster): Promise<number> => {
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const lines = text.split("\n").filter((line) => /^troupe_router_kv_index_blocks\{/.test(line));
  return lines.length;
};

const answers = async (cluster: Cluster): Promise<number[]> => {
  const one = () =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", prompt: "are you there?", max_tokens: 4 }),
    });
  const responses = await Promise.all(Array.from({ length: 24 }, one));
  return [...new Set(responses.map(({ status }) => status))];
};

for (const action of ["kill", "stop", "restart"]) {
  test(`a worker that gets a ${action} comes back beside the others of its process`, async () => {
    await using cluster = await startCluster([
      ...["--engine", "mocker", "--model-name", "tiny", "--speedup-ratio", "0"],
      ...["--workers", "6", "--workers-per-process", "3"],
    ]);
    const pids = await pidsOf(cluster, "worker");
    expect(pids).toHaveLength(2);
    const before = (await workersOf(cluster)).find(({ path }) => path.endsWith("/worker-4"));
    const id = encodeURIComponent(before?.id ?? "");
    const response = await fetch(`${cluster.inspector}/api/actors/${id}/${action}`, {
      method: "POST",
    });
    expect(response.status).toBe(200);
    await until("it to be back", 10_000, async () => {
      const now = await workersOf(cluster);
      const same = now.find(({ path }) => path.endsWith("/worker-4"));
      return now.length === 6 && same?.state === "running" && same.restarts === 1;
    });
    expect(await pidsOf(cluster, "worker")).toEqual(pids);
    const others = (await workersOf(cluster)).filter(({ path }) => !path.endsWith("/worker-4"));
    expect(others.map(({ restarts }) => restarts)).toEqual([0, 0, 0, 0, 0]);
    await until("it to be routed to", 10_000, async () => (await registered(cluster)) === 6);
    expect(await answers(cluster)).toEqual([200]);
  }, 60_000);
}

test("a process that dies comes back with all of its workers", async () => {
  await using cluster = await startCluster([
    ...["--engine", "echo", "--model-name", "tiny", "--workers", "6", "--workers-per-process", "3"],
  ]);
  const pids = await pidsOf(cluster, "worker");
  process.kill(pids[0] ?? 0, "SIGKILL");
  await until("the process to be replaced", 20_000, async () => {
    const now = await pidsOf(cluster, "worker");
    const alive = now.filter((pid) => pid > 0 && pid !== pids[0]);
    return alive.length === 2 && (await workersOf(cluster)).length === 6;
  });
  await until("all to be routed to", 20_000, async () => (await registered(cluster)) === 6);
  expect(await answers(cluster)).toEqual([200]);
}, 60_000);
