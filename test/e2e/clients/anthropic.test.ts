/**
 * `/v1/messages` with the official `@anthropic-ai/sdk` against real clusters. The echo engine says
 * its prompt again, so a message that spells thinking and a call makes them come out of it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import type {
  Message,
  MessageCreateParamsNonStreaming,
} from "@anthropic-ai/sdk/resources/messages";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { foldedMessage, messageEvents } from "../../support/message-events.ts";

const KEY = "sk-ant-of-a-test";
const CONTEXT = 32_768;

let cluster: Cluster;
let client: Anthropic;
let model: string;

beforeAll(async () => {
  const args = ["--engine", "echo", "--frontends", "2", "--api-key", KEY];
  cluster = await startCluster([...args, "--context-length", String(CONTEXT)]);
  client = new Anthropic({ baseURL: cluster.url, apiKey: KEY, maxRetries: 0 });
  model = (await client.models.list()).data[0]?.id ?? "";
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const input_schema = {
  type: "object" as const,
  properties: { city: { type: "string" as const } },
};
const weather = { name: "weather", description: "The weather of a city.", input_schema };
const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>';

/** More tokens than the prompt has, so that the echo ends by itself. */
const request = (): MessageCreateParamsNonStreaming => ({
  ...{ model, max_tokens: 1_000, tools: [weather] },
  messages: [{ role: "user", content: `<think>It is about Bern.</think>I look. ${CALL}` }],
});

const typesOf = ({ content }: Message) => content.map(({ type }) => type);

/** Without names that differ from answer to answer. */
const plain = ({ content, id: _, ...rest }: Message) => ({
  ...rest,
  content: content.map((block) => ({ ...block, id: "", signature: "" })),
});

test("models are listed and found in their form", async () => {
  const { data, has_more } = await client.models.list({ limit: 5 });
  expect(has_more).toBe(false);
  expect(data).toEqual([await client.models.retrieve(model)]);
  expect(data[0]).toMatchObject({ type: "model", display_name: model, max_input_tokens: CONTEXT });
});

test("a message with thinking, text and a call; its result goes back", async () => {
  const first = await client.messages.create(request());
  expect(typesOf(first)).toEqual(["text", "thinking", "text", "tool_use", "text"]);
  expect(first.stop_reason).toBe("tool_use");
  expect(first._request_id).toHaveLength(22);
  const [, thinking, , use] = first.content;
  expect(thinking).toMatchObject({ type: "thinking", thinking: "It is about Bern." });
  if (use?.type !== "tool_use") throw new Error("there is no call");
  expect(use).toMatchObject({ name: "weather", input: { city: "Bern" } });
  const next = await client.messages.create({
    ...request(),
    messages: [
      { role: "user", content: "What is the weather in Bern?" },
      { role: "assistant", content: first.content },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: use.id, content: "It rains frogs.", is_error: false },
          { type: "text", text: "Is that so?" },
        ],
      },
    ],
  });
  const texts = next.content.flatMap((block) => (block.type === "text" ? [block.text] : []));
  expect(texts.join("")).toContain("It rains frogs.");
  expect(texts.join("")).toContain("Is that so?");
});

test("streamed it is the same message, and the helper tells its parts", async () => {
  const whole = await client.messages.create(request());
  const stream = client.messages.stream(request());
  const heard: string[] = [];
  stream.on("thinking", (delta) => heard.push(delta));
  stream.on("contentBlock", ({ type }) => heard.push(type));
  const { parsed_output: _, ...final } = await stream.finalMessage();
  const usage = { ...final.usage, cache_read_input_tokens: 0, input_tokens: 0 };
  const same = { ...whole.usage, cache_read_input_tokens: 0, input_tokens: 0 };
  expect(plain({ ...final, usage })).toEqual(plain({ ...whole, usage: same }));
  expect(heard.filter((word) => word === "tool_use")).toHaveLength(1);
  expect(heard.join("")).toContain("It is about Bern.");
});

test("tokens are counted as the answer counts them", async () => {
  const { max_tokens: _, ...counted } = request();
  const system = [{ type: "text" as const, text: "Be brief.", cache_control: null }];
  const { input_tokens } = await client.messages.countTokens({ ...counted, system });
  const { usage } = await client.messages.create({ ...request(), system });
  expect(input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
});

test("stop sequences, limits and the beginning of an answer", async () => {
  const ask = (content: string, more: object = {}) =>
    client.messages.create({
      model,
      max_tokens: 500,
      messages: [{ role: "user", content }],
      ...more,
    });
  const stopped = await ask("one two END three", { stop_sequences: ["END"] });
  expect([stopped.stop_reason, stopped.stop_sequence]).toEqual(["stop_sequence", "END"]);
  expect((await ask("one two three four", { max_tokens: 3 })).stop_reason).toBe("max_tokens");
  const messages = [
    { role: "user", content: "Count." },
    { role: "assistant", content: "One, two," },
  ];
  // The echo ends where its prompt does: with what the answer begins with.
  const { content } = await ask("", { messages });
  expect(content.at(-1)).toMatchObject({ text: expect.stringMatching(/One, two,$/) });
});

test("errors are of the package's classes", async () => {
  const ask = (more: object, by = client) => by.messages.create({ ...request(), ...more });
  const image = { type: "base64" as const, media_type: "image/png" as const, data: "AA==" };
  const picture = [{ role: "user" as const, content: [{ type: "image" as const, source: image }] }];
  const errorOf = (asked: Promise<unknown>) =>
    asked.then(
      () => undefined,
      (error: unknown) => error,
    );
  const refused = await errorOf(ask({ messages: picture }));
  expect(refused).toBeInstanceOf(Anthropic.BadRequestError);
  expect(refused).toMatchObject({
    ...{ status: 400, type: "invalid_request_error", errorCode: "not_supported" },
    details: { param: "messages[0].content[0]" },
    requestID: expect.stringMatching(/^.{22}$/),
  });
  const missing = await errorOf(ask({ model: "none" }));
  expect(missing).toBeInstanceOf(Anthropic.NotFoundError);
  const stranger = new Anthropic({ baseURL: cluster.url, apiKey: "wrong", maxRetries: 0 });
  expect(await errorOf(ask({}, stranger))).toBeInstanceOf(Anthropic.AuthenticationError);
  expect(await errorOf(stranger.models.list())).toBeInstanceOf(Anthropic.AuthenticationError);
  const bearer = new Anthropic({
    baseURL: cluster.url,
    apiKey: null,
    authToken: KEY,
    maxRetries: 0,
  });
  expect((await ask({ max_tokens: 1 }, bearer)).type).toBe("message");
  const long = [{ role: "user" as const, content: "word ".repeat(CONTEXT) }];
  const full = await errorOf(ask({ messages: long }));
  expect(full).toMatchObject({ status: 400, errorCode: "context_length_exceeded" });
  expect(String(full)).toContain(String(CONTEXT));
});

test("the package's tool runner calls the function and sends its result", async () => {
  const asked: unknown[] = [];
  const run = (input: unknown) => {
    asked.push(input);
    return "It rains.";
  };
  const { name, description, input_schema: inputSchema } = weather;
  const tool = betaTool({ name, description, inputSchema, run });
  const runner = client.beta.messages.toolRunner({
    ...{ model, max_tokens: 1_000, max_iterations: 2, tools: [tool] },
    messages: [{ role: "user", content: CALL }],
  });
  await runner.runUntilDone();
  expect(asked[0]).toEqual({ city: "Bern" });
});

/** As coding agents ask: a long system prompt, many tools with large schemas, betas. */
function agentRequest(system_words: number) {
  const ephemeral = { type: "ephemeral" };
  const properties = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [
      `field_${i}`,
      { type: "string", description: "What the field means, and when it is given. ".repeat(3) },
    ]),
  );
  return {
    model,
    max_tokens: 32_000,
    stream: true,
    system: [
      { type: "text", text: "x-billing-header: none" },
      {
        type: "text",
        text: "You are careful. ".repeat(system_words / 3),
        cache_control: ephemeral,
      },
    ],
    messages: [
      { role: "user", content: [{ type: "text", text: "Fix it.", cache_control: ephemeral }] },
    ],
    tools: Array.from({ length: 20 }, (_, i) => ({
      ...{ name: `tool_${i}`, description: "Does one thing. ".repeat(10) },
      input_schema: { type: "object", properties, additionalProperties: false },
    })),
    metadata: { user_id: "user_x_account__session_y" },
    thinking: { type: "adaptive" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    output_config: { effort: "high" },
  };
}

const headers = {
  ...{ "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": KEY },
  "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
};

test("a coding agent's request is answered, and its stream resumed at another frontend", async () => {
  const body = JSON.stringify(agentRequest(3_000));
  const url = `${cluster.url}/v1/messages?beta=true`;
  const init = { method: "POST", body, headers: { ...headers, "x-resumable": "true" } };
  const response = await fetch(url, init);
  const text = await response.text();
  expect([response.status, text.slice(0, 200)]).toEqual([200, expect.any(String)]);
  const events = messageEvents(text);
  const message = await foldedMessage(events);
  expect(message.stop_reason).toBe("model_context_window_exceeded");
  const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
  expect(input_tokens + (cache_read_input_tokens ?? 0)).toBeGreaterThan(15_000);
  expect(input_tokens + (cache_read_input_tokens ?? 0) + output_tokens).toBe(CONTEXT);
  const last_but = events.at(-4)!;
  const [request_id = ""] = last_but.id.split(":");
  const rest = await fetch(`${cluster.url}/v1/streams/${request_id}`, {
    headers: { ...headers, "last-event-id": last_but.id },
  });
  expect(messageEvents(await rest.text())).toEqual(events.slice(-3));
  const none = await fetch(`${cluster.url}/v1/streams/none`, { headers });
  expect(await none.json()).toMatchObject({ error: { type: "not_found_error" } });
}, 30_000);

test("what agents ask beside messages", async () => {
  const url = `${cluster.url}/v1/messages`;
  const options = await fetch(url, { method: "OPTIONS", headers });
  expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
  const head = await fetch(url, { method: "HEAD", headers });
  expect([head.status, await head.text()]).toEqual([405, ""]);
  const { stream: _, max_tokens: __, ...counted } = agentRequest(300);
  const { metadata: ___, ...body } = counted;
  const count = await fetch(`${url}/count_tokens?beta=true`, {
    ...{ method: "POST", headers, body: JSON.stringify(body) },
  });
  expect(((await count.json()) as { input_tokens: number }).input_tokens).toBeGreaterThan(1_000);
});
