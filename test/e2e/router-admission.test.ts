/** What clients are told when there is more than the workers can do. */
import { expect, test } from "bun:test";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { promptTokens } from "../support/worlds/kv-prompts.ts";

const one = ["--engine", "mocker", "--workers", "1", "--max-num-batched-tokens", "512"];

type Told = { status: number; retry_after: string | null; code: string };

/** Ends before its answer does where the answer is not what is asked about. */
async function send(cluster: Cluster, seed: number, headers: Record<string, string>) {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ model: "troupe-tiny", prompt: promptTokens(900, seed), max_tokens: 2 }),
  });
  const body = (await response.json()) as { error?: { code: string } };
  const retry_after = response.headers.get("retry-after");
  return { status: response.status, retry_after, code: body.error?.code ?? "" } satisfies Told;
}

test("a class with too many waiting gets 429, others go on", async () => {
  const classes = ["--router-policy-class", "batch:0.5:3", "--router-policy-class", "chat:4"];
  await using cluster = await startCluster([...one, ...classes]);
  const batch = Array.from({ length: 24 }, (_, i) =>
    send(cluster, i, { "x-dynamo-meta-policy-class": "batch" }),
  );
  const chat = Array.from({ length: 6 }, (_, i) =>
    send(cluster, 100 + i, { "x-dynamo-meta-policy-class": "chat" }),
  );
  const told = await Promise.all(batch);
  const refused = told.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(24);
  for (const { status, retry_after } of refused) {
    expect(status).toBe(429);
    expect(Number(retry_after)).toBeGreaterThan(0);
  }
  expect((await Promise.all(chat)).map(({ status }) => status)).toEqual(Array(6).fill(200));
}, 60_000);

test("beyond the busy threshold of all workers: 529 and when to come again", async () => {
  await using cluster = await startCluster([...one, "--active-prefill-tokens-threshold", "500"]);
  const told = await Promise.all(Array.from({ length: 24 }, (_, i) => send(cluster, i, {})));
  const refused = told.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(24);
  for (const { status, retry_after } of refused) {
    expect(status).toBe(529);
    expect(Number(retry_after)).toBeGreaterThan(0);
  }
}, 60_000);
