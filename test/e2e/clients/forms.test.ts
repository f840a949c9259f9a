/** Forms of answers and calls that are held, with the real `openai` client and the bundled model. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { type Cluster, startCluster } from "../../support/cluster.ts";

let cluster: Cluster;
let client: OpenAI;
const model = "troupe-tiny";

beforeAll(async () => {
  cluster = await startCluster([]);
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const Place = z.object({
  city: z.enum(["Paris", "Oslo"]),
  days: z.number().int().min(1).max(9),
  mood: z.union([z.literal("calm"), z.null()]),
  tags: z.array(z.enum(["red", "blue"])).max(3),
});
const messages = [{ role: "user" as const, content: "Where shall I go?" }];
const format = zodResponseFormat(Place, "place");
const base = { model, messages, max_tokens: 400 };

const Weather = z.object({ city: z.enum(["Paris", "Oslo"]), days: z.number().int().max(7) });
const weather = zodFunction({ name: "get_weather", parameters: Weather });
const now: OpenAI.ChatCompletionTool = {
  type: "function",
  function: { name: "now", parameters: { type: "object", properties: {} } },
};
const tools = [{ ...weather, function: { ...weather.function, strict: false } }, now];

function calls(message: OpenAI.ChatCompletionMessage | undefined) {
  return (message?.tool_calls ?? []).flatMap((call) =>
    call.type === "function"
      ? [{ name: call.function.name, given: JSON.parse(call.function.arguments) as unknown }]
      : [],
  );
}

test("parse: a schema of zod comes back as its type, at any temperature, n times", async () => {
  const answer = await client.chat.completions.parse({
    ...{ ...base, response_format: format, temperature: 1, seed: 3, n: 4 },
  });
  expect(answer.choices).toHaveLength(4);
  for (const { message, finish_reason } of answer.choices) {
    expect(finish_reason).toBe("stop");
    expect(Place.parse(message.parsed)).toEqual(message.parsed!);
  }
});

test("parse, streamed: the same answer", async () => {
  const asked = { ...base, response_format: format, temperature: 0 };
  const whole = await client.chat.completions.parse(asked);
  const final = await client.chat.completions.stream(asked).finalChatCompletion();
  expect(final.choices[0]?.message.parsed).toEqual(whole.choices[0]!.message.parsed);
});

test("required, a function by name, and one call alone", async () => {
  const chat_template_kwargs = { enable_thinking: false };
  const asked = { ...base, tools, temperature: 1, seed: 5, chat_template_kwargs };
  const required = await client.chat.completions.create({
    ...asked,
    tool_choice: "required",
    n: 3,
  });
  for (const { message, finish_reason } of required.choices) {
    expect(finish_reason).toBe("tool_calls");
    const made = calls(message);
    expect(made.length).toBeGreaterThan(0);
    for (const { name, given } of made) {
      if (name === "get_weather") Weather.parse(given);
      else expect([name, given]).toEqual(["now", {}]);
    }
  }
  const named = await client.chat.completions.create({
    ...asked,
    tool_choice: { type: "function", function: { name: "now" } },
  });
  expect(named.choices[0]?.finish_reason).toBe("stop");
  expect(calls(named.choices[0]?.message)).toEqual([{ name: "now", given: {} }]);
  const single = await client.chat.completions.create({
    ...{ ...asked, tool_choice: "required" as const, parallel_tool_calls: false },
  });
  expect(calls(single.choices[0]?.message)).toHaveLength(1);
});

test("a strict function in auto mode, streamed: its arguments are parsed", async () => {
  const stream = client.chat.completions.stream({
    ...{ ...base, tools: [weather], tool_choice: "auto", temperature: 0 },
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
  });
  const { choices } = await stream.finalChatCompletion();
  const [call] = choices[0]?.message.tool_calls ?? [];
  expect(choices[0]?.finish_reason).toBe("tool_calls");
  expect(call?.type).toBe("function");
  if (call?.type === "function") Weather.parse(call.function.parsed_arguments);
});

test("json_object, a regular expression, a choice, a grammar, in chats and completions", async () => {
  const chat = async (more: object) => {
    const request = { ...base, max_tokens: 60, ...more } as OpenAI.ChatCompletionCreateParams;
    const answer = (await client.chat.completions.create(request)) as OpenAI.ChatCompletion;
    return answer.choices[0]?.message.content ?? "";
  };
  const object = { type: "object", properties: { a: { type: "boolean" } }, required: ["a"] };
  expect(
    JSON.parse(await chat({ response_format: { type: "json_object", schema: object } })),
  ).toEqual({
    a: expect.any(Boolean),
  });
  expect(await chat({ structured_outputs: { regex: "[a-f]{2}-\\d" } })).toMatch(/^[a-f]{2}-\d$/);
  expect(["red", "deep blue"]).toContain(await chat({ guided_choice: ["red", "deep blue"] }));
  expect(await chat({ guided_grammar: 'root ::= "x" [0-9] "y"' })).toMatch(/^x\dy$/);
  const text = await client.completions.create({
    ...{ model, prompt: "One, two,", max_tokens: 20 },
    ...{ structured_outputs: { choice: [" three", " four"] } },
  });
  expect([" three", " four"]).toContain(text.choices[0]?.text ?? "");
});

test("what no worker can compile is a 400 that names the field", async () => {
  for (const guided_grammar of ['root ::= "a" missing', "root ::= root"]) {
    const asked = { ...base, guided_grammar };
    const error = await client.chat.completions.create(asked).then(
      () => undefined,
      (failed: unknown) => failed,
    );
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param: "guided_grammar" });
  }
});

/** The text of a chat's events, and the id of the last one. */
function textOf(events: string): { text: string; last_id: string; done: boolean } {
  let text = "";
  let last_id = "";
  for (const event of events.split("\n\n")) {
    const id = /^id: (.*)$/m.exec(event)?.[1];
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (id !== undefined) last_id = id;
    if (data === undefined || data === "[DONE]") continue;
    const chunk = JSON.parse(data) as OpenAI.ChatCompletionChunk;
    text += chunk.choices[0]?.delta.content ?? "";
  }
  return { text, last_id, done: events.includes("data: [DONE]") };
}

test("a stream that broke off inside of the JSON goes on behind its last event", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `field_${i}`);
  const schema = {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, { type: "integer", maximum: 99 }])),
    required: names,
  };
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-resumable": "true" },
    body: JSON.stringify({ ...base, temperature: 1, seed: 8, guided_json: schema, stream: true }),
  });
  const reader = response.body!.getReader();
  let events = "";
  while (!textOf(events).text.includes("field_2")) {
    const { value, done } = await reader.read();
    if (done) break;
    events += new TextDecoder().decode(value);
  }
  await reader.cancel();
  // Events that came whole.
  const begun = textOf(events.slice(0, events.lastIndexOf("\n\n") + 2));
  const [request] = begun.last_id.split(":");
  const resumed = await fetch(`${cluster.url}/v1/streams/${request}`, {
    headers: { "last-event-id": begun.last_id },
  });
  const rest = textOf(await resumed.text());
  expect(rest.done).toBe(true);
  const whole: unknown = JSON.parse(begun.text + rest.text);
  expect(new Ajv2020().validate(schema, whole)).toBe(true);
});
