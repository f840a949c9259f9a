/** Scores of prompts over HTTP, of the bundled model: OpenAI's legacy form and vLLM's. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { parseEvents } from "../../support/worlds/frontend-server.ts";

const MODEL = "troupe-tiny";
/** Log probabilities differ in their last bits with the shape of the batch. */
const NEAR = 0.02;

let cluster: Cluster;
let client: OpenAI;

beforeAll(async () => {
  cluster = await startCluster([]);
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

// biome-ignore lint/suspicious/noExplicitAny: JSON of a response, whose shape is what is tested
type Json = any;

async function post(path: string, body: object): Promise<{ status: number; json: Json }> {
  const response = await fetch(`${cluster.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, ...body }),
  });
  return { status: response.status, json: await response.json() };
}

test("an echo with log probabilities and no answer: null first, texts and offsets", async () => {
  const prompt = "What is a lease? Ünïcode 👍 and a tail";
  const answer = await client.completions.create({
    ...{ model: MODEL, prompt, max_tokens: 0, echo: true, logprobs: 3 },
  });
  const [choice] = answer.choices;
  const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
  expect(choice).toMatchObject({ text: prompt, finish_reason: "length", index: 0 });
  expect(answer.usage).toMatchObject({ prompt_tokens: tokens!.length, completion_tokens: 0 });
  expect([token_logprobs![0], top_logprobs![0], text_offset![0]] as unknown[]).toEqual([
    null,
    null,
    0,
  ]);
  for (let i = 1; i < tokens!.length; i++) {
    const top = top_logprobs![i]!;
    expect(token_logprobs![i]).toBeLessThan(0);
    expect(top[tokens![i]!]).toBe(token_logprobs![i]!);
    expect([3, 4]).toContain(Object.keys(top).length);
    // A token that is whole characters stands where its offset says.
    if (tokens![i]!.includes("\ufffd")) continue;
    expect(prompt.slice(text_offset![i]!)).toStartWith(tokens![i]!);
  }
});

test("prompt and answer, whole and streamed, batched and as ids", async () => {
  const body = { prompt: "Troupe is", max_tokens: 4, echo: true, logprobs: 1, temperature: 0 };
  const { choices } = (await post("/v1/completions", body)).json;
  const { tokens, token_logprobs, text_offset } = choices[0].logprobs;
  expect(tokens.join("")).toBe(choices[0].text);
  expect(token_logprobs).toHaveLength(2 + 4);
  expect(text_offset[2]).toBe("Troupe is".length);
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ model: MODEL, ...body, stream: true }),
    headers: { "content-type": "application/json" },
  });
  const chunks = parseEvents(await response.text()).filter(({ data }) => data !== "[DONE]");
  const told = chunks.map(({ data }) => JSON.parse(data).choices[0]).filter((one) => one.logprobs);
  expect(told.map(({ text }) => text).join("")).toBe(choices[0].text);
  expect(told.flatMap(({ logprobs }) => logprobs.tokens)).toEqual(tokens);
  expect(told.flatMap(({ logprobs }) => logprobs.text_offset)).toEqual(text_offset);
  const ids = (await post("/tokenize", { prompt: body.prompt })).json.tokens;
  const many = (await post("/v1/completions", { ...body, prompt: [ids, [ids[0]], ids] })).json;
  expect(many.choices).toHaveLength(3);
  expect(many.choices[1].logprobs.token_logprobs[0]).toBeNull();
  for (const at of [0, 2]) {
    const again = many.choices[at].logprobs.token_logprobs;
    for (let i = 1; i < token_logprobs.length; i++) {
      expect(Math.abs(again[i] - token_logprobs[i])).toBeLessThan(NEAR);
    }
  }
});

test("the best of several, echoed with scores", async () => {
  const body = { prompt: "Once upon", max_tokens: 3, echo: true, logprobs: 0, best_of: 3, n: 2 };
  const { choices } = (await post("/v1/completions", { ...body, temperature: 1, seed: 5 })).json;
  expect(choices).toHaveLength(2);
  for (const { text, logprobs } of choices) {
    expect(logprobs.tokens.join("")).toBe(text);
    expect(logprobs.token_logprobs[0]).toBeNull();
    expect(Object.keys(logprobs.top_logprobs[1])).toHaveLength(1);
  }
});

test("prompt_logprobs of completions, chats and tokens have vLLM's form", async () => {
  const wanted = { prompt_logprobs: 2, max_tokens: 1, temperature: 0 };
  const legacy = (await post("/v1/completions", { ...wanted, prompt: "Troupe is a" })).json;
  const ids: number[] = (await post("/tokenize", { prompt: "Troupe is a" })).json.tokens;
  const [first, ...rest] = legacy.choices[0].prompt_logprobs;
  expect(first).toBeNull();
  expect(rest).toHaveLength(ids.length - 1);
  for (const [i, entries] of rest.entries()) {
    const own = entries[ids[i + 1]!];
    expect(own.logprob).toBeLessThan(0);
    const likelier = Object.values<Json>(entries).filter(({ logprob }) => logprob > own.logprob);
    if (own.rank > 2) expect(likelier).toHaveLength(2);
    else expect(own.rank).toBe(likelier.length + 1);
  }
  const sampling_params = { ...wanted };
  const tokens = (await post("/inference/v1/generate", { token_ids: ids, sampling_params })).json;
  expect(tokens.prompt_logprobs).toHaveLength(ids.length);
  const messages = [{ role: "user", content: "What is Troupe?" }];
  const asked = { ...wanted, messages, logprobs: true, top_logprobs: 1 };
  const chat = (await post("/v1/chat/completions", asked)).json;
  expect(chat.prompt_logprobs).toHaveLength(chat.usage.prompt_tokens);
  expect(chat.choices[0].logprobs.content[0].top_logprobs).toHaveLength(1);
});

test("what is cached is scored all the same, and a repeated request is not told less", async () => {
  const prompt = "What is a lease? ".repeat(40);
  const body = { prompt, max_tokens: 1, temperature: 0 };
  await post("/v1/completions", body);
  const scored = (await post("/v1/completions", { ...body, prompt_logprobs: 0 })).json;
  expect(scored.usage.prompt_tokens_details.cached_tokens).toBe(0);
  expect(scored.choices[0].prompt_logprobs).toHaveLength(scored.usage.prompt_tokens);
  const plain = (await post("/v1/completions", body)).json;
  expect(plain.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
});

test("a long prompt with five each comes whole", async () => {
  const prompt = Array.from({ length: 2_000 }, (_, i) => 100 + ((i * 37) % 2_000));
  const body = { prompt, max_tokens: 0, echo: true, logprobs: 5 };
  const { status, json } = await post("/v1/completions", body);
  expect(status).toBe(200);
  expect(json.choices[0].logprobs.token_logprobs).toHaveLength(2_000);
  expect(json.choices[0].logprobs.top_logprobs[1_999]).toBeObject();
}, 30_000);

test("what cannot be told is a 400 that names the field", async () => {
  const refused = async (path: string, body: object) => (await post(path, body)).json.error;
  const messages = [{ role: "user", content: "hi" }];
  const streamed = { messages, stream: true, prompt_logprobs: 1 };
  expect(await refused("/v1/chat/completions", streamed)).toMatchObject({
    param: "prompt_logprobs",
  });
  expect(await refused("/v1/completions", { prompt: "a", prompt_logprobs: 21 })).toMatchObject({
    param: "prompt_logprobs",
  });
  const long = Array.from({ length: 2_000 }, () => 300);
  const many = {
    prompt: Array.from({ length: 40 }, () => long),
    max_tokens: 1,
    prompt_logprobs: 9,
  };
  const error = await refused("/v1/completions", many);
  expect(error).toMatchObject({ param: "prompt_logprobs", code: "invalid_value" });
  expect(error.message).toContain("131072");
  expect(await refused("/v1/completions", { prompt: "a", max_tokens: 0 })).toMatchObject({
    param: "max_tokens",
  });
});
