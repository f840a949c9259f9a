/** Pages of the inspector that watch a real cluster. */
import { expect, test } from "bun:test";
import { type Cluster, pidOfWorker, startCluster } from "../../support/cluster.ts";
import { openPage, type Row } from "../../support/inspector/live-page.ts";

const mockers = ["--engine", "mocker", "--workers", "2", "--speedup-ratio", "0"];

const workersOf = (rows: ReadonlyMap<string, Row>) =>
  [...rows.values()].filter(({ kind, path }) => kind === "process" && /worker-\d/.test(`${path}`));

test("the stream shows every process, and a worker that is killed comes back with a restart", async () => {
  await using cluster = await startCluster(mockers);
  using page = openPage(cluster.inspector, { watch: ["tree"] });
  await page.until("tree", () => workersOf(page.rows).every((slot) => topOf(slot) !== undefined));
  const roles = new Set([...page.rows.values()].map(({ node }) => node));
  expect([...roles].toSorted()).toEqual(["frontend-0", "root", "worker-0", "worker-1"]);
  const slot = () => [...page.rows.values()].find(({ id }) => id === slot_id)!;
  const slot_id = workersOf(page.rows).find(({ path }) => `${path}`.includes("worker-0"))!.id;
  const before = { ...slot() };
  expect(before["resident_bytes"]).toBeGreaterThan(1e6);
  const pid = await pidOfWorker(cluster, "worker-0");
  process.kill(pid, "SIGKILL");
  await page.until("tree", () => Number(slot()["restarts"]) > Number(before["restarts"]));
  await page.until("tree", () => slot()["pid"] !== pid && topOf(slot()) !== undefined);
  expect(page.rows.get(topOf(slot())!)).toMatchObject({ pid: slot()["pid"], state: "running" });
  expect(slot()["last_crash"]).toContain("SIGKILL");
});

/** What hangs in a process node out of its process. */
const topOf = (slot: Row): string | undefined =>
  (slot["children"] as readonly string[]).find((id) => /^worker-\d\//.test(id));

test("an actor that answers is seen message by message, on both ends of the wire", async () => {
  await using cluster = await startCluster(mockers);
  const tree = (await (await fetch(`${cluster.inspector}/api/tree`)).json()) as { nodes: Row[] };
  const workers = tree.nodes.filter(({ kind, role }) => kind === "actor" && role === "worker");
  expect(workers.length).toBe(2);
  using one = openPage(cluster.inspector, { actor: workers[0]!.id });
  using two = openPage(cluster.inspector, { actor: workers[1]!.id });
  await Promise.all([one.until("actor", () => true), two.until("actor", () => true)]);
  const isGenerate = ({ entries }: Readonly<Record<string, unknown>>) =>
    (entries as { kind: string }[]).some(({ kind }) => kind === "generate");
  const seen = Promise.race([one.until("actor", isGenerate), two.until("actor", isGenerate)]);
  await chat(cluster);
  const { frame } = await seen;
  const entry = (frame["entries"] as Record<string, unknown>[]).find(
    ({ kind }) => kind === "generate",
  )!;
  expect(entry).toMatchObject({ ask: true, from: null, message: { kind: "generate" } });
  expect(Object.keys(entry["before"] as object)).toEqual(Object.keys(entry["after"] as object));
});

async function chat(cluster: Cluster): Promise<void> {
  // Over the inspector's own port, as the page's chat does.
  const models = await fetch(`${cluster.inspector}/v1/models`);
  const { data } = (await models.json()) as { data: { id: string }[] };
  const response = await fetch(`${cluster.inspector}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: data[0]!.id, max_tokens: 8, stream: true },
      messages: [{ role: "user", content: "Hello" }],
    }),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("data: [DONE]");
}

test("pages of other sites get nothing and do nothing, whatever name they use", async () => {
  await using cluster = await startCluster(mockers);
  const { host, port } = new URL(cluster.inspector);
  const before = await pidOfWorker(cluster, "worker-0");
  const kill = `/api/actors/${encodeURIComponent("root/cluster/workers/worker-0")}/kill`;
  const attacks: readonly [method: string, path: string, headers: Record<string, string>][] = [
    // DNS rebinding: the page's own name points here now.
    ["GET", "/api/tree", { host: `evil.example:${port}` }],
    ["GET", "/", { host: `evil.example:${port}` }],
    ["POST", kill, { host: `evil.example:${port}`, origin: `http://evil.example:${port}` }],
    ["POST", "/v1/chat/completions", { host: `evil.example:${port}` }],
    // A form, a script, an image, a frame of another site.
    ["POST", kill, { origin: "http://evil.example" }],
    ["POST", kill, { origin: "null", "content-type": "text/plain" }],
    ["POST", kill, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
    ["GET", "/api/tree", { "sec-fetch-site": "cross-site", "sec-fetch-dest": "image" }],
    ["GET", "/", { "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe" }],
    ["DELETE", "/api/workers/worker-0", { origin: "http://evil.example" }],
    ["PUT", "/api/router", { origin: `http://localhost.evil.example:${port}` }],
    ["OPTIONS", kill, { origin: "http://evil.example" }],
  ];
  for (const [method, path, headers] of attacks) {
    const response = await fetch(cluster.inspector + path, { method, headers });
    expect([method, path, headers, response.status]).toEqual([method, path, headers, 403]);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    await response.body?.cancel();
  }
  for (const headers of [{ origin: "http://evil.example" }, { host: `evil.example:${port}` }]) {
    const socket = new WebSocket(`ws://${host}/api/live`, { headers });
    const opened = await new Promise<boolean>((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onclose = () => resolve(false);
    });
    expect([headers, opened]).toEqual([headers, false]);
  }
  expect(await pidOfWorker(cluster, "worker-0")).toBe(before);
});
