/** A router in a process of its own: it decides for all frontends, and nothing hangs on it. */
import { afterAll, expect, test } from "bun:test";
import { type Cluster, pidsOf, runCluster, startCluster, until } from "../support/cluster.ts";
import { lacksProgram, testWith } from "../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../support/plane-servers.ts";
import { complete, metricsOf, promptTokens } from "../support/worlds/kv-prompts.ts";

const lack = lacksProgram("nats-server", "redis-server");
afterAll(stopServers);

const alone = ["--engine", "mocker", "--workers", "3", "--frontends", "2", "--routers", "1"];
const STARTED = 'dynamo_component_router_requests_started_total{model="troupe-tiny"}';

const placedBy = async (cluster: Cluster, node: string) =>
  (await metricsOf(cluster, node)).get(STARTED) ?? 0;

const placedByFrontends = async (cluster: Cluster) =>
  (await placedBy(cluster, "frontend-0")) + (await placedBy(cluster, "frontend-1"));

const held = async (cluster: Cluster) =>
  (await metricsOf(cluster, "router-0").catch(() => undefined))?.get("troupe_router_desk_requests");

async function orphansOf(cluster: Cluster): Promise<number> {
  const response = await fetch(`${cluster.inspector}/api/orphans`);
  return ((await response.json()) as { orphans: number }).orphans;
}

/** Tokens that came, by their events; throws when the stream does not end well. */
async function stream(cluster: Cluster, seed: number, max_tokens: number): Promise<number> {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      model: "troupe-tiny",
      prompt: promptTokens(200, seed),
      max_tokens,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  const text = await response.text();
  if (response.status !== 200 || !text.endsWith("data: [DONE]\n\n")) {
    throw new Error(`${response.status}: ${text.slice(-300)}`);
  }
  return Number(/"completion_tokens":(\d+)/.exec(text)?.[1]);
}

test("it decides for all frontends, and caches are found again through it", async () => {
  await using cluster = await startCluster([...alone, "--speedup-ratio", "0"]);
  const prompt = promptTokens(1_000, 1);
  expect(await complete(cluster, prompt)).toBe(0);
  for (let i = 0; i < 9; i++) expect(await complete(cluster, prompt)).toBe(15 * 64);
  expect([await placedBy(cluster, "router-0"), await placedByFrontends(cluster)]).toEqual([10, 0]);
}, 60_000);

test("killed and started again, it is asked once it knows where at least 95 % of the prompts are", async () => {
  await using cluster = await startCluster([...alone, "--speedup-ratio", "0"]);
  const health = async () => {
    const response = await fetch(`${cluster.url}/health`);
    return ((await response.json()) as { router?: string }).router;
  };
  const prompts = Array.from({ length: 80 }, (_, i) => promptTokens(1_000, i));
  const warmOnes = async () => {
    let warm = 0;
    for (const prompt of prompts) if ((await complete(cluster, prompt)) > 0) warm++;
    return warm;
  };
  expect(await warmOnes()).toBe(0);
  const before = await warmOnes();
  expect(before).toBeGreaterThan(70);
  expect(await health()).toBe("router-0");
  const [pid] = await pidsOf(cluster, "router");
  process.kill(pid!, "SIGKILL");
  await until("frontends to ask their own", 2_000, async () => (await health()) === "own");
  await until("frontends to ask the next", 10_000, async () => (await health()) === "router-0");
  expect(await placedBy(cluster, "router-0")).toBe(0);
  const after = await warmOnes();
  // The two frontends may hear of it one after the other.
  expect(await placedBy(cluster, "router-0")).toBeGreaterThanOrEqual(prompts.length - 2);
  expect(after / before).toBeGreaterThanOrEqual(0.95);
}, 60_000);

test("kill -9 it, twice, while requests run and come: every answer is whole, and it decides again", async () => {
  await using cluster = await startCluster([...alone, "--speedup-ratio", "4"]);
  const answers: Promise<number>[] = [];
  const send = async (count: number) => {
    for (let i = 0; i < count; i++) {
      answers.push(stream(cluster, answers.length, 100));
      await Bun.sleep(5);
    }
  };
  for (let life = 0; life < 2; life++) {
    const [pid] = await pidsOf(cluster, "router");
    await send(40);
    process.kill(pid!, "SIGKILL");
    await send(40);
    await until("the next router", 20_000, async () => {
      const [next] = await pidsOf(cluster, "router");
      return next !== undefined && next !== pid;
    });
  }
  expect(new Set(await Promise.all(answers))).toEqual(new Set([100]));
  // While there was none, frontends decided by themselves.
  const fell_back = await placedByFrontends(cluster);
  expect(fell_back).toBeGreaterThan(0);
  await until("the new router asked", 10_000, async () => {
    await stream(cluster, answers.length, 4);
    return (await placedBy(cluster, "router-0")) > 0;
  });
}, 90_000);

test("a frontend that dies leaves nothing with it", async () => {
  await using cluster = await startCluster([...alone, "--speedup-ratio", "1"]);
  const answers = Array.from({ length: 20 }, (_, i) => stream(cluster, i, 2_000).catch(() => 0));
  await until("all placed", 10_000, async () => (await held(cluster)) === 20);
  for (const pid of await pidsOf(cluster, "frontend")) process.kill(pid, "SIGKILL");
  await Promise.all(answers);
  await until("none counted any more", 10_000, async () => (await held(cluster)) === 0);
  expect(await orphansOf(cluster)).toBe(0);
}, 60_000);

testWith(
  lack,
  "--role router: a machine of its own decides for the others, and may go",
  async () => {
    const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
    const named = (name: string) => [
      ...["--nats", nats.url, "--redis", redis.url],
      ...["--machine-name", name],
    ];
    const workers = ["--engine", "mocker", "--workers", "2", "--speedup-ratio", "4"];
    await using cluster = await startCluster([...named("a"), ...workers]);
    const router = await startCluster([...named("b"), "--role", "router"]);
    expect(router.url).toBe("router");
    // A machine's nodes begin with its name; what is between is of this start alone.
    const started = async (node: RegExp) => {
      const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
      const line = text
        .split("\n")
        .find((each) => each.startsWith(STARTED.split("{")[0]!) && node.test(each));
      return Number(line?.split(" ").at(-1) ?? 0);
    };
    const nodes = [/node="a[^"]*\.frontend-0"/, /node="b[^"]*\.router-0"/] as const;
    await until("the other machine's router asked", 10_000, async () => {
      await stream(cluster, 1, 4);
      return (await started(nodes[1])) > 0;
    });
    const before = await started(nodes[0]);
    const answers = Array.from({ length: 40 }, (_, i) => stream(cluster, i, 100));
    expect(new Set(await Promise.all(answers))).toEqual(new Set([100]));
    expect(await started(nodes[0])).toBe(before);
    const during = Array.from({ length: 40 }, (_, i) => stream(cluster, i, 100));
    router.kill("SIGKILL");
    await router.exited;
    for (let i = 0; i < 40; i++) during.push(stream(cluster, 100 + i, 100));
    expect(new Set(await Promise.all(during))).toEqual(new Set([100]));
    expect(await started(nodes[0])).toBeGreaterThan(before);
  },
  90_000,
);

test("--role router without a cluster to join is refused", async () => {
  const { code, stderr } = await runCluster(["--role", "router"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--role router joins a cluster")]);
});
