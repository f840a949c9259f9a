/** Several machines' NATS and Redis are killed and come back: what serves, serves on; all heals. */
import { afterAll, expect, test } from "bun:test";
import { realRandom } from "../../runtime/real/random.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { RedisTable } from "../../runtime/registry/redis-table.ts";
import { type Cluster, pidsOf, runCluster, startCluster, tree, until } from "../support/cluster.ts";
import { describeWith, lacksProgram } from "../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../support/plane-servers.ts";
import { longestGapMs, type StreamedAnswer, streamAnswer } from "../support/streamed-answer.ts";
import { underWay } from "../support/under-way.ts";

const lack = lacksProgram("nats-server", "redis-server");
afterAll(stopServers);

const mocker = ["--engine", "mocker", "--speedup-ratio", "1"];

async function planes() {
  const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
  const flags = ["--nats", nats.url, "--redis", redis.url];
  return { nats, redis, flags };
}

const bodyOf = (seed: number, max_tokens = 200) => ({
  prompt: `Answer number ${seed}`,
  max_tokens,
  seed,
  ignore_eos: true,
});

async function answers(cluster: Cluster, count: number, max_tokens = 200) {
  const seeds = Array.from({ length: count }, (_, seed) => seed);
  return Promise.all(seeds.map((seed) => streamAnswer(cluster.url, bodyOf(seed, max_tokens))));
}

function expectSame(got: readonly StreamedAnswer[], undisturbed: readonly StreamedAnswer[]): void {
  expect(got.map(({ error }) => error)).toEqual(undisturbed.map(() => undefined));
  expect(got.map(({ text }) => text)).toEqual(undisturbed.map(({ text }) => text));
}

async function health(cluster: Cluster) {
  const response = await fetch(`${cluster.url}/health`);
  const body = (await response.json()) as {
    planes: { nats: string; redis: string };
    models: { workers: number }[];
  };
  return { status: response.status, ...body.planes, workers: body.models[0]?.workers ?? 0 };
}

const workersAre = (cluster: Cluster, count: number) =>
  until(`${count} workers`, 20_000, async () => (await health(cluster)).workers === count);

describeWith(lack, "several machines", () => {
  test("NATS is gone for 3 s: answers from another machine wait, and are the same", async () => {
    const { nats, flags } = await planes();
    await using frontend = await startCluster([...flags, "--role", "frontend"]);
    await using _worker = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await workersAre(frontend, 1);
    const undisturbed = await answers(frontend, 8);
    const { done: disturbed } = await underWay(frontend, 8, () => answers(frontend, 8));
    await nats.stop();
    const stopped_ms = performance.now();
    await until("the loss is seen", 5_000, async () => (await health(frontend)).nats === "away");
    expect(await health(frontend)).toMatchObject({ status: 200, nats: "away", redis: "up" });
    const inspected = await (await fetch(`${frontend.inspector}/api/planes`)).json();
    expect(inspected).toMatchObject({ planes: [{ plane: "nats", up: false }, { plane: "redis" }] });
    const metrics = await (await fetch(`${frontend.url}/metrics`)).text();
    expect(metrics).toMatch(/troupe_plane_up\{[^}]*plane="nats"\} 0/);
    // The outage lasts for three seconds.
    await Bun.sleep(Math.max(0, stopped_ms + 3_000 - performance.now()));
    await nats.start();
    expectSame(await disturbed, undisturbed);
    expect(await health(frontend)).toMatchObject({ nats: "up", workers: 1 });
    expectSame(await answers(frontend, 8), undisturbed);
  }, 60_000);

  test("NATS is gone: answers from another machine go on at a near worker, and are the same", async () => {
    const { nats, flags } = await planes();
    await using main = await startCluster([...flags, ...mocker, "--router-mode", "round-robin"]);
    await using worker = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await workersAre(main, 2);
    const undisturbed = await answers(main, 12, 600);
    const before = await taken(worker);
    const { done: disturbed } = await underWay(main, 12, () => answers(main, 12, 600));
    await until("both have some", 5_000, async () => (await taken(worker)) >= before + 6);
    await nats.stop();
    // All are whole before it is back.
    const got = await disturbed;
    expect((await health(main)).nats).toBe("away");
    expectSame(got, undisturbed);
    for (const each of got) expect(longestGapMs(each)).toBeLessThan(6_000);
    const metrics = await (await fetch(`${main.inspector}/metrics`)).text();
    expect(metrics).toMatch(/dynamo_frontend_model_migration_total\{[^}]*why="away"[^}]*\} [1-9]/);
    await nats.start();
    await until("it is back", 10_000, async () => (await health(main)).nats === "up");
    expectSame(await answers(main, 12, 600), undisturbed);
    const orphans = await (await fetch(`${main.inspector}/api/orphans`)).json();
    expect(orphans).toMatchObject({ orphans: 0 });
  }, 90_000);

  test("NATS is gone: new work stays on this machine, and goes to both again afterwards", async () => {
    const { nats, flags } = await planes();
    await using main = await startCluster([...flags, ...mocker, "--router-mode", "round-robin"]);
    await using worker = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await workersAre(main, 2);
    const undisturbed = await answers(main, 12);
    expect(await taken(worker)).toBeGreaterThan(0);
    await nats.stop();
    await until("the loss is seen", 5_000, async () => (await health(main)).nats === "away");
    await Bun.sleep(700); // The router looks around twice a second.
    const started_ms = performance.now();
    expectSame(await answers(main, 12), undisturbed);
    expect(performance.now() - started_ms).toBeLessThan(15_000);
    await nats.start();
    await until("it is back", 10_000, async () => (await health(main)).nats === "up");
    await until("both get work", 20_000, async () => {
      const before = await taken(worker);
      expectSame(await answers(main, 6), undisturbed.slice(0, 6));
      return (await taken(worker)) > before;
    });
  }, 90_000);

  test("Redis is gone for 5 s and has forgotten all: nobody notices but /health", async () => {
    const { redis, flags } = await planes();
    await using frontend = await startCluster([...flags, "--role", "frontend"]);
    await using _worker = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await workersAre(frontend, 1);
    const undisturbed = await answers(frontend, 6);
    await redis.stop();
    await until("the loss is seen", 5_000, async () => (await health(frontend)).redis === "away");
    for (let round = 0; round < 3; round++) expectSame(await answers(frontend, 6), undisturbed);
    expect(await health(frontend)).toMatchObject({ status: 200, nats: "up", workers: 1 });
    await redis.start();
    await until("it is back", 5_000, async () => (await health(frontend)).redis === "up");
    expectSame(await answers(frontend, 6), undisturbed);
    // Whoever joins now finds everybody.
    await using late = await startCluster([...flags, "--role", "frontend"]);
    await workersAre(late, 1);
    expectSame(await answers(late, 6), undisturbed);
  }, 90_000);

  test("kill -9 of a worker on another machine: its root says so, its answers go on elsewhere", async () => {
    const { flags } = await planes();
    await using frontend = await startCluster([...flags, "--role", "frontend"]);
    await using first = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await using _second = await startCluster([...flags, ...mocker, "--role", "worker"]);
    await workersAre(frontend, 2);
    const undisturbed = await answers(frontend, 12);
    const { done: disturbed } = await underWay(frontend, 12, () => answers(frontend, 12));
    const [pid = 0] = await pidsOf(first, "worker");
    process.kill(pid, "SIGKILL");
    const got = await disturbed;
    expectSame(got, undisturbed);
    // Heartbeats alone would need five seconds.
    for (const { at_ms } of got) {
      const gaps = at_ms.slice(1).map((at, i) => at - (at_ms[i] as number));
      expect(Math.max(...gaps)).toBeLessThan(4_000);
    }
  }, 60_000);

  test("a wrong address or another release is one line that says what to do", async () => {
    const { redis, flags } = await planes();
    const ports = ["--port", "0", "--inspector-port", "0"];
    const nobody = ["--nats", "nats://u:geheim@127.0.0.1:1", "--redis", redis.url];
    const wrong = await runCluster([...ports, ...nobody, "--role", "frontend"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/NATS at nats:\/\/127\.0\.0\.1:1 does not answer .*--nats/);
    expect(wrong.stderr.trim().split("\n").length).toBe(1);
    expect(wrong.stderr).not.toContain("geheim");

    const client = redisClient({ url: redis.url, client_name: "test", env: {} });
    await client.ready(5_000);
    const table = new RedisTable(client, realRandom(), "troupe.troupe");
    await table.join(999);
    const message = { holder: "old", lease_ms: 60_000, full: true, put: [], drop: [], since: "" };
    await table.exchange(message);
    const other = await runCluster([...ports, ...flags, "--role", "frontend"]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/"troupe" speaks protocol version 999, this program version \d+/);
    const apart = await startCluster([...flags, "--role", "frontend", "--namespace", "other"]);
    await apart[Symbol.asyncDispose]();
    await client.close();
  }, 60_000);
});

/** Generations that the workers of this machine have taken; its own root is first in its tree. */
async function taken(cluster: Cluster): Promise<number> {
  const machine = (await tree(cluster))[0]?.id.split("/")[0];
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const its = new RegExp(
    `^dynamo_component_requests_total\\{node="${machine}\\.[^}]*\\} (\\d+)$`,
    "gm",
  );
  return [...text.matchAll(its)].reduce((sum, match) => sum + Number(match[1]), 0);
}
