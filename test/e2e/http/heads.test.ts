/**
 * Embeddings, rerank, score, classify and pooling against real clusters: the bundled model, an
 * encoder and two classifiers of random weights. Values are compared with the forward pass that
 * test/support/engine/bert-gguf.ts writes out.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import {
  type BertHead,
  bertClasses,
  bertGguf,
  bertHidden,
  bertWeights,
} from "../../support/engine/bert-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-heads-"));
const RANK: BertHead = { pooling: "rank", labels: ["relevant"] };
const CLASSES: BertHead = { pooling: "rank", labels: ["bad", "so so", "good"] };
const ENCODER: BertHead = { pooling: "cls" };

const started = async (name: string, head: BertHead): Promise<Cluster> => {
  const path = join(folder, `${name}.gguf`);
  writeFileSync(path, bertGguf(head));
  return await startCluster(["--model", path, "--model-name", name]);
};

let tiny: Cluster;
let encoder: Cluster;
let ranker: Cluster;
let classifier: Cluster;
beforeAll(async () => {
  tiny = await startCluster([]);
  encoder = await started("encoder", ENCODER);
  ranker = await started("ranker", RANK);
  classifier = await started("classifier", CLASSES);
}, 60_000);
afterAll(async () => {
  for (const cluster of [tiny, encoder, ranker, classifier]) await cluster?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: any JSON
type Json = any;

async function post(cluster: Cluster, path: string, body: object): Promise<[number, Json]> {
  const response = await fetch(cluster.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

/** The tokens that the models of random weights have for an ASCII text, with their own around. */
const [BOS, EOS, SEP] = [510, 511, 509];
const tokensOf = (text: string) => {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b !== 173);
  for (const char of text) expect(printable(char.charCodeAt(0)) || char === " ").toBe(true);
  return [BOS, ...new TextEncoder().encode(text), EOS];
};
const pairOf = (query: string, document: string) => [
  ...tokensOf(query),
  SEP,
  ...tokensOf(document).slice(1),
];

const near = (seen: readonly number[], wanted: readonly number[]) => {
  expect(seen).toHaveLength(wanted.length);
  expect(Math.max(...wanted.map((value, i) => Math.abs(value - seen[i]!)))).toBeLessThan(2e-2);
};
const unit = (x: readonly number[]) => x.map((value) => value / Math.hypot(...x));
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

test("the openai client gets embeddings of fewer dimensions, in floats and base64", async () => {
  const client = new OpenAI({ baseURL: `${tiny.url}/v1`, apiKey: "none", maxRetries: 0 });
  const model = (await client.models.list()).data[0]!.id;
  const input = ["a cat sat", "What is Troupe?"];
  const whole = await client.embeddings.create({ model, input, encoding_format: "float" });
  for (const encoding_format of ["float", "base64", undefined] as const) {
    const asked = { model, input, dimensions: 16, ...(encoding_format && { encoding_format }) };
    const { data, usage } = await client.embeddings.create(asked);
    expect(usage).toEqual(whole.usage);
    for (const [i, { embedding }] of data.entries()) {
      const values: readonly number[] =
        typeof embedding === "string"
          ? [...new Float32Array(Buffer.from(embedding, "base64").buffer.slice(0))]
          : embedding;
      if (encoding_format === "base64") continue;
      near(values, unit(whole.data[i]!.embedding.slice(0, 16)));
    }
  }
  const ids = await client.embeddings.create({ model, input: [[5, 6, 7], [8]] });
  expect(ids.data).toHaveLength(2);
  const most = whole.data[0]!.embedding.length;
  const more = async () => await client.embeddings.create({ model, input, dimensions: most + 1 });
  await expect(more()).rejects.toMatchObject({ status: 400, param: "dimensions" });
});

test("base64 is what the floats are", async () => {
  const asked = { model: "encoder", input: "hello", dimensions: 8 };
  const [, floats] = await post(encoder, "/v1/embeddings", asked);
  const [, packed] = await post(encoder, "/v1/embeddings", { ...asked, encoding_format: "base64" });
  const bytes = Buffer.from(packed.data[0].embedding, "base64");
  const values = [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
  expect(values).toEqual(floats.data[0].embedding);
});

test("an encoder's vectors, one an input or one a token, are those of its weights", async () => {
  const weights = bertWeights(ENCODER);
  const input = ["hello", "a b c"];
  const hidden = input.map((text) => bertHidden(weights, tokensOf(text)));
  const [, embedded] = await post(encoder, "/v1/embeddings", { model: "encoder", input });
  for (const i of [0, 1]) near(embedded.data[i].embedding, unit(hidden[i]![0]!));
  const pool = async (more: object) =>
    (await post(encoder, "/v1/pooling", { model: "encoder", input, ...more }))[1];
  const rows = await pool({});
  expect(rows).toMatchObject({ object: "list", model: "encoder" });
  expect(rows.id).toMatch(/^pool-/);
  expect(rows.usage).toMatchObject({ prompt_tokens: 14, total_tokens: 14, completion_tokens: 0 });
  for (const i of [0, 1]) {
    expect(rows.data[i]).toMatchObject({ index: i, object: "pooling" });
    expect(rows.data[i].data).toHaveLength(hidden[i]!.length);
    near(rows.data[i].data.flat(), hidden[i]!.flatMap(unit));
  }
  const raw = await pool({ task: "token_embed", use_activation: false, dimensions: 4 });
  near(
    raw.data[0].data.flat(),
    hidden[0]!.flatMap((row) => row.slice(0, 4)),
  );
  const one = await pool({ task: "embed", use_activation: false });
  near(one.data[1].data, [...hidden[1]![0]!]);
  const packed = await pool({ task: "embed", encoding_format: "base64" });
  expect(Buffer.from(packed.data[0].data, "base64")).toHaveLength(4 * 32);
});

test("a classification head ranks pairs", async () => {
  const weights = bertWeights(RANK);
  const documents = ["a cat", "dogs", "the moon", "a cat sat"];
  const wanted = documents.map((text) => bertClasses(weights, pairOf("cat?", text))[0]!);
  const asked = { model: "ranker", query: "cat?", documents };
  for (const path of ["/v1/rerank", "/rerank", "/v2/rerank"]) {
    const [status, body] = await post(ranker, path, asked);
    expect(status).toBe(200);
    expect(body).toMatchObject({ model: "ranker", id: expect.stringMatching(/^rerank-/) });
    const scores = body.results.map((one: Json) => one.relevance_score);
    expect(scores).toEqual([...scores].sort((a: number, b: number) => b - a));
    for (const { index, relevance_score, document } of body.results) {
      near([relevance_score], [sigmoid(wanted[index]!)]);
      expect(document).toEqual({ text: documents[index]! });
    }
    const tokens = documents.reduce((sum, text) => sum + pairOf("cat?", text).length, 0);
    expect(body.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens });
  }
  const objects = documents.map((text) => ({ text }));
  const few = { ...asked, documents: objects, top_n: 2, return_documents: false };
  const [, best] = await post(ranker, "/v1/rerank", { ...few, use_activation: false });
  expect(best.results).toHaveLength(2);
  expect(best.results[0]).not.toHaveProperty("document");
  near([best.results[0].relevance_score], [Math.max(...wanted)]);
});

test("scores are of one to many, or one to one", async () => {
  const weights = bertWeights(RANK);
  const of = (a: string, b: string) => sigmoid(bertClasses(weights, pairOf(a, b))[0]!);
  const score = async (body: object) =>
    await post(ranker, "/v1/score", { model: "ranker", ...body });
  const [, many] = await score({ text_1: "q", text_2: ["a", "bc"] });
  expect(many).toMatchObject({ object: "list", id: expect.stringMatching(/^score-/) });
  expect(many.data.map((one: Json) => [one.index, one.object])).toEqual([
    [0, "score"],
    [1, "score"],
  ]);
  near(
    many.data.map((one: Json) => one.score),
    [of("q", "a"), of("q", "bc")],
  );
  const [, pairs] = await score({ queries: ["q", "r"], documents: ["a", { text: "bc" }] });
  near(
    pairs.data.map((one: Json) => one.score),
    [of("q", "a"), of("r", "bc")],
  );
  const [, single] = await score({ data_1: "q", data_2: "a" });
  near([single.data[0].score], [of("q", "a")]);
});

test("without a head, the vectors of both texts are compared", async () => {
  const weights = bertWeights(ENCODER);
  const of = (text: string) => unit(bertHidden(weights, tokensOf(text))[0]!);
  const wanted = (a: string, b: string) => dot(of(a), of(b));
  const model = "encoder";
  const [, scores] = await post(encoder, "/score", {
    model,
    text_1: ["q", "r"],
    text_2: ["a", "q"],
  });
  near(
    scores.data.map((one: Json) => one.score),
    [wanted("q", "a"), wanted("r", "q")],
  );
  const documents = ["something else", "q", "q!"];
  const [, ranked] = await post(encoder, "/v1/rerank", { model, query: "q", documents });
  expect(ranked.results[0]).toMatchObject({ index: 1, document: { text: "q" } });
  near([ranked.results[0].relevance_score], [1]);
  const [, own] = await post(tiny, "/v1/rerank", {
    ...{ model: "troupe-tiny", query: "Which port does Troupe use?" },
    documents: ["Once there was a little girl.", "Which port does Troupe use"],
  });
  expect(own.results[0].index).toBe(1);
});

test("classes have names and probabilities", async () => {
  const weights = bertWeights(CLASSES);
  const input = ["hello", "good bye"];
  const [, body] = await post(classifier, "/v1/classify", { model: "classifier", input });
  expect(body).toMatchObject({ object: "list", id: expect.stringMatching(/^classify-/) });
  for (const [i, text] of input.entries()) {
    const powers = bertClasses(weights, tokensOf(text)).map(Math.exp);
    const sum = powers.reduce((total, value) => total + value, 0);
    const { index, label, probs, num_classes } = body.data[i];
    near(
      probs,
      powers.map((value) => value / sum),
    );
    expect([index, num_classes]).toEqual([i, 3]);
    expect(label).toBe(["bad", "so so", "good"][probs.indexOf(Math.max(...probs))]!);
  }
  const raw = { model: "classifier", input: "hello", use_activation: false };
  const [, pooled] = await post(classifier, "/pooling", raw);
  near(pooled.data[0].data, bertClasses(weights, tokensOf("hello")));
});

test("what a model or a request cannot is a 400 that names the field and says what to do", async () => {
  const chat = { messages: [{ role: "user", content: "hi" }] };
  const bad: readonly (readonly [Cluster, string, object, string, RegExp])[] = [
    [ranker, "/v1/chat/completions", chat, "model", /generates no text. It judges texts/],
    [ranker, "/v1/completions", { prompt: "hi" }, "model", /generates no text/],
    [ranker, "/v1/embeddings", { input: "hi" }, "model", /makes no embeddings here/],
    [ranker, "/v1/pooling", { input: "hi", task: "token_embed" }, "model", /no vectors of tokens/],
    [
      tiny,
      "/v1/classify",
      { input: "hi" },
      "model",
      /no classification head. It generates text and/,
    ],
    [classifier, "/v1/rerank", { query: "a", documents: ["b"] }, "model", /tells 3 classes apart/],
    [encoder, "/v1/pooling", { input: "hi", task: "classify" }, "model", /no classification head/],
    [encoder, "/v1/pooling", { input: "hi", dimensions: 33 }, "dimensions", /send at most that/],
    [encoder, "/v1/pooling", { input: "hi", dimensions: 0 }, "dimensions", /dimensions/],
    [encoder, "/v1/pooling", { input: "hi", embed_dtype: "float16" }, "embed_dtype", /32-bit/],
    [encoder, "/v1/pooling", { input: "x".repeat(300) }, "input", /maximum context length is 256/],
    [ranker, "/v1/rerank", { query: "a", documents: [] }, "documents", /too short/],
    [ranker, "/v1/rerank", { query: "a", documents: [{ image: "b" }] }, "documents[0].text", /./],
    [ranker, "/v1/rerank", { documents: ["a"] }, "query", /./],
    [ranker, "/v1/rerank", { query: "a", documents: ["b"], top_n: -1 }, "top_n", /./],
    [
      ...([ranker, "/v1/rerank", { query: "a", documents: ["b", "x".repeat(300)] }] as const),
      ...(["documents[1]", /maximum context length/] as const),
    ],
    [ranker, "/v1/score", {}, "text_1", /'text_1' and 'text_2'/],
    [ranker, "/v1/score", { text_1: "a" }, "text_2", /goes with 'text_1'/],
    [ranker, "/v1/score", { items: ["a"] }, "queries", /goes with 'items'/],
    [ranker, "/v1/score", { text_1: "a", text_2: "b", items: "c" }, "items", /exclude each other/],
    [ranker, "/v1/score", { text_1: 1, text_2: "a" }, "text_1", /expected a text/],
    [tiny, "/v1/score", { text_1: "a", text_2: ["b", ""] }, "text_2[1]", /empty/],
    [tiny, "/v1/rerank", { query: "", documents: ["a"] }, "query", /empty/],
    [ranker, "/v1/score", { text_1: ["a", "b"], text_2: ["a"] }, "text_1", /1:N.*N:N/],
    [ranker, "/v1/score", { text_1: [], text_2: ["a"] }, "text_1", /empty/],
    [
      ...([
        ranker,
        "/v1/score",
        { text_1: "a", text_2: "b", queries: "a", documents: "b" },
      ] as const),
      ...(["documents", /exclude each other/] as const),
    ],
    [classifier, "/v1/classify", { input: "" }, "input", /empty/],
    [classifier, "/v1/classify", { input: [[600]] }, "input[0][0]", /vocabulary ends/],
    [classifier, "/v1/classify", { input: "a", colour: 1 }, "colour", /Unknown parameter/],
    [
      classifier,
      "/v1/classify",
      { input: "a", truncate_prompt_tokens: 5 },
      "truncate_prompt_tokens",
      /never cut/,
    ],
  ];
  const names = new Map([
    [tiny, "troupe-tiny"],
    [encoder, "encoder"],
    [ranker, "ranker"],
    [classifier, "classifier"],
  ]);
  for (const [cluster, path, body, param, says] of bad) {
    const [status, { error }] = await post(cluster, path, { model: names.get(cluster), ...body });
    expect([path, body, status, error.param]).toEqual([path, body, 400, param]);
    expect(error.message).toMatch(says);
  }
  expect((await post(ranker, "/v1/rerank", { model: "no", query: "a", documents: ["b"] }))[0]).toBe(
    404,
  );
});
