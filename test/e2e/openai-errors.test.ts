/**
 * The HTTP surface with scripted answers: status codes, headers, drain, slow and gone clients.
 *
 * Long because one server with scripted answers serves all of it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import { exchange } from "../fault/wall/exchange.ts";
import {
  FakeAnswers,
  fakeModels,
  finish,
  playWords,
  wordPiece,
} from "../support/worlds/frontend-fakes.ts";
import { parseEvents, startDoor, type TestDoor } from "../support/worlds/frontend-server.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await startDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

const chat = { model: "toy", messages: [{ role: "user", content: "hi" }], max_tokens: 3 };

/** The model of this door has no parser of tool calls. */
const tool = { type: "function", function: { name: "f" } };

type ErrorBody = { error: { message: string; type: string; code: string; param: string | null } };
const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;

/** Waits for what another part of the process does soon. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await Bun.sleep(1);
}

test("errors have OpenAI's shape and a stable code", async () => {
  const cases: readonly (readonly [string, unknown, number, string, string | null])[] = [
    ["/v1/chat/completions", "{", 400, "invalid_json", null],
    ["/v1/chat/completions", [], 400, "invalid_type", null],
    ["/v1/chat/completions", { model: "toy" }, 400, "missing_required_parameter", "messages"],
    ["/v1/chat/completions", { ...chat, messages: [] }, 400, "invalid_value", "messages"],
    ["/v1/chat/completions", { ...chat, frob: 1 }, 400, "unknown_parameter", "frob"],
    ["/v1/chat/completions", { ...chat, audio: {} }, 400, "unsupported_parameter", "audio"],
    [
      "/v1/chat/completions",
      { ...chat, tools: [{}] },
      400,
      "missing_required_parameter",
      "tools[0].type",
    ],
    ["/v1/chat/completions", { ...chat, tools: [tool] }, 400, "not_supported", "tools"],
    ["/v1/chat/completions", { ...chat, model: "no" }, 404, "model_not_found", "model"],
    [
      "/v1/chat/completions",
      { ...chat, max_tokens: 1e6 },
      400,
      "context_length_exceeded",
      "messages",
    ],
    [
      "/v1/completions",
      { model: "toy", prompt: "a", suffix: "b" },
      400,
      "unsupported_parameter",
      "suffix",
    ],
    [
      "/v1/embeddings",
      { model: "toy", input: "a", truncate_prompt_tokens: 2 },
      400,
      "unsupported_parameter",
      "truncate_prompt_tokens",
    ],
    ["/v1/nothing", {}, 404, "unknown_url", null],
    ["/v1/models", {}, 405, "method_not_allowed", null],
  ];
  for (const [path, body, status, code, param] of cases) {
    const response = await door.post(path, body);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    const error = await errorOf(response);
    expect(error).toMatchObject({ code, param, type: "invalid_request_error" });
    expect(error.message.length).toBeGreaterThan(10);
  }
});

test("a number that no double holds is called that", async () => {
  const fields = ["temperature", "max_tokens", "n", "seed", "top_p", "logit_bias.5"];
  for (const field of fields) {
    for (const number of ["1e999", "-1e999"]) {
      const [name = "", key] = field.split(".");
      const value = key === undefined ? number : `{"${key}":${number}}`;
      const text = JSON.stringify({ ...chat, [name]: "HERE" }).replace('"HERE"', value);
      const response = await door.post("/v1/chat/completions", text);
      const error = await errorOf(response);
      expect([field, response.status, error.code]).toEqual([field, 400, "invalid_value"]);
      expect([error.param, error.message]).toEqual([field, expect.stringContaining("1.8e308")]);
    }
  }
});

test("null is absent, names and bounds are the field's own, whatever JSON spells", async () => {
  const missing = "missing_required_parameter";
  const cases: readonly (readonly [more: string, code: string, param: string, words: string])[] = [
    ['"model":null', missing, "model", "model"],
    ['"messages":null', missing, "messages", "messages"],
    ['"messages":[{"role":null,"content":"x"}]', missing, "messages[0].role", "role"],
    ['"messages":[null]', "invalid_type", "messages[0]", "null"],
    ['"logit_bias":{"__proto__":1}', "unknown_parameter", "logit_bias.__proto__", "__proto__"],
    [
      '"chat_template_kwargs":{"__proto__":"x"}',
      "unknown_parameter",
      "chat_template_kwargs.__proto__",
      "__proto__",
    ],
    ['"n":1e308', "invalid_value", "n", "at most 128"],
    ['"n":-1e308', "invalid_value", "n", "at least 1"],
    ['"user":1e999', "invalid_type", "user", "expected a string"],
    ['"stream":1e999', "invalid_type", "stream", "expected a boolean"],
    ['"messages":1e999', "invalid_type", "messages", "expected an array"],
    ...["messages", "add_generation_prompt", "bos_token", "tools"].map(
      (name) =>
        [
          `"chat_template_kwargs":{"${name}":"x"}`,
          "invalid_value",
          `chat_template_kwargs.${name}`,
          "cannot be set",
        ] as const,
    ),
    ['"reasoning_effort":"\\ud800"', "invalid_unicode", "reasoning_effort", "surrogate"],
    ['"user":"\\ud800"', "invalid_unicode", "user", "surrogate"],
  ];
  for (const [more, code, param, words] of cases) {
    const text = `${JSON.stringify(chat).slice(0, -1)},${more}}`;
    const response = await door.post("/v1/chat/completions", text);
    const error = await errorOf(response);
    expect([more, response.status, error.code, error.param]).toEqual([more, 400, code, param]);
    expect(error.message).toContain(words);
  }
  const prompt = await door.post("/v1/completions", { model: "toy", prompt: null });
  expect((await errorOf(prompt)).code).toBe(missing);
});

test("the official client reads answers, streams and errors", async () => {
  const client = new OpenAI({ baseURL: `${door.url}/v1`, apiKey: "none", maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "hi" }];
  const whole = await client.chat.completions.create({ model: "toy", messages, max_tokens: 2 });
  expect(whole.choices[0]?.message.content).toBe("w0 w1 ");
  const stream = await client.chat.completions.create({
    model: "toy",
    messages,
    max_tokens: 2,
    stream: true,
  });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  expect(text).toBe("w0 w1 ");
  const embeddings = await client.embeddings.create({ model: "toy", input: ["a", "b"] });
  expect(embeddings.data.map((item) => item.embedding)).toEqual([
    [1, 0, 0, 0],
    [1, 0, 0, 0],
  ]);
  const error = await client.chat.completions
    .create({ model: "nobody", messages })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OpenAI.NotFoundError);
  expect(error).toMatchObject({ code: "model_not_found", param: "model" });
});

test("a failure after the first token ends the official client's stream with its message", async () => {
  const answers = new FakeAnswers((live) => {
    live.sink.piece(wordPiece(live.request, 0, 0));
    live.sink.failed({ code: "worker_lost", status: 503, message: "the worker is lost" });
  });
  await using own = await startDoor({}, answers);
  const client = new OpenAI({ baseURL: `${own.url}/v1`, apiKey: "none", maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "hi" }];
  const stream = await client.chat.completions.create({ model: "toy", messages, stream: true });
  const read = async () => {
    for await (const chunk of stream) expect(chunk.choices[0]?.delta.content).toBe("w0 ");
  };
  await expect(read()).rejects.toThrow("the worker is lost");
});

test("a failure before the first token has its own status, streamed or not", async () => {
  const answers = new FakeAnswers((live) =>
    live.sink.failed({ code: "no_worker", status: 503, message: "nobody", retry_after_s: 5 }),
  );
  await using own = await startDoor({}, answers);
  for (const stream of [true, false]) {
    const response = await own.post("/v1/chat/completions", { ...chat, stream });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await errorOf(response)).toMatchObject({ code: "no_worker", type: "server_error" });
  }
});

test("X-Request-Id is echoed, and made when it is missing; ids of the body are the server's", async () => {
  const headers = { "X-Request-Id": "mine-1" };
  const echoed = await door.post("/v1/chat/completions", chat, { headers });
  expect(echoed.headers.get("x-request-id")).toBe("mine-1");
  expect(((await echoed.json()) as { id: string }).id).toStartWith("chatcmpl-");
  const own = await door.post("/v1/chat/completions", chat);
  const { id } = (await own.json()) as { id: string };
  expect(`chatcmpl-${own.headers.get("x-request-id")}`).toBe(id);
});

test("keys guard /v1 alone", async () => {
  await using own = await startDoor({ api_keys: ["k1", "k2"] });
  const answered = async (authorization?: string) => {
    const headers: Record<string, string> =
      authorization === undefined ? {} : { Authorization: authorization };
    const response = await fetch(`${own.url}/v1/models`, { headers });
    return [response.status, ((await response.json()) as Partial<ErrorBody>).error?.code];
  };
  expect(await answered()).toEqual([401, "invalid_api_key"]);
  expect(await answered("Bearer k3")).toEqual([401, "invalid_api_key"]);
  expect(await answered("Bearer k2")).toEqual([200, undefined]);
  for (const path of ["/health", "/live", "/metrics", "/openapi.json"]) {
    expect((await fetch(own.url + path)).status).toBe(200);
  }
});

test("CORS: preflight without a key, origins on answers", async () => {
  await using own = await startDoor({ api_keys: ["k"], cors_origins: ["https://a"] });
  const preflight = await fetch(`${own.url}/v1/chat/completions`, {
    method: "OPTIONS",
    headers: { Origin: "https://a", "Access-Control-Request-Headers": "authorization,x-mine" },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("https://a");
  expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization,x-mine");
  expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  const other = await fetch(`${own.url}/v1/models`, { headers: { Origin: "https://b" } });
  expect(other.headers.get("access-control-allow-origin")).toBeNull();
  expect([other.status, (await errorOf(other)).code]).toEqual([403, "origin_not_allowed"]);
  const refused = await fetch(`${own.url}/v1/chat/completions`, {
    method: "OPTIONS",
    headers: { Origin: "https://b", "Access-Control-Request-Method": "POST" },
  });
  expect(refused.status).toBe(204);
  expect(refused.headers.get("access-control-allow-methods")).toBeNull();
  expect(refused.headers.get("vary")).toBe("Origin");
});

test("an open server computes nothing for a page of another site", async () => {
  await using own = await startDoor();
  const ask = (headers: Record<string, string>) =>
    own.post("/v1/chat/completions", chat, { headers });
  // What a page may send without asking first, and what it may send when the answer was yes.
  for (const type of ["text/plain", "application/json"]) {
    const foreign = await ask({ Origin: "https://evil.example", "content-type": type });
    expect([foreign.status, (await errorOf(foreign)).code]).toEqual([403, "origin_not_allowed"]);
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
  }
  const form = await ask({ "content-type": "application/x-www-form-urlencoded" });
  expect([form.status, (await errorOf(form)).code]).toEqual([415, "unsupported_media_type"]);
  expect(own.answers.live.length).toBe(0);
  const near = await ask({ Origin: "http://localhost:3000" });
  expect(near.status).toBe(200);
  expect(near.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
});

test("HEAD has the headers of GET and no body, OPTIONS what a route takes", async () => {
  const gets = ["/v1/models", "/v1/models/toy", "/v1/models/none", "/health", "/live"];
  for (const path of [...gets, "/openapi.json", "/nothing"]) {
    const get = await fetch(door.url + path);
    const head = await fetch(door.url + path, { method: "HEAD" });
    expect([path, head.status, head.headers.get("content-length")]).toEqual([
      path,
      get.status,
      get.headers.get("content-length"),
    ]);
    expect(Number(head.headers.get("content-length"))).toBe((await get.arrayBuffer()).byteLength);
    expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
    expect(await head.text()).toBe("");
    if (path === "/nothing") continue;
    const options = await fetch(door.url + path, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  }
  const metrics = await fetch(`${door.url}/metrics`, { method: "HEAD" });
  expect(Number(metrics.headers.get("content-length"))).toBeGreaterThan(100);
  for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]) {
    const options = await fetch(door.url + path, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
  }
});

test("a body over the limit is a 413 in OpenAI's shape, announced or not", async () => {
  await using own = await startDoor({ body_bytes: 1000 });
  const announced = await own.post("/v1/chat/completions", "x".repeat(1001));
  expect([announced.status, (await errorOf(announced)).code]).toEqual([413, "request_too_large"]);
  const parts = (async function* () {
    for (let i = 0; i < 20; i += 1) yield new TextEncoder().encode("x".repeat(100));
  })();
  const chunked = await fetch(`${own.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: parts,
  });
  expect([chunked.status, (await errorOf(chunked)).code]).toEqual([413, "request_too_large"]);
  const fits = await own.post("/v1/chat/completions", "x".repeat(1000));
  expect((await errorOf(fits)).code).toBe("invalid_json");
});

test("a body that does not come in time is a 408", async () => {
  await using own = await startDoor({ body_ms: 50 });
  const socket = await rawRequest(
    own.port,
    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
      "Content-Length: 9\r\n\r\n{",
  );
  expect(await socket).toContain("408");
});

async function rawRequest(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(bytes),
        data: (socket, data) => {
          text += data.toString();
          if (text.includes("\r\n\r\n")) socket.end();
        },
        close: () => resolve(text),
        error: (_, error) => reject(error),
      },
    }).catch(reject);
  });
}

test("while no model is there: 503 and Retry-After, /health says starting", async () => {
  await using own = await startDoor({}, new FakeAnswers(), fakeModels([]));
  const response = await own.post("/v1/chat/completions", chat);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await errorOf(response)).code).toBe("model_not_ready");
  const health = await fetch(`${own.url}/health`);
  expect([health.status, await health.json()]).toEqual([503, { status: "starting", models: [] }]);
  expect((await fetch(`${own.url}/live`)).status).toBe(200);
});

test("a client that hangs up abandons its answer, streamed or not, before the first token or after", async () => {
  for (const stream of [true, false]) {
    for (const begun of [true, false]) {
      const answers = new FakeAnswers((live) => {
        if (begun) live.sink.piece(wordPiece(live.request, 0, 0));
      });
      await using own = await startDoor({}, answers);
      const abort = new AbortController();
      const body = { ...chat, stream };
      const asked = own.post("/v1/chat/completions", body, { signal: abort.signal }).then(
        (response) => response.text().catch(() => {}),
        () => {},
      );
      await until(() => answers.live.length === 1);
      await Bun.sleep(20);
      abort.abort();
      await asked;
      await until(() => answers.last.commands.length > 0);
      expect(answers.last.commands.map((command) => command.kind)).toEqual(["abandon"]);
      const text = await (await fetch(`${own.url}/metrics`)).text();
      expect(text).toContain('dynamo_frontend_disconnected_clients{model="toy"} 1');
      expect(text).toContain('dynamo_frontend_inflight_requests{model="toy"} 0');
    }
  }
});

test("a client that does not read stops the answer, and gets all of it when it reads", async () => {
  // The machine's socket buffers may take tens of megabytes before the door feels anything.
  const filler = "x".repeat(10_000);
  const limit = 20_000;
  let total = limit;
  let made = 0;
  const answers = new FakeAnswers((live) => {
    let waiting = false;
    const step = () => {
      if (waiting && live.commands.some((command) => command.kind === "drained")) {
        live.commands.length = 0;
        waiting = false;
      }
      for (let i = 0; i < 10 && made < total && !waiting; i += 1) {
        made += 1;
        const piece = {
          kind: "content" as const,
          choice: 0,
          text: filler,
          tokens: [made],
          delivered: made,
        };
        waiting = !live.sink.piece(piece);
      }
      if (made < total || waiting) return setImmediate(step);
      return finish(live, total);
    };
    step();
  });
  await using own = await startDoor({}, answers, fakeModels([{ context_length: 100_000 }]));
  const ids: string[] = [];
  let last = "";
  const body = JSON.stringify({ ...chat, max_tokens: limit, stream: true });
  const client = exchange(
    own.url,
    { method: "POST", path: "/v1/chat/completions", body },
    ({ id, data }) => {
      // The first event has come: from here on nothing is read until the answer stands still.
      if (ids.length === 0) client.pause();
      ids.push(id);
      last = data;
    },
  );
  for (let before = -1; made > before; await Bun.sleep(100)) before = made;
  expect(made).toBeLessThan(limit);
  total = made + 100;
  client.resume();
  expect(await client.ended).toMatchObject({ kind: "whole", status: 200 });
  expect(ids.length).toBe(total + 2);
  expect(ids.at(-3)).toEndWith(`:${total}`);
  expect(last).toBe("[DONE]");
});

test("drain: /health 503, /live 200, new requests 503, live streams go on to their end", async () => {
  let release = () => {};
  const answers = new FakeAnswers((live) => {
    live.sink.piece(wordPiece(live.request, 0, 0));
    release = () => finish(live, 1);
  });
  await using own = await startDoor({}, answers);
  const stream = await own.post("/v1/chat/completions", { ...chat, stream: true });
  const drained = own.system.ask(
    own.actor,
    { kind: "drain", budget_ms: 5000, nobody_follows: false },
    { deadline_ms: 10_000 },
  );
  await until(() => own.system.snapshot("/frontend")?.["health"] === "draining");
  const health = await fetch(`${own.url}/health`);
  expect([health.status, ((await health.json()) as { status: string }).status]).toEqual([
    503,
    "draining",
  ]);
  expect((await fetch(`${own.url}/live`)).status).toBe(200);
  const refused = await own.post("/v1/chat/completions", chat);
  expect([refused.status, (await errorOf(refused)).code]).toEqual([503, "draining"]);
  release();
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  expect(parseEvents(await stream.text()).at(-1)?.data).toBe("[DONE]");
});

test("drain: what is live when the budget is over ends with an error, not in silence", async () => {
  const answers = new FakeAnswers((live) => {
    live.sink.piece(wordPiece(live.request, 0, 0));
  });
  await using own = await startDoor({}, answers);
  const stream = await own.post("/v1/chat/completions", { ...chat, stream: true });
  const message = { kind: "drain" as const, budget_ms: 20, nobody_follows: false };
  const drained = await own.system.ask(own.actor, message, { deadline_ms: 5000 });
  expect(drained).toEqual({ kind: "drained", finished: 0, unfinished: 1 });
  const last = parseEvents(await stream.text()).at(-1);
  expect(JSON.parse(last?.data ?? "")).toMatchObject({ error: { code: "draining" } });
  // Left, not abandoned: its worker keeps it for whoever takes it up.
  expect(answers.last.commands.map((command) => command.kind)).toEqual(["leave"]);
});

test("/metrics counts by endpoint, type, status and error", async () => {
  await using own = await startDoor({}, new FakeAnswers(playWords));
  await (await own.post("/v1/chat/completions", { ...chat, stream: true })).text();
  await (await own.post("/v1/chat/completions", chat)).text();
  await (await own.post("/v1/completions", { model: "no", prompt: "a" })).text();
  const text = await (await fetch(`${own.url}/metrics`)).text();
  const line = (endpoint: string, error: string, model: string, type: string, status: string) =>
    `dynamo_frontend_requests_total{endpoint="${endpoint}",error_type="${error}",model="${model}",` +
    `request_type="${type}",status="${status}"} 1`;
  expect(text).toContain(line("chat_completions", "", "toy", "stream", "success"));
  expect(text).toContain(line("chat_completions", "", "toy", "unary", "success"));
  // A name that is not served is no label: clients cannot invent series.
  expect(text).toContain(line("completions", "not_found", "", "unary", "error"));
  expect(text).toContain('dynamo_frontend_output_tokens_total{model="toy"} 6');
  expect(text).toContain('dynamo_frontend_time_to_first_token_seconds_count{model="toy"} 2');
  expect(text).toContain('dynamo_frontend_inter_token_latency_seconds_count{model="toy"} 4');
});

test("a door that closes still lets the last events of an answer out", async () => {
  const answers = new FakeAnswers((live) => {
    live.sink.piece(wordPiece(live.request, 0, 0));
  });
  const own = await startDoor({}, answers);
  const stream = await own.post("/v1/chat/completions", { ...chat, stream: true });
  const closed = own[Symbol.asyncDispose]();
  const last = parseEvents(await stream.text()).at(-1);
  expect(JSON.parse(last?.data ?? "")).toMatchObject({ error: { code: "draining" } });
  await closed;
});
