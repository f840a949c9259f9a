/**
 * Tool calls and reasoning with the official `openai` package against a real cluster. The engine
 * echoes its prompt, so a message that spells a call makes the bundled model's format of calls come
 * out of it, as a model that calls would write it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { type Cluster, startCluster } from "../../support/cluster.ts";

let cluster: Cluster;
let client: OpenAI;
let model: string;

beforeAll(async () => {
  cluster = await startCluster(["--engine", "echo", "--frontends", "2"]);
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
  model = (await client.models.list()).data[0]?.id ?? "";
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

const parameters = { type: "object", properties: { city: { type: "string" } } };
const weather = {
  type: "function" as const,
  function: { name: "weather", description: "The weather of a city.", parameters },
};

const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>';
const asking: ChatCompletionMessageParam[] = [
  { role: "user", content: `<think>It is about Bern.</think>I look. ${CALL}` },
];

/** More than the prompt has, so that the echo ends by itself. */
const request = () => ({ model, messages: asking, tools: [weather], max_tokens: 1_000 });

type Message = OpenAI.ChatCompletionMessage & { reasoning_content?: string };

const callOf = (message: OpenAI.ChatCompletionMessage) => {
  const [call] = message.tool_calls ?? [];
  if (call?.type !== "function") throw new Error("there is no call");
  return call;
};

test("the model's parsers were found and are said", async () => {
  const { data } = await client.models.list();
  expect(data[0]).toMatchObject({ tool_call_parser: "hermes", reasoning_parser: "qwen3" });
});

test("a call is made, its result goes back, and the next answer knows it", async () => {
  const { choices, usage } = await client.chat.completions.create(request());
  const { message, finish_reason } = choices[0]!;
  expect(finish_reason).toBe("tool_calls");
  const call = callOf(message);
  expect(call.function).toEqual({ name: "weather", arguments: '{"city": "Bern"}' });
  expect((message as Message).reasoning_content).toBe("It is about Bern.");
  expect(message.content).not.toContain("tool_call>\n{");
  const { reasoning_tokens = 0 } = usage?.completion_tokens_details ?? {};
  expect(reasoning_tokens).toBeGreaterThan(2);
  expect(reasoning_tokens).toBeLessThan(usage?.completion_tokens ?? 0);
  const messages: ChatCompletionMessageParam[] = [
    { role: "user", content: "What is the weather in Bern?" },
    message,
    { role: "tool", tool_call_id: call.id, content: "It rains frogs." },
  ];
  const next = await client.chat.completions.create({ ...request(), messages });
  expect(next.choices[0]?.message.content).toContain("It rains frogs.");
});

test("streamed it is the same, and the client's own stream puts it together", async () => {
  const whole = await client.chat.completions.create(request());
  const stream = client.chat.completions.stream({
    ...request(),
    stream_options: { include_usage: true },
  });
  const begun: string[] = [];
  let given = "";
  stream.on("chunk", (chunk) => {
    for (const { id, function: made } of chunk.choices[0]?.delta.tool_calls ?? []) {
      if (id !== undefined) begun.push(id);
      given += made?.arguments ?? "";
    }
  });
  const final = await stream.finalChatCompletion();
  expect(begun).toHaveLength(1);
  expect(given).toBe('{"city": "Bern"}');
  const [choice] = final.choices;
  expect(choice?.finish_reason).toBe("tool_calls");
  expect(choice?.message.content).toBe(whole.choices[0]!.message.content);
  expect(callOf(choice!.message).function.arguments).toBe('{"city": "Bern"}');
  expect(final.usage?.completion_tokens_details).toEqual(whole.usage!.completion_tokens_details!);
});

test("runTools of the client calls the function", async () => {
  const asked: unknown[] = [];
  const runner = client.chat.completions.runTools(
    {
      ...request(),
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: (text: string) => JSON.parse(text) as unknown,
            function: (input: unknown) => {
              asked.push(input);
              return "It rains.";
            },
          },
        },
      ],
    },
    { maxChatCompletions: 2 },
  );
  await runner.done().catch(() => {});
  expect(asked[0]).toEqual({ city: "Bern" });
});

test("what nothing enforces is refused and not promised", async () => {
  const refused = async (more: object): Promise<unknown> => {
    const asked = client.chat.completions.create({ ...request(), ...more });
    return asked.then(
      () => "answered",
      (error: InstanceType<typeof OpenAI.APIError>) => [error.status, error.code, error.param],
    );
  };
  const strict = { ...weather, function: { ...weather.function, strict: true } };
  const named = { type: "function", function: { name: "weather" } };
  expect(await refused({ tools: [strict] })).toEqual([
    ...[400, "not_supported", "tools[0].function.strict"],
  ]);
  for (const tool_choice of ["required", named]) {
    expect(await refused({ tool_choice })).toEqual([400, "not_supported", "tool_choice"]);
  }
});

test("a stream that breaks inside of a call goes on there, at any frontend", async () => {
  const events = async (path: string, init: RequestInit): Promise<string[]> => {
    const response = await fetch(`${cluster.url}${path}`, init);
    expect(response.status).toBe(200);
    return (await response.text()).trimEnd().split("\n\n");
  };
  const headers = { "content-type": "application/json", "x-resumable": "true" };
  const body = JSON.stringify({ ...request(), stream: true });
  const all = await events("/v1/chat/completions", { method: "POST", headers, body });
  const inside = all.findIndex((event) => event.includes('"arguments":'));
  expect(inside).toBeGreaterThan(0);
  for (let at = inside - 1; at < all.length - 1; at += 1) {
    const id = /^id: (.*)$/m.exec(all[at]!)![1]!;
    const path = `/v1/streams/${id.slice(0, id.indexOf(":"))}`;
    const rest = await events(path, { headers: { "last-event-id": id } });
    expect(rest).toEqual(all.slice(at + 1));
  }
});
