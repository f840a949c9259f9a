/** `GET /v1/streams/REQUEST` over HTTP: each event of a stream is a place to go on from. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Cluster, startCluster, until } from "../support/cluster.ts";
import { parseEvents, type SseEvent } from "../support/worlds/frontend-server.ts";

const keys = ["key-of-anna", "key-of-berta"] as const;
let cluster: Cluster;

beforeAll(async () => {
  const args = ["--engine", "mocker", "--speedup-ratio", "4", "--workers", "2", "--frontends", "2"];
  cluster = await startCluster([...args, "--api-key", keys[0], "--api-key", keys[1]]);
}, 60_000);
afterAll(async () => cluster[Symbol.asyncDispose]());

const asAnna = { Authorization: `Bearer ${keys[0]}` };

function post(path: string, body: object, headers: Record<string, string> = {}) {
  return fetch(cluster.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...asAnna, ...headers },
    body: JSON.stringify({ model: "troupe-tiny", stream: true, ...body }),
  });
}

function resume(id: string, last_id?: string, headers: Record<string, string> = asAnna) {
  return fetch(`${cluster.url}/v1/streams/${id}`, {
    headers: last_id === undefined ? headers : { ...headers, "Last-Event-ID": last_id },
  });
}

const requestOf = (id: string): string => id.split(":")[0] ?? "";

const cases: readonly (readonly [string, string, object])[] = [
  [
    "chat, two choices, log probabilities, usage",
    "/v1/chat/completions",
    {
      ...{ messages: [{ role: "user", content: "Tell me a story." }], n: 2, max_tokens: 12 },
      ...{ logprobs: true, top_logprobs: 2, stream_options: { include_usage: true } },
    },
  ],
  [
    "two prompts with echo and log probabilities of none, a stop string",
    "/v1/completions",
    { prompt: ["One prompt", "and another"], echo: true, max_tokens: 20, stop: ["e", "qq"] },
  ],
  [
    "equal answers of two prompts",
    "/v1/completions",
    { prompt: ["One", "another"], n: 3, temperature: 0, max_tokens: 5, echo: true },
  ],
  ["offsets of log probabilities", "/v1/completions", { prompt: "x", logprobs: 1, max_tokens: 9 }],
  [
    "a stop string that is kept",
    "/v1/completions",
    {
      ...{ prompt: "y", stop: ["a"], include_stop_str_in_output: true, max_tokens: 30, n: 2 },
    },
  ],
];

test.each(cases)(
  "every place is one to go on from: %s",
  async (_, path, body) => {
    const whole = parseEvents(await (await post(path, body)).text());
    expect(whole.at(-1)?.data).toBe("[DONE]");
    const id = requestOf(whole[0]!.id);
    expect(byChoice(parseEvents(await (await resume(id)).text()))).toEqual(byChoice(whole));
    for (const [at, { id: last_id }] of whole.slice(0, -1).entries()) {
      const response = await resume(id, last_id);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
      // Choices may take turns in another way, but each choice goes on with its next event.
      const rest = parseEvents(await response.text());
      expect(byChoice(rest)).toEqual(byChoice(whole.slice(at + 1)));
    }
    // Behind [DONE] there is nothing more, and an EventSource must not come again.
    const nothing = await resume(id, whole.at(-1)?.id);
    expect([nothing.status, await nothing.text()]).toEqual([204, ""]);
  },
  60_000,
);

/** What came for each choice in order; and what is for none. */
function byChoice(events: readonly SseEvent[]): Record<string, string[]> {
  const lists: Record<string, string[]> = {};
  for (const { data } of events) {
    const chunk =
      data === "[DONE]" ? undefined : (JSON.parse(data) as { choices: { index: number }[] });
    const list = String(chunk?.choices[0]?.index ?? "all");
    lists[list] = [...(lists[list] ?? []), data];
  }
  return lists;
}

/** Reads `count` events and hangs up. */
async function hangUpAfter(response: Response, count: number): Promise<SseEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body!) {
    text += decoder.decode(bytes, { stream: true });
    if (text.split("\n\n").length > count) break;
  }
  return parseEvents(`${text.split("\n\n").slice(0, count).join("\n\n")}\n\n`).at(-1)!;
}

const long = { prompt: "Go on and on", max_tokens: 400, ignore_eos: true, seed: 1 };

async function sumOf(metric: string): Promise<number> {
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(metric));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Answers at the workers, and streams at the doors. */
const inflight = () => sumOf("dynamo_component_inflight_requests");
const streaming = () => sumOf("dynamo_frontend_inflight_requests");

test("a client that hangs up is gone for good, unless it said that it may come back", async () => {
  const gone = await hangUpAfter(await post("/v1/completions", long), 3);
  await until("its engine to stop", 2_000, async () => (await inflight()) === 0);
  expect((await resume(requestOf(gone.id), gone.id)).status).toBe(404);

  const kept = await post("/v1/completions", long, { "X-Resumable": "true" });
  const last = await hangUpAfter(kept, 3);
  await until("the door to see it", 2_000, async () => (await streaming()) === 0);
  expect(await inflight()).toBe(1);
  const rest = parseEvents(await (await resume(requestOf(last.id), last.id)).text());
  const whole = parseEvents(await (await resume(requestOf(last.id))).text());
  expect(rest).toEqual(whole.slice(3));
  expect(JSON.parse(whole.at(-2)!.data)).toMatchObject({ choices: [{ finish_reason: "length" }] });
}, 30_000);

test("a client that comes back may hang up again and again; one that says no more is gone", async () => {
  const again = { ...asAnna, "X-Resumable": "false" };
  const longer = { ...long, max_tokens: 2_000 };
  for (const end of ["read", "end"] as const) {
    const kept = await post("/v1/completions", longer, { "X-Resumable": "true" });
    let last = await hangUpAfter(kept, 3);
    for (let times = 1; times < 3; times++) {
      last = await hangUpAfter(await resume(requestOf(last.id), last.id), 3);
      await until("the door to notice", 2_000, async () => (await streaming()) === 0);
      expect(await inflight()).toBe(1);
    }
    if (end === "read") {
      const rest = parseEvents(await (await resume(requestOf(last.id), last.id)).text());
      const whole = parseEvents(await (await resume(requestOf(last.id))).text());
      expect(rest).toEqual(whole.slice(9));
    } else {
      await hangUpAfter(await resume(requestOf(last.id), last.id, again), 3);
      await until("its engine to stop", 2_000, async () => (await inflight()) === 0);
      expect((await resume(requestOf(last.id), last.id)).status).toBe(404);
    }
  }
}, 30_000);

test("a stream whose client never said that it may come back ends with its last reader", async () => {
  const kept = await post("/v1/completions", { ...long, max_tokens: 2_000 });
  const reader = kept.body!.getReader();
  const id = new TextDecoder().decode((await reader.read()).value).slice("id: ".length);
  const second = await resume(requestOf(id));
  const seen = second.body!.getReader();
  await seen.read();
  await reader.cancel();
  await until("one to be left", 2_000, async () => (await streaming()) === 1);
  expect(await inflight()).toBe(1);
  await seen.cancel();
  await until("its engine to stop", 2_000, async () => (await inflight()) === 0);
}, 30_000);

test("twice at once, both get all of it", async () => {
  const first = await post("/v1/completions", long, { "X-Resumable": "true" });
  const decoder = new TextDecoder();
  let others: Promise<string[]> | undefined;
  let text = "";
  for await (const bytes of first.body!) {
    text += decoder.decode(bytes, { stream: true });
    if (others !== undefined || !text.includes("\n\n")) continue;
    const id = text.slice("id: ".length, text.indexOf(":", 4));
    const read = async () => (await resume(id)).text();
    others = Promise.all([read(), read()]);
  }
  expect(parseEvents(text)).toHaveLength(402);
  expect(await others).toEqual([text, text]);
}, 30_000);

test("another key, an unknown id and an odd place are told apart from a stream", async () => {
  const [{ id = "" } = {}] = parseEvents(
    await (await post("/v1/completions", { prompt: "x", max_tokens: 3 })).text(),
  );
  const codeOf = async (response: Response) => {
    const { error } = (await response.json()) as { error: { code: string } };
    return `${response.status} ${error.code}`;
  };
  const request = requestOf(id);
  const asBerta = { Authorization: `Bearer ${keys[1]}` };
  expect(await codeOf(await resume(request, id, asBerta))).toBe("404 stream_not_found");
  expect(await codeOf(await resume(request, id, {}))).toBe("401 invalid_api_key");
  expect(await codeOf(await resume("nosuchrequest"))).toBe("404 stream_not_found");
  expect(await codeOf(await resume("no%2Fsuch"))).toBe("404 stream_not_found");
  for (const odd of ["x", `other:1`, `${request}:1.2`, `${request}:-1`, `${request}:9x`]) {
    expect(await codeOf(await resume(request, odd))).toBe("400 invalid_header");
  }
  expect((await resume(request, id)).status).toBe(200);
  const posted = await fetch(`${cluster.url}/v1/streams/${request}`, {
    method: "POST",
    headers: asAnna,
  });
  expect(await codeOf(posted)).toBe("405 method_not_allowed");
  // To look is to read.
  const head = { method: "HEAD", headers: asAnna };
  expect((await fetch(`${cluster.url}/v1/streams/${request}`, head)).status).toBe(405);
});

test("keys of requests belong to the API key too, and a bad one is refused", async () => {
  const body = { prompt: "x", max_tokens: 30, stream: false };
  const send = async (key: string, by: string) => {
    const headers = { "Idempotency-Key": key, Authorization: `Bearer ${by}` };
    return post("/v1/completions", body, headers);
  };
  const anna = await (await send("same", keys[0])).text();
  expect(await (await send("same", keys[0])).text()).toBe(anna);
  expect(await (await send("same", keys[1])).text()).not.toBe(anna);
  expect((await send("a blank", keys[0])).status).toBe(400);
  const streamed = async () => {
    const headers = { "Idempotency-Key": "streamed" };
    return (await post("/v1/completions", { prompt: "x", max_tokens: 9 }, headers)).text();
  };
  expect(await streamed()).toBe(await streamed());
}, 30_000);
