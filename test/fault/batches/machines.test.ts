/** Several machines share files and batches in Redis; one that dies leaves its batch to another. */
import { afterAll, expect } from "bun:test";
import { batchOf, endOf, linesAnswered, makeBatch, uploadLines } from "../../support/batches.ts";
import { alive, descendants, startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";

const LINES = 200;
const lack = lacksProgram("nats-server", "redis-server");
afterAll(stopServers);

testWith(
  lack,
  "a file of one machine, a batch of another, and the first one is killed",
  async () => {
    const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
    const planes = ["--nats", nats.url, "--redis", redis.url];
    const flags = [...planes, "--engine", "mocker", "--workers", "1"];
    const first = await startCluster(flags);
    await using second = await startCluster(flags);
    const lines = Array.from({ length: LINES }, (_, n) => {
      const messages = [{ role: "user", content: `line ${n}` }];
      const body = { model: "troupe-tiny", messages, max_tokens: 30, ignore_eos: true };
      const url = "/v1/chat/completions";
      return JSON.stringify({ custom_id: `l${n}`, method: "POST", url, body });
    });
    const id = await makeBatch(second.url, await uploadLines(first.url, lines));
    await until("some lines are answered", 30_000, async () => {
      return (await linesAnswered(second.url, id)) >= 10;
    });
    for (const pid of [first.pid, ...descendants(first.pid)]) {
      if (alive(pid)) process.kill(pid, "SIGKILL");
    }
    const batch = await endOf(second.url, id, 60_000);
    expect(batch.request_counts).toEqual({ total: LINES, completed: LINES, failed: 0 });
    const { counts } = await batchOf(second.url, id);
    expect(counts.size).toBe(LINES);
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
  },
  120_000,
);
