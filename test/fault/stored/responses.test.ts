/** Stored responses under real kills: who asks again gets what is missing, and nothing twice. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import type {
  Response as OpenAiResponse,
  ResponseStreamEvent,
} from "openai/resources/responses/responses";
import { type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { resumingFetch } from "../../support/resuming-fetch.ts";
import { underWay } from "../../support/under-way.ts";

const mocker = ["--engine", "mocker", "--speedup-ratio", "1", "--workers", "2"];
const model = "troupe-tiny";
const clientOf = ({ url }: Pick<Cluster, "url">) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 5 });
/** Beside OpenAI's fields: the answer has just as many tokens. */
const long = (tokens: number) => ({
  ...{ model, input: "Tell me all.", max_output_tokens: tokens, seed: 7 },
  ...({ ignore_eos: true } as object),
});

async function killFrontend(cluster: Cluster): Promise<void> {
  const [pid = 0] = await pidsOf(cluster, "frontend");
  process.kill(pid, "SIGKILL");
}

async function ended(client: OpenAI, id: string): Promise<OpenAiResponse> {
  let last: OpenAiResponse | undefined;
  await until("the response's end", 30_000, async () => {
    last = await client.responses.retrieve(id).catch(() => undefined);
    return last !== undefined && !["queued", "in_progress"].includes(last.status ?? "");
  });
  return last!;
}

/** All events until the stream ends or breaks. */
async function read(
  stream: AsyncIterable<ResponseStreamEvent>,
  events: ResponseStreamEvent[],
  whenSome: () => void,
): Promise<void> {
  try {
    for await (const event of stream) {
      events.push(event);
      if (events.length === 20) whenSome();
    }
  } catch {
    // The connection is gone with its frontend.
  }
}

const textOf = (events: readonly ResponseStreamEvent[]): string =>
  events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");

function expectWhole(events: readonly ResponseStreamEvent[], stored: OpenAiResponse): void {
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
  expect(stored.status).toBe("incomplete");
  expect(textOf(events)).toBe(stored.output_text);
  const last = events.at(-1);
  expect(last?.type).toBe("response.incomplete");
  expect(last?.type === "response.incomplete" && last.response.output).toEqual(stored.output);
}

/** The rest behind the last event that the client has, as often as it takes. */
async function catchUp(client: OpenAI, id: string, events: ResponseStreamEvent[]): Promise<void> {
  await until("all events", 30_000, async () => {
    const starting_after = events.at(-1)?.sequence_number ?? 0;
    const rest = await client.responses
      .retrieve(id, { stream: true, starting_after })
      .catch(() => undefined);
    if (rest !== undefined) await read(rest, events, () => {});
    return events.at(-1)?.type === "response.incomplete";
  });
}

let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  cluster = await startCluster(mocker);
  client = clientOf(cluster);
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

async function broken(more: object, breakIt: (abort: () => void) => Promise<void> | void) {
  const events: ResponseStreamEvent[] = [];
  const abort = new AbortController();
  const stream = await client.responses.create(
    { ...long(300), ...more, stream: true },
    { signal: abort.signal, headers: { "X-Resumable": "true" } },
  );
  await read(stream, events, () => void breakIt(() => abort.abort()));
  const [first] = events;
  if (first?.type !== "response.created") throw new Error("the stream did not begin");
  expect(events.at(-1)?.type).not.toBe("response.incomplete");
  return { events, id: first.response.id };
}

test("a connection that breaks: the rest comes by starting_after", async () => {
  const { events, id } = await broken({}, (abort) => abort());
  await catchUp(client, id, events);
  expectWhole(events, await ended(client, id));
}, 60_000);

test("the frontend is killed: another life of it streams the rest, and stores the whole", async () => {
  const { events, id } = await broken({ background: true }, () => killFrontend(cluster));
  await catchUp(client, id, events);
  const stored = await ended(client, id);
  expectWhole(events, stored);
  const replayed: ResponseStreamEvent[] = [];
  await read(await client.responses.retrieve(id, { stream: true }), replayed, () => {});
  expect(textOf(replayed)).toBe(stored.output_text);
  expect(replayed.length).toBe(events.length);
  const next = client.responses.create({ ...long(5), previous_response_id: id });
  expect((await next).usage?.input_tokens).toBeGreaterThan(300);
}, 60_000);

test("the frontend is killed: who has the end by the event's id finds it stored", async () => {
  const resumes: string[] = [];
  const fetch = resumingFetch({
    isEnd: (event) => event.includes("event: response.incomplete"),
    onResume: (id) => resumes.push(id),
  });
  const resuming = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", fetch });
  const events: ResponseStreamEvent[] = [];
  const stream = await resuming.responses.create(
    { ...long(300), stream: true },
    { headers: { "X-Resumable": "true" } },
  );
  await read(stream, events, () => void killFrontend(cluster));
  const last = events.at(-1);
  expect(last?.type).toBe("response.incomplete");
  expect(resumes.length).toBeGreaterThan(0);
  const [first] = events;
  const id = first?.type === "response.created" ? first.response.id : "";
  expectWhole(events, await client.responses.retrieve(id));
}, 60_000);

test("in the background: the frontend is killed, and nobody but the poller asks", async () => {
  const { done } = await underWay(cluster, 1, () =>
    client.responses.create({ ...long(500), background: true }),
  );
  const { id } = await done;
  await killFrontend(cluster);
  const stored = await ended(client, id);
  expect(stored.status).toBe("incomplete");
  expect(stored.usage?.output_tokens).toBe(500);
}, 60_000);

test("a background response is cancelled; its worker stops", async () => {
  const { done } = await underWay(cluster, 1, () =>
    client.responses.create({ ...long(1_500), background: true }),
  );
  const { id } = await done;
  expect((await client.responses.cancel(id)).status).toBe("cancelled");
  expect((await client.responses.retrieve(id)).status).toBe("cancelled");
  expect((await client.responses.cancel(id)).status).toBe("cancelled");
  await until("no live request", 10_000, async () => {
    const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
    const lines = text
      .split("\n")
      .filter((line) => /^dynamo_frontend_inflight_requests/.test(line));
    return lines.length > 0 && lines.every((line) => line.endsWith(" 0"));
  });
}, 60_000);

test("everything is killed: the whole is there, the rest is made anew or has failed", async () => {
  const data = mkdtempSync(join(tmpdir(), "troupe-data-"));
  try {
    const args = [...mocker, "--data-dir", data];
    const first = await startCluster(args);
    const before = clientOf(first);
    const whole = await before.responses.create(long(5));
    const { done } = await underWay(first, 1, () =>
      before.responses.create({ ...long(300), background: true }),
    );
    const { id } = await done;
    // Of a stream its client may have read a part.
    const shown = await before.responses.create({ ...long(300), background: true, stream: true });
    const seen: ResponseStreamEvent[] = [];
    const some = Promise.withResolvers<void>();
    const reading = read(shown, seen, some.resolve);
    await some.promise;
    first.kill("SIGKILL");
    await first.exited;
    await using second = await startCluster(args);
    const after = clientOf(second);
    expect((await after.responses.retrieve(whole.id)).output).toEqual(whole.output);
    await reading;
    const again = await ended(after, id);
    expect([again.status, again.usage?.output_tokens]).toEqual(["incomplete", 300]);
    const begun = seen.find((event) => event.type === "response.created");
    const failed = await ended(after, begun?.response.id ?? "");
    expect(failed.status).toBe("failed");
    expect(failed.error).toMatchObject({ code: "server_error" });
    const events: ResponseStreamEvent[] = [];
    await read(await after.responses.retrieve(failed.id, { stream: true }), events, () => {});
    expect(events.at(-1)?.type).toBe("response.failed");
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}, 90_000);

test("a background response whose frontend and workers die together is made anew", async () => {
  const cluster = await startCluster(mocker);
  try {
    const client = clientOf(cluster);
    const asked = await client.responses.create({ ...long(300), background: true });
    const pids = [...(await pidsOf(cluster, "worker")), ...(await pidsOf(cluster, "frontend"))];
    for (const pid of pids) process.kill(pid, "SIGKILL");
    const last = await ended(client, asked.id);
    expect(last.status).toBe("incomplete");
    expect(last.usage?.output_tokens).toBe(300);
    expect(last.id).toBe(asked.id);
    // The same as one that nothing happened to: the client gave a seed.
    const plain = await client.responses.create(long(300));
    expect(last.output_text).toBe(plain.output_text);
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}, 90_000);
