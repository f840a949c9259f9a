/** Two machines with one store in Redis: one dies, and the other ends what its door began. */
import { afterAll, expect } from "bun:test";
import OpenAI from "openai";
import { startCluster, until } from "../../support/cluster.ts";
import { lacksProgram, testWith } from "../../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../../support/plane-servers.ts";
import { underWay } from "../../support/under-way.ts";

const lack = lacksProgram("nats-server", "redis-server");
afterAll(stopServers);

testWith(
  lack,
  "a machine is killed: the other one's frontend ends its background response",
  async () => {
    const [nats, redis] = await Promise.all([natsServer(), redisServer()]);
    const planes = ["--nats", nats.url, "--redis", redis.url];
    const mocker = ["--engine", "mocker", "--speedup-ratio", "1"];
    await using here = await startCluster([...planes, ...mocker]);
    const there = await startCluster([...planes, "--role", "frontend"]);
    const clientOf = (url: string) =>
      new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 5 });
    const [near, far] = [clientOf(here.url), clientOf(there.url)];
    const asked = { model: "troupe-tiny", input: "Tell me all.", max_output_tokens: 400 };
    const { done } = await underWay(there, 1, () =>
      far.responses.create({ ...asked, ...{ ignore_eos: true }, background: true }),
    );
    const { id } = await done;
    expect((await near.responses.retrieve(id)).status).toBe("in_progress");
    there.kill("SIGKILL");
    await there.exited;
    await until("the response's end", 30_000, async () => {
      return (await near.responses.retrieve(id)).status === "incomplete";
    });
    const { usage } = await near.responses.retrieve(id);
    expect(usage?.output_tokens).toBe(400);
    await near.responses.delete(id);
    const gone = await near.responses.retrieve(id).catch((error: unknown) => error);
    expect(gone).toMatchObject({ status: 404, code: "response_not_found" });
  },
  60_000,
);
