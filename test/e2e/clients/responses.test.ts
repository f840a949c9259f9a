/**
 * `/v1/responses` and `/v1/conversations` with the official `openai` package against a real
 * cluster. The engine echoes its prompt, so that an answer shows what the model was given.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import type {
  Response as OpenAiResponse,
  ResponseInputItem,
  ResponseStreamEvent,
} from "openai/resources/responses/responses";
import { type Cluster, startCluster } from "../../support/cluster.ts";

let cluster: Cluster;
let client: OpenAI;
let model: string;
const KEYS = ["--api-key", "mine", "--api-key", "other"];

beforeAll(async () => {
  cluster = await startCluster(["--engine", "echo", "--frontends", "2", ...KEYS]);
  client = clientOf("mine");
  model = (await client.models.list()).data[0]?.id ?? "";
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const clientOf = (apiKey: string) =>
  new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey, maxRetries: 0 });

const weather = {
  type: "function" as const,
  name: "weather",
  description: "The weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: false,
};
const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>';

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "no error",
    (error: unknown) => {
      if (error instanceof OpenAI.APIError) return [error.status, error.code, error.param];
      return error;
    },
  );

test("a text becomes a response, which can be read until it is deleted", async () => {
  const response = await client.responses.create({
    model,
    input: "One two three.",
    instructions: "Be brief.",
    metadata: { topic: "numbers" },
    max_output_tokens: 500,
  });
  expect(response.status).toBe("completed");
  expect(response.output_text).toContain("One two three.");
  expect(response.output_text).toContain("Be brief.");
  expect(response).toMatchObject({ object: "response", metadata: { topic: "numbers" }, model });
  expect(response.usage?.total_tokens).toBe(
    (response.usage?.input_tokens ?? 0) + (response.usage?.output_tokens ?? 0),
  );
  const again = await client.responses.retrieve(response.id);
  expect(again.output).toEqual(response.output);
  expect(again.instructions).toBe("Be brief.");
  expect(await codeOf(clientOf("other").responses.retrieve(response.id))).toContain(404);
  await client.responses.delete(response.id);
  expect(await codeOf(client.responses.retrieve(response.id))).toEqual([
    ...[404, "response_not_found", null],
  ]);
});

test("too short a limit makes it incomplete", async () => {
  const response = await client.responses.create({ model, input: "One.", max_output_tokens: 2 });
  expect(response.status).toBe("incomplete");
  expect(response.incomplete_details).toEqual({ reason: "max_output_tokens" });
});

test("a stream is folded by the client into what is stored", async () => {
  const stream = client.responses.stream({ model, input: "One two.", max_output_tokens: 500 });
  const types: string[] = [];
  for await (const { type } of stream) types.push(type);
  const last = await stream.finalResponse();
  expect(types.slice(0, 4)).toEqual([
    ...["response.created", "response.in_progress"],
    ...["response.output_item.added", "response.content_part.added"],
  ]);
  expect(types.slice(-4)).toEqual([
    ...["response.output_text.done", "response.content_part.done"],
    ...["response.output_item.done", "response.completed"],
  ]);
  const stored = await client.responses.retrieve(last.id);
  expect(stored.output_text).toBe(last.output_text);
  expect(stored.output_text).toContain("One two.");
});

test("three turns, linked by their ids", async () => {
  const first = await client.responses.create({
    model,
    input: "I am Ada.",
    max_output_tokens: 400,
  });
  const second = await client.responses.create({
    ...{ model, previous_response_id: first.id, input: "I like tea." },
    max_output_tokens: 900,
  });
  const third = await client.responses.create({
    ...{ model, previous_response_id: second.id, input: "Who am I?" },
    max_output_tokens: 1_000,
  });
  for (const said of ["I am Ada.", "I like tea.", "Who am I?"]) {
    expect(third.output_text).toContain(said);
  }
  expect(third.previous_response_id).toBe(second.id);
  const other = clientOf("other").responses.create({
    ...{ model, previous_response_id: first.id, input: "Who?" },
  });
  expect(await codeOf(other)).toEqual([
    ...[400, "previous_response_not_found", "previous_response_id"],
  ]);
});

test("a function is called and its result goes back", async () => {
  const input: ResponseInputItem[] = [
    { role: "user", content: `<think>About Bern.</think>I look. ${CALL}` },
  ];
  const asked = await client.responses.create({
    ...{ model, input, tools: [weather], max_output_tokens: 700 },
  });
  const call = asked.output.find((item) => item.type === "function_call");
  expect(call).toMatchObject({ name: "weather", arguments: '{"city": "Bern"}' });
  const reasoning = asked.output.find((item) => item.type === "reasoning");
  expect(reasoning?.content?.[0]?.text).toBe("About Bern.");
  expect(asked.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(1);
  const call_id = call?.type === "function_call" ? call.call_id : "";
  const answered = await client.responses.create({
    ...{ model, previous_response_id: asked.id, max_output_tokens: 1_400 },
    input: [{ type: "function_call_output", call_id, output: "It rains in Bern." }],
    ...{ tools: [weather], tool_choice: "none" },
  });
  expect(answered.output_text).toContain("It rains in Bern.");
  const stateless = await client.responses.create({
    ...{ model, store: false, max_output_tokens: 1_400 },
    input: [
      ...input,
      ...(asked.output as ResponseInputItem[]),
      { type: "function_call_output", call_id, output: "It snows." },
    ],
  });
  expect(stateless.output_text).toContain("It snows.");
  expect(await codeOf(client.responses.retrieve(stateless.id))).toContain(404);
});

test("items of a request are listed in pages and can be referred to", async () => {
  const input = ["One.", "Two.", "Three."].map((content) => ({ role: "user" as const, content }));
  const response = await client.responses.create({ model, input, max_output_tokens: 4 });
  const listed: string[] = [];
  const page = client.responses.inputItems.list(response.id, { limit: 2, order: "asc" });
  for await (const item of page) {
    if (item.type === "message") listed.push(JSON.stringify(item.content));
  }
  expect(listed.map((text) => /One|Two|Three/.exec(text)?.[0])).toEqual(["One", "Two", "Three"]);
  const items = (await client.responses.inputItems.list(response.id, { order: "asc" })).data;
  const referring = await client.responses.create({
    ...{ model, max_output_tokens: 500 },
    input: [
      { type: "item_reference", id: (items[1] as { id: string }).id },
      { role: "user", content: "Four." },
    ],
  });
  expect(referring.output_text).toContain("Two.");
  expect(referring.output_text).not.toContain("Three.");
});

test("a conversation carries items from response to response", async () => {
  const { id } = await client.conversations.create({
    items: [{ type: "message", role: "user", content: "I am Bo." }],
    metadata: { topic: "names" },
  });
  const said = async (input: string) =>
    client.responses.create({ model, conversation: id, input, max_output_tokens: 1_000 });
  await said("I like rain.");
  const last = await said("Who am I?");
  expect(last.output_text).toContain("I am Bo.");
  expect(last.output_text).toContain("I like rain.");
  expect(last.conversation).toEqual({ id });
  const types: string[] = [];
  for await (const item of client.conversations.items.list(id, { order: "asc", limit: 2 })) {
    types.push(item.type === "message" ? item.role : item.type);
  }
  expect(types).toEqual(["user", "user", "assistant", "user", "assistant"]);
  const [first] = (await client.conversations.items.list(id, { order: "asc", limit: 1 })).data;
  const item = (first as { id: string }).id;
  const at = { conversation_id: id };
  expect(await client.conversations.items.retrieve(item, at)).toMatchObject({ role: "user" });
  await client.conversations.items.delete(item, at);
  expect(await codeOf(client.conversations.items.retrieve(item, at))).toContain(404);
  const added = await client.conversations.items.create(id, {
    items: [{ role: "user", content: "More." }],
  });
  expect(added.data.length).toBe(1);
  expect(await client.conversations.update(id, { metadata: { topic: "rain" } })).toMatchObject({
    metadata: { topic: "rain" },
  });
  expect(await codeOf(clientOf("other").conversations.retrieve(id))).toContain(404);
  expect(await client.conversations.delete(id)).toMatchObject({ deleted: true });
  expect(await codeOf(said("Still there?"))).toEqual([
    ...[400, "conversation_not_found", "conversation"],
  ]);
});

test("tokens of an input are counted as they are computed", async () => {
  const asked = { model, input: "One two three.", instructions: "Be brief." };
  const counted = await client.responses.inputTokens.count(asked);
  const { usage } = await client.responses.create({ ...asked, max_output_tokens: 1 });
  expect(counted).toEqual({
    object: "response.input_tokens",
    input_tokens: usage?.input_tokens ?? 0,
  });
});

const pollEnd = async (id: string): Promise<OpenAiResponse> => {
  for (;;) {
    const response = await client.responses.retrieve(id);
    if (response.status !== "queued" && response.status !== "in_progress") return response;
    await Bun.sleep(10);
  }
};

test("a background response is polled, and streamed from any event on", async () => {
  const queued = await client.responses.create({
    ...{ model, input: "One two three four.", background: true, max_output_tokens: 500 },
  });
  expect(queued.status).toBe("queued");
  const done = await pollEnd(queued.id);
  expect(done.output_text).toContain("One two three four.");
  const all: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.retrieve(queued.id, { stream: true })) {
    all.push(event);
  }
  expect(all.map(({ sequence_number }) => sequence_number)).toEqual(all.map((_, i) => i));
  const from = Math.floor(all.length / 2);
  const rest: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.retrieve(queued.id, {
    ...{ stream: true, starting_after: from },
  })) {
    rest.push(event);
  }
  expect(rest).toEqual(all.slice(from + 1));
});

test("wrong requests are told which field and what to do", async () => {
  const create = (more: object) => codeOf(client.responses.create({ model, input: "x", ...more }));
  const cases: readonly (readonly [object, readonly unknown[]])[] = [
    [{ tools: [{ type: "web_search" }] }, [400, "not_supported", "tools[0].type"]],
    [{ text: { format: { type: "json_object" } } }, [400, "not_supported", "text.format"]],
    [{ background: true, store: false }, [400, "invalid_value", "background"]],
    [
      { previous_response_id: "resp_no" },
      [400, "previous_response_not_found", "previous_response_id"],
    ],
    [
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] },
      [400, "not_supported", "input[0].content[0]"],
    ],
    [{ input: [{ type: "computer_call" }] }, [400, "not_supported", "input[0].type"]],
    [
      { input: [{ type: "function_call_output", call_id: "c", output: "x" }] },
      [400, "invalid_value", "input[0].call_id"],
    ],
    [{ input: [] }, [400, "invalid_value", "input"]],
    [{ metadata: { a: "x".repeat(513) } }, [400, "invalid_value", "metadata.a"]],
    [{ odd: 1 }, [400, "unknown_parameter", "odd"]],
    [{ prompt: { id: "p" } }, [400, "unsupported_parameter", "prompt"]],
  ];
  for (const [more, expected] of cases) expect(await create(more)).toEqual([...expected]);
  const { id } = await client.responses.create({ model, input: "x", max_output_tokens: 1 });
  expect(await codeOf(client.responses.cancel(id))).toEqual([400, "not_in_background", null]);
});
