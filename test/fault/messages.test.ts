/** `kill -9` of workers under live answers of /v1/messages, read by Anthropic's own package. */
import { expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { type Cluster, pidsOf, startCluster } from "../support/cluster.ts";
import { underWay } from "../support/under-way.ts";

const slow = ["--engine", "mocker", "--workers", "3", "--speedup-ratio", "1"];
const COUNT = 12;

/** The text of each answer, or its error. */
async function answers(cluster: Cluster): Promise<readonly (string | Error)[]> {
  const client = new Anthropic({ baseURL: cluster.url, apiKey: "none", maxRetries: 0 });
  const one = async (number: number): Promise<string | Error> => {
    const content = `Answer number ${number}`;
    const seeded = { model: "troupe-tiny", max_tokens: 120, seed: number };
    const stream = client.messages.stream({ ...seeded, messages: [{ role: "user", content }] });
    try {
      return JSON.stringify(
        (await stream.finalMessage()).content.map((block) => ({ ...block, id: 0 })),
      );
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  return Promise.all(Array.from({ length: COUNT }, (_, number) => one(number)));
}

const killed = async (cluster: Cluster) => {
  const { done } = await underWay(cluster, COUNT, () => answers(cluster));
  const [pid = 0] = await pidsOf(cluster, "worker");
  process.kill(pid, "SIGKILL");
  return await done;
};

test("messages go on, byte for byte, when their worker is killed", async () => {
  await using cluster = await startCluster(slow);
  const undisturbed = await answers(cluster);
  for (const answer of undisturbed) expect(answer).toBeString();
  expect(await killed(cluster)).toEqual(undisturbed);
}, 60_000);

test("one that cannot go on ends with an error event that says to try again", async () => {
  await using cluster = await startCluster([...slow, "--migration-limit", "0"]);
  const broken = (await killed(cluster)).filter((answer) => typeof answer !== "string");
  expect(broken.length).toBeGreaterThan(0);
  for (const error of broken) {
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(error).toMatchObject({ type: "overloaded_error", errorCode: "worker_lost" });
  }
}, 60_000);
