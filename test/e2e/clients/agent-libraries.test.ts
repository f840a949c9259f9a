/** Vercel's `ai` and LangChain against the bundled model: texts, streams, and agents that call tools. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { createAgent } from "langchain";
import { z } from "zod";
import { type Cluster, startCluster } from "../../support/cluster.ts";

const MODEL = "troupe-tiny";
const QUESTION = "What is Troupe?";
const WEATHER = "What is the weather in Paris?";
const description = "Get the weather of a place";
const place = z.object({ location: z.string() });

let cluster: Cluster;
let base: string;
beforeAll(async () => {
  cluster = await startCluster([]);
  base = `${cluster.url}/v1`;
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

/** What the server itself says. */
async function answerTo(content: string): Promise<string> {
  const body = { model: MODEL, temperature: 0, messages: [{ role: "user", content }] };
  const response = await fetch(`${base}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]!.message.content;
}

test("ai: a text, streamed and whole, is the server's", async () => {
  const troupe = createOpenAICompatible({ name: "troupe", baseURL: base, includeUsage: true });
  const asked = { model: troupe(MODEL), prompt: QUESTION, temperature: 0 };
  const whole = await generateText(asked);
  const stream = streamText(asked);
  let text = "";
  for await (const part of stream.textStream) text += part;
  expect(text).toBe(whole.text);
  expect(text).toBe(await answerTo(QUESTION));
  expect(whole.finishReason).toBe("stop");
  expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens!);
});

test("ai: a tool is called, whole and streamed, and its result is answered", async () => {
  const troupe = createOpenAICompatible({ name: "troupe", baseURL: base });
  const asked_for: string[] = [];
  const execute = async ({ location }: { location: string }) => {
    asked_for.push(location);
    return { sky: "clear" };
  };
  const asked = {
    ...{ model: troupe(MODEL), prompt: WEATHER, temperature: 0, stopWhen: isStepCount(2) },
    tools: { get_weather: tool({ description, inputSchema: place, execute }) },
  };
  const whole = await generateText(asked);
  expect(whole.steps[0]!.finishReason).toBe("tool-calls");
  expect(whole.steps).toHaveLength(2);
  expect(asked_for).toHaveLength(1);
  const stream = streamText(asked);
  await stream.consumeStream();
  expect((await stream.steps).map(({ finishReason }) => finishReason)).toEqual(
    whole.steps.map(({ finishReason }) => finishReason),
  );
  expect(asked_for).toEqual([asked_for[0]!, asked_for[0]!]);
});

test("ai: an object keeps to its schema", async () => {
  const troupe = createOpenAICompatible({
    ...{ name: "troupe", baseURL: base, supportsStructuredOutputs: true },
  });
  const schema = z.object({ city: z.string().max(20), sky: z.enum(["clear", "cloudy"]) });
  const asked = { model: troupe(MODEL), prompt: WEATHER, temperature: 0, maxOutputTokens: 200 };
  const { output } = await generateText({ ...asked, output: Output.object({ schema }) });
  expect(schema.safeParse(output).success).toBe(true);
  const stream = streamText({ ...asked, output: Output.object({ schema }) });
  await stream.consumeStream();
  expect(await stream.output).toEqual(output);
});

test("ai: a strict tool that has to be called gets what it asks for", async () => {
  const troupe = createOpenAICompatible({ name: "troupe", baseURL: base });
  const inputSchema = z.object({ latitude: z.number(), unit: z.enum(["C", "F"]) });
  const { toolCalls } = await generateText({
    ...{ model: troupe(MODEL), prompt: WEATHER, temperature: 0, maxOutputTokens: 200 },
    ...{ tools: { get_weather: tool({ description, inputSchema }) }, toolChoice: "required" },
  });
  expect(toolCalls).toHaveLength(1);
  expect(inputSchema.safeParse(toolCalls[0]!.input).success).toBe(true);
});

test("ai: OpenAI's own provider, by its chats and by its responses", async () => {
  const openai = createOpenAI({ baseURL: base, apiKey: "none" });
  for (const model of [openai.chat(MODEL), openai.responses(MODEL)]) {
    const { text } = await generateText({ model, prompt: QUESTION, temperature: 0 });
    expect(text).toBe(await answerTo(QUESTION));
  }
});

test("ai: embeddings", async () => {
  const troupe = createOpenAICompatible({ name: "troupe", baseURL: base });
  const model = troupe.embeddingModel(MODEL);
  const { embeddings } = await embedMany({ model, values: ["one", "two"] });
  expect(embeddings).toHaveLength(2);
});

test("LangChain: a text and its stream", async () => {
  const options = { model: MODEL, temperature: 0, apiKey: "none", maxRetries: 0 };
  const chat = new ChatOpenAI({ ...options, configuration: { baseURL: base } });
  const { text } = await chat.invoke(QUESTION);
  let streamed = "";
  for await (const chunk of await chat.stream(QUESTION)) streamed += chunk.text;
  expect(streamed).toBe(text);
  expect(text).toBe(await answerTo(QUESTION));
});

test("LangChain: an agent calls its tool and answers", async () => {
  const asked_for: string[] = [];
  const getWeather = langchainTool(
    ({ location }: { location: string }) => {
      asked_for.push(location);
      return "The sky is clear.";
    },
    { name: "get_weather", description, schema: place },
  );
  const options = { model: MODEL, temperature: 0, apiKey: "none", maxRetries: 0, maxTokens: 100 };
  const model = new ChatOpenAI({ ...options, configuration: { baseURL: base } });
  const agent = createAgent({ model, tools: [getWeather] });
  const asked = { messages: [{ role: "user", content: WEATHER }] };
  const { messages } = await agent.invoke(asked, { recursionLimit: 8 });
  expect(asked_for.length).toBeGreaterThan(0);
  expect(messages.map((message) => message.getType()).slice(0, 4)).toEqual([
    ...["human", "ai", "tool", "ai"],
  ]);
});

test("LangChain: an answer keeps to its schema", async () => {
  const options = { model: MODEL, temperature: 0, apiKey: "none", maxRetries: 0, maxTokens: 200 };
  const chat = new ChatOpenAI({ ...options, configuration: { baseURL: base } });
  const schema = z.object({ city: z.string().max(20), sky: z.enum(["clear", "cloudy"]) });
  const kept = chat.withStructuredOutput(schema, { name: "weather", method: "jsonSchema" });
  expect(schema.safeParse(await kept.invoke(WEATHER)).success).toBe(true);
});

test("LangChain: embeddings", async () => {
  const options = { model: MODEL, apiKey: "none", maxRetries: 0, encodingFormat: "float" as const };
  const embeddings = new OpenAIEmbeddings({ ...options, configuration: { baseURL: base } });
  const vectors = await embeddings.embedDocuments(["one", "two"]);
  expect(vectors).toHaveLength(2);
});
