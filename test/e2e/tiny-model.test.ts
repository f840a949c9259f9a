/** The bundled model answers what the README says it answers: greedy, through the whole cluster. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import { type Cluster, startCluster } from "../support/cluster.ts";
import questions from "../support/tiny-model-questions.json";

type Message = OpenAI.ChatCompletionMessageParam;

let cluster: Cluster;
let client: OpenAI;
let model: string;

beforeAll(async () => {
  cluster = await startCluster([]);
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
  model = (await client.models.list()).data[0]?.id ?? "";
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

async function answer(messages: Message[], max_tokens = 300): Promise<string> {
  const request = { model, messages, max_tokens, temperature: 0 };
  const completion = await client.chat.completions.create(request);
  return completion.choices[0]?.message.content ?? "";
}

async function talk(turns: readonly string[]): Promise<string> {
  const messages: Message[] = [];
  let last = "";
  for (const content of turns) {
    messages.push({ role: "user", content });
    last = await answer(messages);
    messages.push({ role: "assistant", content: last });
  }
  return last;
}

const groups = {
  "README question": questions.readme,
  "reworded question": questions.reworded,
  "unknown matter": questions.unknown,
  "long answer": questions.long,
  thinking: questions.thinking,
  JSON: questions.json,
};
for (const [group, items] of Object.entries(groups)) {
  for (const { question, contains } of items) {
    test(`${group}: ${question}`, async () => {
      expect(await answer([{ role: "user", content: question }])).toContain(contains);
    }, 20_000);
  }
}

for (const { turns, contains } of questions.dialogues) {
  test(`dialogue: ${turns.join(" / ")}`, async () => {
    expect(await talk(turns)).toContain(contains);
  }, 20_000);
}

for (const { prompt, contains } of questions.completions) {
  test(`completion: ${prompt}`, async () => {
    const request = { model, prompt, max_tokens: 60, temperature: 0 };
    const completion = await client.completions.create(request);
    expect(completion.choices[0]?.text).toContain(contains);
  }, 20_000);
}

test("what it thinks is told apart from its answer", async () => {
  for (const { question } of questions.thinking) {
    const messages: Message[] = [{ role: "user", content: question }];
    const request = { model, messages, max_tokens: 300, temperature: 0 };
    const { choices, usage } = await client.chat.completions.create(request);
    expect(choices[0]!.message).toHaveProperty("reasoning_content");
    expect(choices[0]!.message.content).not.toContain("think>");
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(5);
  }
}, 20_000);

test("it calls a tool", async () => {
  const parameters = { type: "object", properties: { minutes: { type: "integer" } } };
  const timer = { name: "set_timer", description: "Start a timer", parameters };
  const { choices } = await client.chat.completions.create({
    ...{ model, temperature: 0, max_tokens: 100 },
    messages: [{ role: "user", content: "Set a timer for 5 minutes." }],
    tools: [{ type: "function", function: timer }],
  });
  expect(choices[0]?.finish_reason).toBe("tool_calls");
  const [call] = choices[0]?.message.tool_calls ?? [];
  if (call?.type !== "function") throw new Error("there is no call");
  expect(call.function.name).toBe("set_timer");
  expect(() => JSON.parse(call.function.arguments)).not.toThrow();
}, 20_000);

test("an answer in JSON parses", async () => {
  for (const { question } of questions.json) {
    const text = await answer([{ role: "user", content: question }]);
    expect(() => JSON.parse(text)).not.toThrow();
  }
}, 20_000);
