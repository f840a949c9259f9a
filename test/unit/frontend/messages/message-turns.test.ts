/** Messages of Anthropic's form → turns; what is refused, and by which name. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../../actors/frontend/api/api-error.ts";
import { checkShape } from "../../../../actors/frontend/api/check-body.ts";
import { readMessages } from "../../../../actors/frontend/api/messages/message-turns.ts";
import { countShape } from "../../../../actors/frontend/api/messages/messages-fields.ts";
import {
  type Conversation,
  templateMessages,
  textTurns,
} from "../../../../actors/frontend/prompt/turns.ts";
import { parsedDoor } from "../../../support/worlds/parsed-door.ts";

type Given = { readonly role: string; readonly content: unknown };

const read = (messages: readonly Given[], more: object = {}) =>
  readMessages(checkShape({ model: "toy", messages, ...more }, countShape));
const turnsOf = (messages: readonly Given[], more: object = {}) =>
  turnsIn(read(messages, more).conversation);
function turnsIn(conversation: Conversation) {
  return templateMessages(textTurns("toy", conversation.turns), conversation);
}

const user = (content: unknown): Given => ({ role: "user", content });
const assistant = (content: unknown): Given => ({ role: "assistant", content });
const text = (value: string) => ({
  type: "text",
  text: value,
  cache_control: { type: "ephemeral" },
});
const use = (id: string, input: object = {}) => ({ type: "tool_use", id, name: "weather", input });
const result = (tool_use_id: string, more: object) => ({
  type: "tool_result",
  tool_use_id,
  ...more,
});

test("texts, system and neighbours of one role", () => {
  const system = [text("Be"), text("brief")];
  expect(
    turnsOf([user("a"), user([text("b"), text("c")]), assistant("d"), user("e")], { system }),
  ).toEqual([
    { role: "system", content: "Be\nbrief" },
    { role: "user", content: "a\nb\nc" },
    { role: "assistant", content: "d" },
    { role: "user", content: "e" },
  ]);
  expect(turnsOf([user("a")], { system: "" })).toEqual([{ role: "user", content: "a" }]);
  expect(turnsOf([{ role: "system", content: "s" }, user("a")])[0]).toEqual({
    ...{ role: "system", content: "s" },
  });
});

test("thinking, calls and results, which are turns in their place", () => {
  const thinking = { type: "thinking", thinking: "hm", signature: "whatever" };
  const redacted = { type: "redacted_thinking", data: "x" };
  const calls = [use("c1", { city: "Bern" }), use("c2")];
  const turns = turnsOf([
    user("?"),
    assistant([thinking, redacted, text("I look."), ...calls]),
    user([
      result("c1", { content: "rain" }),
      result("c2", { content: [text("no"), text("such")], is_error: true }),
      text("Well?"),
    ]),
  ]);
  const call = (id: string, given: string) => ({
    ...{ id, type: "function", function: { name: "weather", arguments: given } },
  });
  expect(turns.slice(1)).toEqual([
    {
      ...{ role: "assistant", content: "I look.", reasoning_content: "hm" },
      tool_calls: [call("c1", '{"city":"Bern"}'), call("c2", "{}")],
    },
    { role: "tool", content: "rain", name: "weather", tool_call_id: "c1" },
    { role: "tool", content: "Error: no\nsuch", name: "weather", tool_call_id: "c2" },
    { role: "user", content: "Well?" },
  ]);
  const failed = (content: string) =>
    turnsOf([
      user("?"),
      assistant([use("c1")]),
      user([result("c1", { content, is_error: true })]),
    ]).at(-1)?.content;
  expect(failed("Error: twice")).toBe("Error: twice");
  expect(failed("<tool_use_error>x")).toBe("<tool_use_error>x");
  expect(failed("")).toBe("Error: ");
});

test("the assistant's last message is the beginning of the answer", () => {
  expect(read([user("a"), assistant("The answer is (")]).continues).toBe(true);
  expect(read([user("a"), assistant("b"), user("c")]).continues).toBe(false);
});

const IMAGE = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA" } };
const DOCUMENT = {
  type: "document",
  source: { type: "text", data: "x", media_type: "text/plain" },
};

const refusals: readonly (readonly [string, readonly Given[], string, string])[] = [
  ["a picture", [user([text("a"), IMAGE])], "not_supported", "messages[0].content[1]"],
  ["a document", [user([DOCUMENT])], "not_supported", "messages[0].content[0]"],
  ["a sound", [user([{ type: "audio" }])], "not_supported", "messages[0].content[0]"],
  [
    "a picture in a result",
    [user("a"), assistant([use("c")]), user([result("c", { content: [text("x"), IMAGE] })])],
    ...(["not_supported", "messages[2].content[0].content[1]"] as const),
  ],
  [
    "a tool of the server",
    [user("a"), assistant([{ type: "server_tool_use", id: "s", name: "web_search", input: {} }])],
    ...(["not_supported", "messages[1].content[0]"] as const),
  ],
  ["a call of the user", [user([use("c")])], "not_supported", "messages[0].content[0]"],
  [
    "an unfinished block",
    [user([{ type: "text" }])],
    "missing_required_parameter",
    "messages[0].content[0].text",
  ],
  [
    "a block without type",
    [user([{ text: "a" }])],
    "missing_required_parameter",
    "messages[0].content[0].type",
  ],
  ["a role", [{ role: "tool", content: "x" }], "invalid_value", "messages[0].role"],
  [
    "a result without its call",
    [user([result("c", { content: "x" })])],
    ...(["invalid_value", "messages[0].content[0].tool_use_id"] as const),
  ],
  [
    "a call twice",
    [user("a"), assistant([use("c"), use("c")]), user("b")],
    ...(["invalid_value", "messages[1].content[1].id"] as const),
  ],
  ["calls at the end", [user("a"), assistant([use("c")])], "invalid_value", "messages[1].content"],
  ["nothing to go on with", [user("a"), assistant("")], "invalid_value", "messages[1].content"],
  ["a blank end", [user("a"), assistant("b ")], "invalid_value", "messages[1].content"],
  ["no content", [{ role: "user", content: 7 }], "invalid_type", "messages[0].content"],
];

for (const [what, messages, code, param] of refusals) {
  test(`refused by name: ${what}`, () => {
    let refused: unknown;
    try {
      turnsOf(messages);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 400, code, param });
  });
}

const plain = { model: "toy", max_tokens: 5, messages: [user("a")] };
const custom = { name: "weather", input_schema: { type: "object" } };

const bodies: readonly (readonly [string, object, string, string])[] = [
  ["no max_tokens", { max_tokens: undefined }, "missing_required_parameter", "max_tokens"],
  [
    "a tool of Anthropic",
    { tools: [{ type: "web_search_20250305", name: "web_search" }] },
    "not_supported",
    "tools[0].type",
  ],
  [
    "a toolset without a name",
    { tools: [{ type: "mcp_toolset" }] },
    "not_supported",
    "tools[0].type",
  ],
  [
    "a tool without schema",
    { tools: [{ name: "a" }] },
    "missing_required_parameter",
    "tools[0].input_schema",
  ],
  ["a tool's name", { tools: [{ ...custom, name: "a b" }] }, "invalid_value", "tools[0].name"],
  ["a name twice", { tools: [custom, custom] }, "invalid_value", "tools[1].name"],
  [
    "another choice",
    { tools: [custom], tool_choice: { type: "all" } },
    "invalid_type",
    "tool_choice.type",
  ],
  ["another thinking", { thinking: { type: "deep" } }, "invalid_type", "thinking.type"],
  [
    "a form that is none",
    { output_config: { format: { type: "yaml" } } },
    "invalid_value",
    "output_config.format.type",
  ],
  [
    "a choice without its tool",
    { tools: [custom], tool_choice: { type: "tool", name: "x" } },
    "invalid_value",
    "tool_choice.name",
  ],
  ["a choice without tools", { tool_choice: { type: "any" } }, "invalid_value", "tool_choice"],
  ["a container", { container: "c" }, "unsupported_parameter", "container"],
  ["other servers", { mcp_servers: [{ url: "x" }] }, "unsupported_parameter", "mcp_servers"],
  ["an unknown field", { topp: 1 }, "unknown_parameter", "topp"],
];

for (const [what, more, code, param] of bodies) {
  test(`refused by name: ${what}`, async () => {
    const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
    const response = await door.ask("POST", "/v1/messages", { ...plain, ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      type: "error",
      error: {
        ...{ type: "invalid_request_error", message: expect.any(String) },
        details: { error_code: code, param },
      },
      request_id: response.headers.get("request-id"),
    });
  });
}

test("threads are refused so that clients go on without", async () => {
  const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
  const asked = { ...plain, thread: { type: "create" } };
  expect(await (await door.ask("POST", "/v1/messages", asked)).json()).toMatchObject({
    error: { details: { error_code: "thread_unsupported_request", unsupported: ["thread"] } },
  });
});

test("what clients send beside it is taken", async () => {
  const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
  const more = {
    ...{ metadata: { user_id: "u" }, service_tier: "auto", cache_control: { type: "ephemeral" } },
    ...{
      context_management: { edits: [] },
      mcp_servers: [],
      container: null,
      thinking: { type: "adaptive" },
    },
    ...{
      output_config: { effort: "max" },
      stop_sequences: ["", "END"],
      top_k: 5,
      inference_geo: "eu",
    },
    tools: [
      { ...custom, type: "custom", cache_control: { type: "ephemeral" }, input_examples: [{}] },
    ],
    tool_choice: { type: "auto", disable_parallel_tool_use: true },
  };
  const headers = { "anthropic-version": "2023-06-01", "anthropic-beta": "a,b" };
  const response = await door.ask("POST", "/v1/messages?beta=true", { ...plain, ...more }, headers);
  expect(response.status).toBe(200);
  expect(door.answers.last.request).toMatchObject({ stop_strings: ["END"], max_tokens: 5 });
});

test("tokens are counted as an answer counts them, also beyond the context", async () => {
  const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
  const { max_tokens: _, ...counted } = { ...plain, system: "Be brief", tools: [custom] };
  const count = async (body: object) =>
    (await (await door.ask("POST", "/v1/messages/count_tokens", body)).json()) as object;
  await door.ask("POST", "/v1/messages", { ...counted, max_tokens: 5 });
  expect(await count(counted)).toEqual({ input_tokens: door.answers.last.request.prompt.length });
  const long = { ...counted, messages: [user("word ".repeat(30_000))] };
  expect(await count(long)).toEqual({ input_tokens: expect.any(Number) });
  expect(await count({ ...counted, messages: [] })).toMatchObject({ type: "error" });
});

test("requests that ask no worker are counted too", async () => {
  const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
  const { max_tokens: _, ...counted } = plain;
  await door.ask("POST", "/v1/messages/count_tokens", counted);
  await door.ask("POST", "/tokenize", { model: "toy" });
  await door.ask("POST", "/detokenize", { model: "none", tokens: [] });
  const metrics = await (await door.ask("GET", "/metrics")).text();
  const ended = [...metrics.matchAll(/^dynamo_frontend_requests_total\{(.*)\} 1$/gm)];
  const labels = ended.map(([, text = ""]) =>
    ["model", "endpoint", "error_type"].map((name) => text.split(`${name}="`)[1]?.split('"')[0]),
  );
  expect(labels.sort()).toEqual([
    ["", "detokenize", "not_found"],
    ["toy", "count_tokens", ""],
    ["toy", "tokenize", "validation"],
  ]);
});

test("errors have Anthropic's form wherever a client of it asks", async () => {
  const door = parsedDoor({ tool: "hermes", reasoning: "qwen3" });
  const version = { "anthropic-version": "2023-06-01" };
  const form = async (method: string, path: string, headers: object = {}, body?: object) => {
    const response = await door.ask(method, path, body, headers);
    const { error, request_id } = (await response.json()) as {
      error: { type: string };
      request_id?: string;
    };
    expect(request_id).toBe(response.headers.get("request-id") ?? undefined);
    return [response.status, error.type];
  };
  expect(await form("POST", "/v1/messages", {}, { ...plain, model: "none" })).toEqual([
    ...[404, "not_found_error"],
  ]);
  expect(await form("GET", "/v1/messages")).toEqual([405, "invalid_request_error"]);
  expect(await form("POST", "/v1/messages/batches")).toEqual([404, "not_found_error"]);
  expect(await form("GET", "/v1/streams/x")).toEqual([404, "invalid_request_error"]);
  const odd = { ...version, "content-type": "text/plain" };
  expect(await form("POST", "/v1/messages", odd, plain)).toEqual([415, "invalid_request_error"]);
  expect(await form("GET", "/v1/streams/x", version)).toEqual([404, "not_found_error"]);
  expect(await form("GET", "/v1/nothing", version)).toEqual([404, "not_found_error"]);
});
