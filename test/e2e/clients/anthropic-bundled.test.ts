/** `@anthropic-ai/sdk` with the bundled model: greedy, through the whole cluster. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { type Cluster, startCluster } from "../../support/cluster.ts";

let cluster: Cluster;
let client: Anthropic;
let model: string;

beforeAll(async () => {
  cluster = await startCluster([]);
  client = new Anthropic({ baseURL: cluster.url, apiKey: "none", maxRetries: 0 });
  model = (await client.models.list()).data[0]?.id ?? "";
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const greedy = { max_tokens: 200, temperature: 0 };
const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === "text" ? block.text : "")).join("");

test("a question is answered, and the same text by chat", async () => {
  const messages = [{ role: "user" as const, content: "Which port does Troupe use?" }];
  const message = await client.messages.create({ model, ...greedy, messages });
  expect(textOf(message)).toContain("8000");
  expect(message.stop_reason).toBe("end_turn");
  const { input_tokens } = await client.messages.countTokens({ model, messages });
  const { usage } = message;
  expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(input_tokens);
});

test("an answer goes on with its beginning", async () => {
  const messages = [
    { role: "user" as const, content: "List the months of the year." },
    { role: "assistant" as const, content: "The months of the year are January, February," },
  ];
  const text = textOf(await client.messages.create({ model, ...greedy, messages }));
  expect(text).toContain("March");
  expect(text).not.toContain("January");
});

test("thinking is asked for, and comes as a block", async () => {
  const stream = client.messages.stream({
    ...{ model, ...greedy, thinking: { type: "enabled", budget_tokens: 1_024 } },
    messages: [{ role: "user", content: "What happens when a worker crashes?" }],
  });
  const { content, usage } = await stream.finalMessage();
  expect(content[0]).toMatchObject({ type: "thinking", thinking: expect.stringMatching(/\w/) });
  expect(usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(0);
});

test("a tool is called", async () => {
  const { content, stop_reason } = await client.messages.create({
    ...{ model, ...greedy },
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    tools: [
      {
        ...{ name: "get_weather", description: "Get the weather of a place" },
        input_schema: { type: "object", properties: { city: { type: "string" } } },
      },
    ],
  });
  expect(stop_reason).toBe("tool_use");
  expect(content.at(-1)).toMatchObject({ type: "tool_use", name: "get_weather" });
});

const tool = (name: string, property: string) => ({
  ...{ name, description: `Gets the ${property}` },
  input_schema: {
    type: "object" as const,
    properties: { [property]: { type: "string", enum: ["a", "b"] } },
    required: [property],
    additionalProperties: false,
  },
});

test("a call is made where the request wants one, streamed and whole", async () => {
  const tools = [tool("get_time", "zone"), tool("get_color", "thing")];
  const messages = [{ role: "user" as const, content: "Tell me a story about a fox." }];
  for (const tool_choice of [
    { type: "any" as const, disable_parallel_tool_use: true },
    { type: "tool" as const, name: "get_color" },
  ]) {
    const request = { model, ...greedy, messages, tools, tool_choice };
    const whole = await client.messages.create(request);
    expect(whole.stop_reason).toBe("tool_use");
    const use = whole.content.find((block) => block.type === "tool_use");
    if (tool_choice.type === "tool") expect(use?.name).toBe("get_color");
    expect(Object.values(use?.input as object)).toEqual([expect.stringMatching(/^[ab]$/)]);
    const streamed = await client.messages.stream(request).finalMessage();
    expect(streamed.stop_reason).toBe("tool_use");
    expect(streamed.content.map(({ type }) => type)).toEqual(whole.content.map(({ type }) => type));
  }
});

test("an answer keeps to a schema", async () => {
  const schema = {
    type: "object",
    properties: { port: { type: "integer" } },
    required: ["port"],
    additionalProperties: false,
  };
  const message = await client.messages.create({
    ...{ model, ...greedy, output_config: { format: { type: "json_schema", schema } } },
    messages: [{ role: "user", content: "Which port does Troupe use?" }],
  });
  expect(JSON.parse(textOf(message))).toEqual({ port: expect.any(Number) });
});

test("thinking ends with its budget", async () => {
  const { content, usage } = await client.messages.create({
    ...{ model, ...greedy, thinking: { type: "enabled", budget_tokens: 4 } },
    messages: [{ role: "user", content: "What happens when a worker crashes?" }],
  });
  expect(usage.output_tokens_details?.thinking_tokens).toBeLessThanOrEqual(4);
  expect(content.at(-1)?.type).toBe("text");
});
