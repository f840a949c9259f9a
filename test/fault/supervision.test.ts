/** Supervision seen from outside: real processes, real `kill -9`. */
import { expect, test } from "bun:test";
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

async function crashLoops(cluster: Cluster): Promise<readonly string[]> {
  const body = (await (await fetch(`${cluster.url}/health`)).json()) as { crash_loops?: string[] };
  return body.crash_loops ?? [];
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

test("7 kills in a row are a crash loop: it is told everywhere, the rest serves, the slot comes back", async () => {
  await using cluster = await startCluster(["--engine", "echo", "--workers", "2"]);
  const slot = "/cluster/workers/worker-0";
  const at = async (path: string) => (await tree(cluster)).find((node) => node.path === path);
  let last = 0;
  for (let kills = 0; kills < 7; kills++) {
    // While it backs off there is no process. The 6th end is answered by up to 5 s.
    await until(`life ${kills + 1} of worker-0`, 10_000, async () => {
      const node = await at(`${slot}/process`);
      if (node === undefined || node.pid === last || node.state !== "running") return false;
      last = node.pid;
      return true;
    });
    process.kill(last, "SIGKILL");
    await until("the killed worker to be gone", 1_000, () => !alive(last));
  }
  expect((await complete(cluster, 5_000)).status).toBe(200);
  await until("every place to say so", 2_000, async () => {
    const metrics = await (await fetch(`${cluster.inspector}/metrics`)).text();
    return (
      (await crashLoops(cluster)).join() === "worker-0" &&
      /troupe_process_crash_loop\{[^}]*process="worker-0"[^}]*\} 1/.test(metrics) &&
      (await at(slot))?.state === "crash_loop"
    );
  });
  const told = cluster.log().match(/worker-0 keeps ending.*/g) ?? [];
  expect(told.length).toBe(1);
  expect(told[0]).toMatch(
    /process \\+"worker-0\\+" \(pid \d+\).*POST \/api\/actors\/root%2Fcluster.*\/restart/,
  );
  await until("worker-0 to be back by itself", 15_000, async () => {
    const node = await at(`${slot}/process`);
    return node?.state === "running" && node.pid !== last;
  });
}, 90_000);

test("a model that breaks while it serves does not end the cluster, and is served once it is repaired", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-loop-"));
  const [model, good] = [join(folder, "model.gguf"), join(folder, "good.gguf")];
  copyFileSync(join(import.meta.dir, "../../deploy/models/tiny/troupe-tiny.gguf"), good);
  copyFileSync(good, model);
  try {
    await using cluster = await startCluster(["--model", model, "--model-name", "tiny"]);
    const replaceModel = (bytes: Uint8Array) => {
      // By another file: the one that is mapped stays as it is.
      writeFileSync(`${model}.new`, bytes);
      renameSync(`${model}.new`, model);
    };
    replaceModel(new TextEncoder().encode("this is no model"));
    const [pid = 0] = await pidsOf(cluster, "worker");
    process.kill(pid, "SIGKILL");
    await until("the crash loop", 30_000, async () => (await crashLoops(cluster)).length === 1);
    expect(cluster.log()).toMatch(/worker-0 keeps ending.*model\.gguf/);
    expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
    replaceModel(readFileSync(good));
    const id = encodeURIComponent("root/cluster/workers/worker-0/process");
    const again = await fetch(`${cluster.inspector}/api/actors/${id}/restart`, { method: "POST" });
    expect(again.status).toBe(200);
    await until("answers", 10_000, async () => (await complete(cluster, 5_000)).status === 200);
    // So does its slot, which begins anew.
    const slot = encodeURIComponent("root/cluster/workers/worker-0");
    await fetch(`${cluster.inspector}/api/actors/${slot}/restart`, { method: "POST" });
    await until("no crash loop", 10_000, async () => (await crashLoops(cluster)).length === 0);
    await until("answers", 10_000, async () => (await complete(cluster, 5_000)).status === 200);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 90_000);

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
