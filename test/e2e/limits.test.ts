/**
 * Every limit of llm/model/request-limits.ts and of docs/api.md from both sides, through the door,
 * on every engine: what is within is answered, what is beyond is a 400 that names the field.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { requestLimits as limits } from "../../llm/model/request-limits.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";

type Body = Readonly<Record<string, unknown>>;
type Row = {
  /** Of the error: where the field is. */
  readonly field: string;
  readonly path?: "completions" | "embeddings";
  readonly within: readonly Body[];
  readonly beyond: readonly Body[];
};

const many = <T>(count: number, item: T | ((i: number) => T)): T[] =>
  Array.from({ length: count }, (_, i) => (item instanceof Function ? item(i) : item));

/** The tiny vocabulary is smaller than the limit, but an id may be spelled in many ways. */
const biases = (count: number) =>
  Object.fromEntries(
    many(count, (i) => [String(i % 3_000).padStart(4 + Math.floor(i / 3_000), "0"), 0]),
  );
const variables = (count: number) => Object.fromEntries(many(count, (i) => [`v${i}`, i]));
const words = (count: number) => many(count, (i) => `word ${i}`);
const parts = (count: number) => [
  { role: "user", content: many(count, { type: "text", text: "" }) },
];

const tool = (i: number) => ({ type: "function", function: { name: `f${i}` } });
const described = (chars: number) => ({
  function: { name: "f", description: "x".repeat(chars) },
});
const asksFor = (calls: number) => [
  { role: "user", content: "Hi" },
  {
    role: "assistant",
    tool_calls: many(calls, (i) => ({ id: `c${i}`, function: { name: "f", arguments: "{}" } })),
  },
];

/** The numbers of each field, least and most, and what lies just outside. */
const range = (field: string, least: number, most: number, step: number): Row => ({
  field,
  within: [{ [field]: least }, { [field]: most }],
  beyond: [{ [field]: least - step }, { [field]: most + step }],
});

const rows: readonly Row[] = [
  { field: "n", within: [{ n: limits.answers }], beyond: [{ n: limits.answers + 1 }, { n: 0 }] },
  {
    ...{ field: "n", path: "completions" },
    within: [{ n: limits.answers }, { prompt: words(limits.answers / 2), n: 2 }],
    beyond: [{ prompt: words(limits.answers / 2), n: 3 }],
  },
  {
    ...{ field: "prompt", path: "completions" },
    within: [{ prompt: words(limits.answers) }],
    beyond: [{ prompt: words(limits.answers + 1) }],
  },
  {
    ...{ field: "best_of", path: "completions" },
    within: [{ best_of: limits.best_of }],
    beyond: [{ best_of: limits.best_of + 1 }, { n: 3, best_of: 2 }],
  },
  {
    field: "stop",
    within: [
      { stop: words(limits.stop) },
      { stop: "x".repeat(limits.stop_chars) },
      { stop: many(limits.stop, (i) => 100 + i) },
      {
        stop: many(limits.stop, (i) => 100 + i),
        stop_token_ids: many(limits.stop_token_ids, (i) => 1_000 + i),
        min_tokens: 1,
      },
    ],
    beyond: [
      { stop: words(limits.stop + 1) },
      { stop: "x".repeat(limits.stop_chars + 1) },
      { stop: ["x", "x".repeat(limits.stop_chars + 1)] },
    ],
  },
  {
    field: "stop_token_ids",
    within: [{ stop_token_ids: many(limits.stop_token_ids, (i) => 1_000 + i) }],
    beyond: [{ stop_token_ids: many(limits.stop_token_ids + 1, (i) => 1_000 + i) }],
  },
  {
    field: "logit_bias",
    within: [{ logit_bias: biases(limits.logit_bias) }, { logit_bias: { 1000: 100, 1001: -100 } }],
    beyond: [{ logit_bias: biases(limits.logit_bias + 1) }, { logit_bias: { 1000: 101 } }],
  },
  {
    field: "top_logprobs",
    within: [{ logprobs: true, top_logprobs: limits.top_logprobs }],
    beyond: [{ logprobs: true, top_logprobs: limits.top_logprobs + 1 }, { top_logprobs: 1 }],
  },
  {
    ...{ field: "logprobs", path: "completions" },
    within: [{ logprobs: limits.logprobs }],
    beyond: [{ logprobs: limits.logprobs + 1 }],
  },
  {
    field: "messages",
    within: [
      { messages: parts(limits.content_parts) },
      { messages: [{ role: "user", content: "Hi", ...variables(limits.unknown_fields) }] },
    ],
    beyond: [
      { messages: parts(limits.content_parts + 1) },
      { messages: many(limits.messages + 1, { role: "user", content: "" }) },
      { messages: [{ role: "user", content: "Hi", ...variables(limits.unknown_fields + 1) }] },
      { messages: [] },
    ],
  },
  {
    field: "chat_template_kwargs",
    within: [{ chat_template_kwargs: variables(limits.template_variables) }],
    beyond: [{ chat_template_kwargs: variables(limits.template_variables + 1) }],
  },
  {
    field: "tools",
    // So many are shown to the model that they fill its context; names alone would not fit either.
    within: [{ tools: many(limits.tools, tool), tool_choice: "none" }],
    beyond: [
      { tools: many(limits.tools + 1, tool) },
      { tools: [{ ...tool(1), ...described(limits.tools_chars) }] },
    ],
  },
  {
    field: "messages",
    within: [{ messages: asksFor(2) }],
    beyond: [{ messages: asksFor(limits.tool_calls + 1) }],
  },
  range("temperature", 0, 2, 0.01),
  range("top_p", 0, 1, 0.01),
  range("top_k", -1, 1_000_000_000, 1),
  range("min_p", 0, 1, 0.01),
  range("frequency_penalty", -2, 2, 0.01),
  range("presence_penalty", -2, 2, 0.01),
  {
    field: "repetition_penalty",
    within: [{ repetition_penalty: 0.01 }, { repetition_penalty: 2 }],
    beyond: [{ repetition_penalty: 0 }, { repetition_penalty: 2.01 }],
  },
  {
    field: "typical_p",
    within: [{ typical_p: 0.01 }, { typical_p: 1 }],
    beyond: [{ typical_p: 0 }, { typical_p: 1.01 }],
  },
  {
    field: "seed",
    within: [{ seed: 2 ** 64 }, { seed: -(2 ** 64) }, { seed: 0 }],
    beyond: [{ seed: 2 ** 65 }, { seed: 0.5 }],
  },
  {
    field: "min_tokens",
    within: [{ min_tokens: 1 }],
    beyond: [{ min_tokens: 2 }, { min_tokens: -1 }],
  },
];

const engines = [
  ["llama", []],
  ["mocker", ["--speedup-ratio", "0"]],
  ["echo", []],
] as const;

describe.each(engines)("%s", (engine, flags) => {
  let cluster: Cluster;
  let model: { readonly id: string; readonly context_window: number };
  beforeAll(async () => {
    cluster = await startCluster(["--engine", engine, ...flags]);
    const list = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
      data: [typeof model];
    };
    [model] = list.data;
  }, 60_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  async function ask(path: Row["path"], body: Body) {
    const base =
      path === "completions"
        ? { prompt: "Once", max_tokens: 1 }
        : { messages: [{ role: "user", content: "Hi" }], max_tokens: 1 };
    const response = await fetch(
      `${cluster.url}/v1/${path === undefined ? "chat/completions" : path}`,
      {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ model: model.id, ...(path === "embeddings" ? {} : base), ...body }),
      },
    );
    const answer = (await response.json()) as {
      error?: { code: string; param: string | null; message: string };
      data?: unknown[];
    };
    return { status: response.status, ...answer };
  }

  test.each(rows.map((row) => [`${row.path ?? "chat"}: ${row.field}`, row] as const))(
    "%s",
    async (_, { field, path, within, beyond }) => {
      for (const body of within) {
        const { status, error } = await ask(path, body);
        expect([status, error?.message]).toEqual([200, undefined]);
      }
      for (const body of beyond) {
        const { status, error } = await ask(path, body);
        expect([status, error?.code]).toEqual([400, "invalid_value"]);
        expect(error?.param).toStartWith(field);
      }
    },
    60_000,
  );

  test("as many messages as there may be are refused for their length alone, if at all", async () => {
    const messages = many(limits.messages, { role: "user", content: "" });
    const { status, error } = await ask(undefined, { messages });
    if (status !== 200) expect(error?.code).toBe("context_length_exceeded");
  });

  test("the context is what the engine takes, and one more token is not", async () => {
    const context = Math.min(model.context_window, 1_000_000);
    const prompt = many(context - 1, 1_000);
    expect((await ask("completions", { prompt })).status).toBe(200);
    if (context < model.context_window) return;
    for (const body of [{ prompt: [...prompt, 1_000] }, { prompt, max_tokens: 2 }]) {
      const { status, error } = await ask("completions", body);
      expect([status, error?.code]).toEqual([400, "context_length_exceeded"]);
    }
  }, 60_000);

  test("inputs for embeddings", async () => {
    const most = await ask("embeddings", { input: words(limits.embedding_inputs) });
    expect([most.status, most.data?.length]).toEqual([200, limits.embedding_inputs]);
    const more = await ask("embeddings", { input: words(limits.embedding_inputs + 1) });
    expect([more.status, more.error?.param]).toEqual([400, "input"]);
  }, 120_000);
});
