/** Frontends die or stop under live answers: who comes back gets the rest, and nothing twice. */
import { expect, test } from "bun:test";
import OpenAI from "openai";
import { alive, type Cluster, pidsOf, startCluster, until } from "../support/cluster.ts";
import { resumingFetch } from "../support/resuming-fetch.ts";
import { underWay } from "../support/under-way.ts";
import { runClient } from "./wall/client.ts";
import { sumOfMetric } from "./wall/scenario.ts";

const mocker = ["--engine", "mocker", "--speedup-ratio", "1"];

const requestOf = (seed: number, max_tokens: number) => ({
  ...{ model: "troupe-tiny", prompt: `Answer number ${seed}`, seed, max_tokens },
  ...{ ignore_eos: true, stream: true },
});

function clients(cluster: Cluster, count: number, max_tokens: number, resumes = true) {
  return Promise.all(
    Array.from({ length: count }, (_, seed) =>
      runClient({
        ...{ url: () => cluster.url, body: requestOf(seed, max_tokens), choices: 1 },
        ...{ resumes, retries: true, deadline_ms: 60_000 },
      }),
    ),
  );
}

async function kill(cluster: Cluster, role: string): Promise<void> {
  const [pid = 0] = await pidsOf(cluster, role);
  process.kill(pid, "SIGKILL");
}

async function expectSame(
  got: ReturnType<typeof clients>,
  undisturbed: Awaited<ReturnType<typeof clients>>,
): Promise<number> {
  const outcomes = await got;
  for (const [i, { state, why, ledger }] of outcomes.entries()) {
    expect({ state, why }).toEqual({ state: "complete", why: "" });
    expect(ledger.choices[0]).toEqual(undisturbed[i]!.ledger.choices[0]!);
    expect({ twice: ledger.duplicated, skipped: ledger.skipped }).toEqual({ twice: 0, skipped: 0 });
  }
  return outcomes.reduce((sum, { resumed }) => sum + resumed, 0);
}

async function expectNothingLeft(cluster: Cluster): Promise<void> {
  const orphans = await fetch(`${cluster.inspector}/api/orphans`);
  expect(await orphans.json()).toMatchObject({ orphans: 0 });
}

test("streams go on, byte for byte, when one of two frontends is killed", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2", "--frontends", "2"]);
  const undisturbed = await clients(cluster, 30, 100);
  const { done: disturbed } = await underWay(cluster, 30, () => clients(cluster, 30, 100));
  await kill(cluster, "frontend");
  expect(await expectSame(disturbed, undisturbed)).toBeGreaterThan(0);
  await expectNothingLeft(cluster);
}, 90_000);

test("a worker dies after the frontend did: resumed streams move as any other", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2", "--frontends", "2"]);
  const undisturbed = await clients(cluster, 16, 400);
  const { done: disturbed } = await underWay(cluster, 16, () => clients(cluster, 16, 400));
  await kill(cluster, "frontend");
  // One answer is not hit twice within its re-home window of a second.
  await Bun.sleep(1_000);
  await kill(cluster, "worker");
  expect(await expectSame(disturbed, undisturbed)).toBeGreaterThan(0);
  await expectNothingLeft(cluster);
}, 90_000);

test("SIGTERM to the only frontend: short streams end, long ones are told where to go on", async () => {
  const args = [...mocker, "--workers", "2", "--drain-timeout", "1"];
  await using cluster = await startCluster(args);
  const undisturbed = await clients(cluster, 8, 500);
  const both = await underWay(cluster, 12, async () => ({
    short: clients(cluster, 4, 30),
    long: clients(cluster, 8, 500, false),
  }));
  const { short, long } = await both.done;
  const [pid = 0] = await pidsOf(cluster, "frontend");
  process.kill(pid, "SIGTERM");
  await until("the door to drain", 2_000, async () => (await status(cluster, "/health")) === 503);
  expect(await status(cluster, "/live")).toBe(200);
  const refused = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(requestOf(1, 5)),
  });
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await refused.json()).toMatchObject({ error: { code: "draining" } });
  expect((await short).every(({ state, resumed }) => state === "complete" && resumed === 0)).toBe(
    true,
  );
  const told = await long;
  for (const { state, why } of told) {
    expect(state).toBe("failed");
    expect(why).toBe("moved");
  }
  await until("the drained frontend to be gone", 5_000, () => !alive(pid));
  // As the error said: behind the last event, at whoever serves now.
  await until("another frontend", 10_000, async () => (await status(cluster, "/health")) === 200);
  for (const [i, { ledger }] of told.entries()) {
    const [request = ""] = ledger.last_id.split(":");
    const rest = await fetch(`${cluster.url}/v1/streams/${request}`, {
      headers: { "Last-Event-ID": ledger.last_id },
    });
    const text = ledger.choices[0]!.text + textIn(await rest.text());
    expect(text).toBe(undisturbed[i]!.ledger.choices[0]!.text);
  }
  await expectNothingLeft(cluster);
}, 90_000);

async function status(cluster: Cluster, path: string): Promise<number> {
  const response = await fetch(cluster.url + path, { keepalive: false }).catch(() => undefined);
  await response?.text();
  return response?.status ?? 0;
}

function textIn(events: string): string {
  let text = "";
  for (const [, data = ""] of events.matchAll(/^data: (\{.*)$/gm)) {
    text += (JSON.parse(data) as { choices: { text: string }[] }).choices[0]?.text ?? "";
  }
  return text;
}

test("openai's own client, with a fetch that resumes, does not notice that its frontend died", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2", "--frontends", "2"]);
  let resumed = 0;
  const client = new OpenAI({
    ...{ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 },
    fetch: resumingFetch({ onResume: () => resumed++ }),
  });
  const ask = async (onDelta: (count: number) => void) => {
    const stream = await client.chat.completions.create({
      ...{ model: "troupe-tiny", seed: 3, max_tokens: 120, stream: true },
      messages: [{ role: "user", content: "Tell me a long story." }],
      stream_options: { include_usage: true },
      ...({ ignore_eos: true } as object),
    } as OpenAI.ChatCompletionCreateParamsStreaming);
    let text = "";
    let count = 0;
    let tokens = 0;
    const roles: string[] = [];
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta;
      text += delta?.content ?? "";
      if (delta?.role !== undefined) roles.push(delta.role);
      tokens = chunk.usage?.completion_tokens ?? tokens;
      onDelta(++count);
    }
    return { text, tokens, roles };
  };
  const undisturbed = await ask(() => {});
  expect(undisturbed).toMatchObject({ tokens: 120, roles: ["assistant"] });
  const old = await pidsOf(cluster, "frontend");
  const disturbed = await ask((count) => {
    if (count === 40) for (const pid of old) process.kill(pid, "SIGKILL");
  });
  expect(disturbed).toEqual(undisturbed);
  expect(resumed).toBeGreaterThan(0);
}, 60_000);

test("a keyed request is made once, also when the frontend dies under it", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2", "--frontends", "2"]);
  const body = { ...requestOf(1, 120), stream: false, seed: undefined };
  const send = (key: string, changes: object = {}) =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ ...body, ...changes }),
    });
  const again = async (key: string): Promise<string> => {
    for (let tries = 0; tries < 100; tries++) {
      const response = await send(key).catch(() => undefined);
      if (response?.status === 200) return response.text();
      await Bun.sleep(50);
    }
    throw new Error("it was never answered");
  };
  // At once, at both doors: one answer, which without a seed would differ each time.
  const [first, ...others] = await Promise.all(Array.from({ length: 6 }, () => again("one")));
  for (const other of others) expect(other).toBe(first!);
  expect(await again("one")).toBe(first!);
  expect(await again("two")).not.toBe(first!);
  const other = await send("one", { max_tokens: 5 });
  expect(other.status).toBe(422);
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_reused" } });
  const before = await taken(cluster);
  const broken = send("three").catch(() => "broken");
  await until("it to be in work", 5_000, async () => (await taken(cluster)) === before + 1);
  for (const pid of await pidsOf(cluster, "frontend")) process.kill(pid, "SIGKILL");
  expect(await broken).toBe("broken");
  const text = await again("three");
  expect(JSON.parse(text)).toMatchObject({ usage: { completion_tokens: 120 } });
  expect(await again("three")).toBe(text);
  expect(await taken(cluster)).toBe(before + 1);
  await expectNothingLeft(cluster);
}, 60_000);

/** Generations that workers have taken so far. */
const taken = (cluster: Cluster) => sumOfMetric(cluster, /^dynamo_component_requests_total\b/);
