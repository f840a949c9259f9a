/** Routes that generate nothing, over a real socket: tokens, readiness, the page of all routes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { openApiDocument } from "../../../actors/frontend/api/openapi.ts";
import { fakeModels, fakeRecord } from "../../support/worlds/frontend-fakes.ts";
import { startDoor, type TestDoor } from "../../support/worlds/frontend-server.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await startDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

type Tokens = {
  readonly count: number;
  readonly max_model_len: number;
  readonly tokens: readonly number[];
  readonly token_strs: readonly string[] | null;
};
type ErrorBody = { readonly error: { readonly code: string; readonly param: string | null } };

const json = async <T>(response: Promise<Response>): Promise<T> =>
  (await response).json() as Promise<T>;
const errorOf = async (answer: Promise<Response>) => {
  const response = await answer;
  const { error } = (await response.json()) as ErrorBody;
  return [response.status, error.code, error.param];
};
const tokenize = (body: object) => door.post("/tokenize", body);

test("text becomes tokens and their texts, and tokens become text", async () => {
  expect(await json(tokenize({ model: "toy", prompt: "hé" }))).toEqual({
    ...{ count: 4, max_model_len: 1000, tokens: [256, 104, 195, 169], token_strs: null },
  });
  const plain = { prompt: "hé", add_special_tokens: false, return_token_strs: true };
  expect(await json(tokenize(plain))).toEqual({
    ...{ count: 3, max_model_len: 1000, tokens: [104, 195, 169], token_strs: ["h", "�", "�"] },
  });
  expect(await json(tokenize({ prompt: "", add_special_tokens: false }))).toMatchObject({
    ...{ count: 0, tokens: [] },
  });
  const back = door.post("/detokenize", { model: "toy", tokens: [256, 104, 195, 169] });
  expect(await json(back)).toEqual({ prompt: "<bos>hé" });
  expect(await json(door.post("/detokenize", { tokens: [104, 195] }))).toEqual({ prompt: "h�" });
  expect(await json(door.post("/detokenize", { tokens: [] }))).toEqual({ prompt: "" });
});

test("what a client without the tokenizer has to know of it", async () => {
  expect(await json(fetch(`${door.url}/tokenizer_info`))).toMatchObject({
    ...{ bos_token: "<bos>", eos_token: "<eos>", pad_token: null, model_max_length: 1000 },
    chat_template: "{{ messages }}",
  });
});

test("the tokens of a conversation are those that a chat answer begins with", async () => {
  const messages = [
    { role: "system", content: "Be kind." },
    { role: "user", content: [{ type: "text", text: "Who are you?" }] },
  ];
  for (const more of [{}, { add_generation_prompt: false }]) {
    const { tokens, count } = await json<Tokens>(tokenize({ model: "toy", messages, ...more }));
    const chat = { model: "toy", messages, max_tokens: 1, ...more };
    const { usage } = await json<{ usage: { prompt_tokens: number } }>(
      door.post("/v1/chat/completions", chat),
    );
    expect([...door.answers.last.request.prompt]).toEqual([...tokens]);
    expect([count, usage.prompt_tokens]).toEqual([tokens.length, tokens.length]);
  }
});

test("a text beyond the context is counted, slowly for itself alone, up to a limit", async () => {
  const text = "word ".repeat(60_000);
  const counting = json<Tokens>(tokenize({ prompt: text, return_token_strs: true }));
  const whole = await counting;
  expect([whole.count, whole.max_model_len]).toEqual([300_001, 1000]);
  expect(whole.tokens.length).toBe(300_001);
  expect(whole.token_strs!.slice(1).join("")).toBe(text);
  const { prompt } = await json<{ prompt: string }>(
    door.post("/detokenize", { tokens: whole.tokens.slice(1) }),
  );
  expect(prompt).toBe(text);
  const most = { prompt: "x".repeat(1_048_577) };
  expect(await errorOf(tokenize(most))).toEqual([400, "text_unbroken", "prompt"]);
  const euros = { prompt: "€".repeat(400_000) };
  expect(await errorOf(tokenize(euros))).toEqual([400, "invalid_value", "prompt"]);
});

test("what is wrong is named", async () => {
  const messages = [{ role: "user", content: "hi" }];
  const cases: readonly (readonly [object, number, string, string | null])[] = [
    [{}, 400, "missing_required_parameter", "prompt"],
    [{ prompt: "a", messages }, 400, "invalid_value", "prompt"],
    [{ prompt: 5 }, 400, "invalid_type", "prompt"],
    [{ prompt: "a", model: "no" }, 404, "model_not_found", "model"],
    [{ prompt: "a", add_generation_prompt: true }, 400, "invalid_value", "add_generation_prompt"],
    [{ prompt: "a", frob: 1 }, 400, "unknown_parameter", "frob"],
    [{ prompt: "\ud800" }, 400, "invalid_unicode", "prompt"],
    [{ messages: [] }, 400, "invalid_value", "messages"],
    [{ messages: [{ role: "user" }] }, 400, "missing_required_parameter", "messages[0].content"],
    [{ messages, add_special_tokens: true }, 400, "invalid_value", "add_special_tokens"],
    [{ messages, chat_template: "x" }, 400, "unsupported_parameter", "chat_template"],
    [
      { messages, continue_final_message: true },
      400,
      "unsupported_parameter",
      "continue_final_message",
    ],
    [
      { messages, chat_template_kwargs: { bos_token: "" } },
      ...([400, "invalid_value", "chat_template_kwargs.bos_token"] as const),
    ],
  ];
  for (const [body, ...expected] of cases) {
    expect([body, ...(await errorOf(tokenize(body)))]).toEqual([body, ...expected]);
  }
  const ids = (tokens: unknown) => errorOf(door.post("/detokenize", { tokens }));
  expect(await ids(undefined)).toEqual([400, "missing_required_parameter", "tokens"]);
  expect(await ids("abc")).toEqual([400, "invalid_value", "tokens"]);
  expect(await ids([1, -1])).toEqual([400, "invalid_value", "tokens"]);
  expect(await ids([1, 258])).toEqual([400, "invalid_value", "tokens[1]"]);
  expect(await ids(new Array(1_048_577).fill(1))).toEqual([400, "invalid_value", "tokens"]);
  expect((await fetch(`${door.url}/tokenize`)).headers.get("allow")).toBe("POST, OPTIONS");
});

test("with several models a request names one", async () => {
  const models = fakeModels([{ name: "one" }, { name: "two" }]);
  await using two = await startDoor({}, undefined, models);
  expect(await errorOf(two.post("/tokenize", { prompt: "a" }))).toEqual([
    ...[400, "missing_required_parameter", "model"],
  ]);
  expect((await two.post("/tokenize", { model: "two", prompt: "a" })).status).toBe(200);
});

test("a model is ready while a worker serves it, whatever its id looks like", async () => {
  const models = fakeModels([{ name: "org/toy" }]);
  models.workerJoined(fakeRecord({ name: "odd/ready" }, "w9"));
  models.workerJoined(fakeRecord({ name: "late", tokenizer_blob: "missing" }, "w8"));
  await using other = await startDoor({ namespace: "blue" }, undefined, models);
  const ready = async (id: string) => {
    const response = await fetch(`${other.url}/v1/models/${id}/ready`);
    return [response.status, await response.json()];
  };
  const here = { worker_types: { aggregated: { workers: 1, needs: [] } } };
  const there = { present: ["aggregated"], missing_worker_types: [] };
  for (const id of ["org/toy", "org%2Ftoy"]) {
    expect(await ready(id)).toEqual([
      200,
      { model: "org/toy", ready: true, namespaces: { blue: { ready: true, ...here, ...there } } },
    ]);
  }
  expect(await ready("odd")).toMatchObject([200, { id: "odd/ready", object: "model" }]);
  expect(await ready("odd/ready")).toMatchObject([200, { model: "odd/ready", ready: true }]);
  expect(await ready("nobody")).toMatchObject([404, { error: { code: "model_not_found" } }]);
  const reason = expect.any(String);
  expect(await ready("late")).toMatchObject([503, { model: "late", ready: false, reason }]);
  models.workerLeft("w0");
  expect(await ready("org/toy")).toMatchObject([
    503,
    {
      ...{ ready: false, reason },
      namespaces: { blue: { worker_types: {}, missing_worker_types: ["aggregated"] } },
    },
  ]);
});

test("keys and pages of elsewhere: by the route, not by its path", async () => {
  await using locked = await startDoor({
    api_keys: ["secret"],
    cors_origins: ["https://app.example"],
  });
  const key = { authorization: "Bearer secret" };
  const tokens = (headers: Record<string, string>) =>
    locked.post("/tokenize", { prompt: "a" }, { headers });
  expect((await tokens({})).status).toBe(401);
  expect((await tokens(key)).status).toBe(200);
  expect((await tokens({ ...key, origin: "https://evil.example" })).status).toBe(403);
  const allowed = await tokens({ ...key, origin: "https://app.example" });
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example");
  const status = async (path: string, init?: RequestInit) =>
    (await fetch(locked.url + path, init)).status;
  expect(await status("/v1/models/toy/ready")).toBe(401);
  expect(await status("/v1/models/toy/ready", { headers: key })).toBe(200);
  for (const path of ["/", "/docs", "/openapi.json", "/health", "/live", "/metrics"]) {
    expect([path, await status(path)]).toEqual([path, 200]);
  }
  expect(await status("/tokenize", { method: "OPTIONS" })).toBe(204);
});

test("while it drains no text is tokenized; what says how it is still answers", async () => {
  const draining = await startDoor();
  draining.answers.play = () => {};
  const asked = { model: "toy", prompt: "a", stream: true };
  const stop = new AbortController();
  const open = draining.post("/v1/completions", asked, { signal: stop.signal }).catch(() => {});
  while (draining.answers.live.length === 0) await Bun.sleep(1);
  const gone = draining.system.ask(
    draining.actor,
    { kind: "drain", budget_ms: 5_000, nobody_follows: true },
    { deadline_ms: 10_000 },
  );
  while ((await fetch(`${draining.url}/health`)).status !== 503) await Bun.sleep(1);
  expect(await errorOf(draining.post("/tokenize", { prompt: "a" }))).toEqual([
    503,
    "draining",
    null,
  ]);
  expect((await fetch(`${draining.url}/v1/models/toy/ready`)).status).toBe(200);
  stop.abort();
  await Promise.all([open, gone]);
  await draining[Symbol.asyncDispose]();
});

test("/docs shows every route and every field, and takes nothing from elsewhere", async () => {
  const response = await fetch(`${door.url}/docs`);
  const page = await response.text();
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(page).not.toMatch(/<script|\ssrc=|@import|url\(|https?:/);
  const document = await json<ReturnType<typeof openApiDocument>>(
    fetch(`${door.url}/openapi.json`),
  );
  expect(Object.keys(document.paths)).toContain("/docs");
  for (const [path, operations] of Object.entries(document.paths)) {
    expect(page).toContain(`<code>${path.replaceAll("/", "/<wbr>")}</code>`);
    for (const method of Object.keys(operations)) {
      const id = `${method}${path}`.replace(/[^a-z0-9]+/g, "-");
      expect(page.split(`id="${id}"`)).toHaveLength(2);
      expect(page).toContain(`href="#${id}"`);
    }
  }
  for (const schema of Object.values(document.components.schemas)) {
    const { properties, "x-refused": refused = {} } = schema as {
      properties: object;
      "x-refused"?: object;
    };
    if (!("x-refused" in schema)) continue;
    for (const name of [...Object.keys(properties), ...Object.keys(refused)]) {
      expect(page).toContain(`<code>${name}</code>`);
    }
  }
  const head = await fetch(`${door.url}/docs`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("routes that were put elsewhere are there, and openapi.json and /docs say so", async () => {
  const paths = { "/v1/chat/completions": "/chat", "/v1/models": "/list", "/health": "/up" };
  await using moved = await startDoor({ paths, api_keys: ["secret"] });
  const headers = { authorization: "Bearer secret" };
  const chat = { model: "toy", messages: [{ role: "user", content: "hi" }], max_tokens: 1 };
  expect((await moved.post("/chat", chat, { headers })).status).toBe(200);
  // A key is needed wherever a route is.
  expect((await moved.post("/chat", chat)).status).toBe(401);
  expect((await moved.post("/v1/chat/completions", chat, { headers })).status).toBe(404);
  const get = async (path: string) => (await fetch(moved.url + path, { headers })).status;
  const there = ["/list", "/list/toy", "/list/toy/ready", "/up"];
  const gone = ["/v1/models", "/v1/models/toy", "/health"];
  expect(await Promise.all(there.map(get))).toEqual([200, 200, 200, 200]);
  expect(await Promise.all(gone.map(get))).toEqual([404, 404, 404]);
  expect((await fetch(`${moved.url}/list`)).status).toBe(401);
  expect((await fetch(`${moved.url}/up`)).status).toBe(200);
  const nobody = await fetch(`${moved.url}/list/nobody`, { headers });
  expect(await nobody.text()).toContain("/list lists what is served");
  const { paths: said } = await json<{ paths: object }>(fetch(`${moved.url}/openapi.json`));
  expect(Object.keys(said)).toEqual(
    expect.arrayContaining(["/chat", "/list/{id}", "/list/{id}/ready", "/up"]),
  );
  expect(await (await fetch(`${moved.url}/docs`)).text()).toContain("/<wbr>list/<wbr>{id}");
});

test("busy thresholds: a wrong one is named, and a door without a router says so", async () => {
  const set = (change: object) =>
    errorOf(door.post("/busy_threshold", { model: "toy", ...change }));
  const blocks = "active_decode_blocks_threshold";
  const tokens = "active_prefill_tokens_threshold";
  expect(await set({ [blocks]: 1.5 })).toEqual([400, "invalid_value", blocks]);
  expect(await set({ [tokens]: -1 })).toEqual([400, "invalid_value", tokens]);
  expect(await set({ [tokens]: "many" })).toEqual([400, "invalid_type", tokens]);
  expect(await set({ threshold: 1 })).toEqual([400, "unknown_parameter", "threshold"]);
  expect(await set({ model: "no" })).toEqual([404, "model_not_found", "model"]);
  expect(await set({ [blocks]: 0.5 })).toEqual([503, "router_away", null]);
  expect((await fetch(`${door.url}/busy_threshold`)).status).toBe(503);
  const put = await fetch(`${door.url}/busy_threshold`, { method: "PUT" });
  expect(put.headers.get("allow")).toBe("GET, HEAD, POST, OPTIONS");
});
