/** What a person may do to an actor over the inspector, in a real cluster. */
import { expect, test } from "bun:test";
import { type Cluster, pidsOf, startCluster, tree, until } from "../support/cluster.ts";

const post = (cluster: Cluster, id: string, action: string, headers: Record<string, string> = {}) =>
  fetch(`${cluster.inspector}/api/actors/${id}/${action}`, { method: "POST", headers });

const find = async (cluster: Cluster, suffix: string) =>
  (await tree(cluster)).find((node) => node.path.endsWith(suffix));

test("an actor that is killed is restarted, whichever process it lives in", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  for (const path of ["/frontend/router", "/cluster/registry", "/frontend/discovery/client"]) {
    const before = await find(cluster, path);
    const response = await post(cluster, encodeURIComponent(before?.id ?? ""), "kill");
    expect([path, response.status]).toEqual([path, 200]);
    await until(`${path} to be back`, 5_000, async () => {
      const now = await find(cluster, path);
      return now !== undefined && now.restarts > (before?.restarts ?? 0) && now.state === "running";
    });
  }
}, 60_000);

test("a supervisor that is killed comes back with its processes", async () => {
  await using cluster = await startCluster(["--engine", "echo", "--workers", "2"]);
  for (const path of ["/cluster/workers/worker-1", "/cluster/workers", "/cluster/frontends"]) {
    const role = path === "/cluster/frontends" ? "frontend" : "worker";
    const old = (await pidsOf(cluster, role)).sort();
    const killed = path === "/cluster/workers/worker-1" ? 1 : old.length;
    const response = await post(cluster, encodeURIComponent(`root${path}`), "kill");
    expect([path, response.status]).toEqual([path, 200]);
    await until(`the processes below ${path} to be replaced`, 10_000, async () => {
      const now = await pidsOf(cluster, role);
      const replaced = now.filter((pid) => pid > 0 && !old.includes(pid));
      return now.length === old.length && replaced.length === killed;
    });
    await until("it to serve", 10_000, async () => {
      const response = await fetch(`${cluster.url}/health`).catch(() => undefined);
      return response?.status === 200;
    });
  }
}, 60_000);

test("what cannot be done says why", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  const status = async (
    ...args: Parameters<typeof post> extends [unknown, ...infer R] ? R : []
  ) => {
    const response = await post(cluster, ...args);
    const body = (await response.json()) as { error?: string };
    return [response.status, body.error];
  };
  expect(await status("root/cluster/nobody", "kill")).toEqual([
    404,
    "root has no /cluster/nobody that can kill",
  ]);
  expect(await status("elsewhere/x", "kill")).toEqual([404, "there is no process elsewhere"]);
  expect((await status("root/cluster/registry", "dance"))[0]).toBe(404);
  expect((await status("%E0%A4%A", "kill"))[0]).toBe(404);
  expect((await status("root/cluster/registry", "kill", { origin: "https://x.example" }))[0]).toBe(
    403,
  );
  expect((await status("root/cluster/registry", "kill", { host: "x.example:80" }))[0]).toBe(403);
  expect((await find(cluster, "/cluster/registry"))?.restarts).toBe(0);
}, 60_000);

test("a worker that is drained is begun anew, and serves", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  const path = "/worker/worker-0";
  const before = await find(cluster, path);
  const response = await post(cluster, encodeURIComponent(before?.id ?? ""), "drain");
  expect(response.status).toBe(200);
  await until("another life of the worker", 10_000, async () => {
    const now = await find(cluster, path);
    return now !== undefined && now.restarts > (before?.restarts ?? 0) && now.state === "running";
  });
  await until("it to serve", 10_000, async () => {
    const answer = await fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "troupe-tiny", prompt: "hi", max_tokens: 1 }),
    });
    return answer.status === 200;
  });
}, 60_000);
