/** Supervision seen from outside: real processes, real `kill -9`. */
import { expect, test } from "bun:test";
import {
  alive,
  type Cluster,
  descendants,
  pidsOf,
  startCluster,
  tree,
  until,
} from "../support/cluster.ts";

async function complete(cluster: Cluster, timeout_ms: number): Promise<Response> {
  const models = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: { id: string }[];
  };
  return fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: models.data[0]?.id, prompt: "Once upon a time", max_tokens: 8 }),
    signal: AbortSignal.timeout(timeout_ms),
  });
}

test("a killed worker is restarted, and the next request is answered within 5 s", async () => {
  await using cluster = await startCluster([]);
  expect((await complete(cluster, 5_000)).status).toBe(200);
  const [pid = 0] = await pidsOf(cluster, "worker");
  process.kill(pid, "SIGKILL");
  await until("the killed worker to be gone", 1_000, () => !alive(pid));
  const response = await complete(cluster, 5_000);
  expect(response.status).toBe(200);
  const nodes = await tree(cluster);
  const worker = nodes.find((node) => node.kind === "process" && node.role === "worker");
  expect(worker?.restarts).toBe(1);
  expect(worker?.pid).not.toBe(pid);
}, 60_000);

test("a killed frontend comes back on the same port", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  const [pid = 0] = await pidsOf(cluster, "frontend");
  process.kill(pid, "SIGKILL");
  await until("the door to answer again", 5_000, async () => {
    const response = await fetch(`${cluster.url}/health`).catch(() => undefined);
    return response?.status === 200;
  });
  expect((await complete(cluster, 5_000)).status).toBe(200);
}, 60_000);

test("a worker that keeps crashing is given up with a report, and the rest serves", async () => {
  await using cluster = await startCluster(["--engine", "echo", "--workers", "2"]);
  const below = async (kind: string) =>
    (await tree(cluster)).find((n) => n.kind === kind && n.path.includes("/worker-0"));
  const seen = new Set<number>();
  await until("worker-0 to be given up", 30_000, async () => {
    if ((await below("supervisor")) === undefined) return true;
    // While it backs off there is no process.
    const node = await below("process");
    if (node !== undefined && node.pid > 0 && alive(node.pid)) {
      seen.add(node.pid);
      process.kill(node.pid, "SIGKILL");
    }
    return false;
  });
  expect(seen.size).toBeGreaterThan(1);
  expect(cluster.log()).toMatch(/worker-0.*(intensity|given up)/);
  expect((await complete(cluster, 5_000)).status).toBe(200);
  const id = encodeURIComponent("root/cluster/workers/worker-0");
  const again = await fetch(`${cluster.inspector}/api/actors/${id}/restart`, { method: "POST" });
  expect(again.status).toBe(200);
  await until("worker-0 to be back", 10_000, async () => {
    const node = await below("process");
    return node?.state === "running" && node.pid > 0;
  });
}, 60_000);

test("kill -9 of the root leaves no process", async () => {
  await using cluster = await startCluster(["--workers", "2", "--frontends", "2"]);
  const children = descendants(cluster.pid);
  expect(children.length).toBeGreaterThanOrEqual(4);
  cluster.kill("SIGKILL");
  await until("all children to be gone", 2_000, () => children.every((pid) => !alive(pid)));
}, 60_000);

test("the tree names every supervisor, actor and process with its restarts", async () => {
  await using cluster = await startCluster(["--engine", "echo", "--workers", "2"]);
  const nodes = await tree(cluster);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  expect(byId.size).toBe(nodes.length);
  for (const node of nodes) {
    expect(node.restarts).toBeGreaterThanOrEqual(0);
    for (const child of node.children) expect(byId.has(child)).toBe(true);
  }
  const processes = nodes.filter((node) => node.kind === "process");
  expect(processes.map((node) => node.role).sort()).toEqual(["frontend", "worker", "worker"]);
  expect(new Set(descendants(cluster.pid))).toEqual(new Set(processes.map((node) => node.pid)));
  for (const role of ["router", "worker", "frontend", "registry", "inspector"]) {
    expect(nodes.some((node) => node.kind === "actor" && node.role === role)).toBe(true);
  }
  // One tree: everything hangs under one root.
  const children = new Set(nodes.flatMap((node) => node.children));
  expect(nodes.filter((node) => !children.has(node.id)).length).toBe(1);
}, 60_000);
