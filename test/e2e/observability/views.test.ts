/** What the inspector's port says of load and blocks on a real cluster, asked and told. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster([
    ...["--engine", "mocker", "--speedup-ratio", "0", "--workers", "2", "--block-size", "16"],
    ...["--kv-host-bytes", "32MB", "--inspector-live-path", "/alive"],
  ]);
}, 90_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
}, 30_000);

const get = async (path: string) => (await fetch(`${cluster.inspector}${path}`)).json();

async function complete(prompt: string, at = cluster): Promise<void> {
  const response = await fetch(`${at.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "troupe-tiny", prompt, max_tokens: 4 }),
  });
  expect(response.status).toBe(200);
  await response.text();
}

const shared = "the same beginning of all prompts ".repeat(20);

test("prompts with one beginning are a tree whose root all of them go through", async () => {
  for (const end of ["left ", "left ", "right ", "middle "])
    await complete(shared + end.repeat(40));
  type Node = { hash: string; parent: string | null; hits: number; workers: string[] };
  const { nodes, models } = (await get("/api/kv/prefixes")) as {
    nodes: Node[];
    models: { model: string; prompts: number }[];
  };
  expect(models).toMatchObject([{ model: "troupe-tiny", prompts: 4, seen: 4 }]);
  const [root, ...others] = nodes;
  expect(root).toMatchObject({ hits: 4, parent: null });
  expect(root?.workers.length).toBeGreaterThan(0);
  const known = new Set(nodes.map(({ hash }) => hash));
  expect(others.length).toBeGreaterThanOrEqual(3);
  for (const { parent, hits } of others) {
    expect(known.has(parent ?? "")).toBe(true);
    expect(hits).toBeLessThanOrEqual(2);
  }
});

test("where routers know no prefixes a worker says what it has cached", async () => {
  const mocker = ["--engine", "mocker", "--speedup-ratio", "0", "--block-size", "16"];
  await using other = await startCluster([...mocker, "--router-mode", "round-robin"]);
  for (const end of ["left ", "right "]) await complete(shared + end.repeat(40), other);
  const page = await (await fetch(`${other.inspector}/api/kv/prefixes`)).json();
  const { nodes } = page as { nodes: { hits: number; parent: string | null; workers: string[] }[] };
  expect(nodes[0]).toMatchObject({ parent: null, workers: ["worker-0"] });
  // An answer's blocks are runs of their own.
  expect(nodes[0]?.hits).toBeGreaterThanOrEqual(2);
  expect(nodes.length).toBeGreaterThanOrEqual(3);
}, 60_000);

test("the map of a worker has its engine's blocks and those of its machine's memory", async () => {
  type Tier = { tier: string; slots: number; used: number; cells: string };
  const used = async (worker: string) => {
    const { tiers } = (await get(`/api/kv/map?worker=${worker}`)) as { tiers: Tier[] };
    expect(tiers.map(({ tier }) => tier)).toEqual(["G1", "G2"]);
    for (const { slots, cells } of tiers) {
      const bytes = Buffer.from(cells, "base64");
      expect(bytes).toHaveLength(Math.min(4_096, slots));
      expect(bytes.every((cell) => cell <= 3)).toBe(true);
    }
    return tiers;
  };
  const maps = [await used("worker-0"), await used("worker-1")];
  expect(maps.some(([engine]) => (engine?.used ?? 0) > 0)).toBe(true);
  await until(
    "blocks in host memory",
    20_000,
    async () => ((await used("worker-0"))[1]?.used ?? 0) > 0,
  );
});

test("who asks for the map of no worker is told where the names are", async () => {
  for (const [path, status] of [
    ["/api/kv/map", 400],
    ["/api/kv/map?worker=nobody", 404],
  ] as const) {
    const response = await fetch(`${cluster.inspector}${path}`);
    expect(response.status).toBe(status);
    expect(await response.text()).toContain("/api/kv");
  }
});

test("the status route is where it was put", async () => {
  expect(await get("/alive")).toMatchObject({ status: "live" });
  expect((await fetch(`${cluster.inspector}/live`)).status).toBe(404);
});

test("who watches hears of the load and of the blocks, and the history has it", async () => {
  const frames: Record<string, unknown>[] = [];
  const socket = new WebSocket(`${cluster.inspector.replace("http", "ws")}/api/live`, {
    headers: { Origin: cluster.inspector },
  } as never);
  socket.onopen = () => socket.send(JSON.stringify({ watch: ["load", "kv"] }));
  socket.onmessage = ({ data }) => frames.push(JSON.parse(String(data)));
  type Total = { tokens_per_s: number; requests_per_s: number; ttft_p99_ms: number | null };
  type Point = { total: Total; workers: Record<string, { kv_total: number }> };
  const points = () =>
    frames.flatMap(({ topic, point }) => (topic === "load" ? [point as Point] : []));
  const rates = () => JSON.stringify(frames.filter(({ topic }) => topic === "kv"));
  try {
    await until("a point of this load", 30_000, async () => {
      await complete(shared);
      return points().some(({ total }) => total.tokens_per_s > 0 && total.ttft_p99_ms !== null);
    });
    await until("rates of hits", 20_000, async () => {
      await complete(shared);
      return /"hits_per_s":[1-9]/.test(rates());
    });
  } finally {
    socket.close();
  }
  const workers = points().at(-1)?.workers ?? {};
  expect(Object.keys(workers)).toEqual(["worker-0", "worker-1"]);
  expect(workers["worker-0"]?.kv_total).toBeGreaterThan(0);
  type Page = { interval_ms: number; recent: { points: Point[] } };
  const { interval_ms, recent } = (await get("/api/load")) as Page;
  expect(interval_ms).toBe(10_000);
  expect(recent.points.some(({ total }) => total.requests_per_s > 0)).toBe(true);
}, 60_000);
