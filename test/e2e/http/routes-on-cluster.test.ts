/** Small routes with real processes: tokens of a real model, caches that are really emptied. */
import { expect, test } from "bun:test";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { complete, knownBlocks, promptTokens } from "../../support/worlds/kv-prompts.ts";

async function post<T>(cluster: Cluster, path: string, body?: object): Promise<T> {
  const response = await fetch(cluster.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, response.status]).toEqual([path, 200]);
  return (await response.json()) as T;
}

type Cleared = {
  readonly cleared_workers: readonly { readonly name: string; readonly response: string }[];
  readonly failed_workers: readonly object[];
};

test("/clear_kv_blocks empties the caches of all workers, and routers hear of it", async () => {
  const mockers = ["--engine", "mocker", "--workers", "2", "--speedup-ratio", "0"];
  await using cluster = await startCluster(mockers);
  const prompt = promptTokens(640, 1);
  expect([await complete(cluster, prompt), await complete(cluster, prompt)]).toEqual([0, 576]);
  const blocks = async () => [...(await knownBlocks(cluster)).values()].reduce((a, b) => a + b, 0);
  await until("the blocks known", 5_000, async () => (await blocks()) >= 10);
  const { cleared_workers, failed_workers } = await post<Cleared>(cluster, "/clear_kv_blocks");
  expect(failed_workers).toEqual([]);
  expect(cleared_workers).toHaveLength(2);
  expect(cleared_workers.some(({ response }) => /^1\d cached blocks$/.test(response))).toBe(true);
  await until("the routers to hear", 5_000, async () => (await blocks()) === 0);
  expect([await complete(cluster, prompt), await complete(cluster, prompt)]).toEqual([0, 576]);
}, 60_000);

test("tokens of the bundled model, its cache, and routes elsewhere", async () => {
  const env = { DYN_HTTP_SVC_CHAT_PATH: "/chat", DYN_HTTP_SVC_MODELS_PATH: "/list" };
  await using cluster = await startCluster([], { env });
  const list = (await (await fetch(`${cluster.url}/list`)).json()) as { data: [{ id: string }] };
  const model = list.data[0].id;
  expect((await fetch(`${cluster.url}/list/${model}/ready`)).status).toBe(200);
  const messages = [{ role: "user", content: "What is an actor, and what is a supervisor?" }];
  type Tokens = {
    readonly count: number;
    readonly tokens: number[];
    readonly token_strs: string[];
  };
  const { count, tokens } = await post<Tokens>(cluster, "/tokenize", { messages });
  const chat = { model, messages, max_tokens: 12, temperature: 0 };
  type Answer = {
    readonly usage: {
      readonly prompt_tokens: number;
      readonly prompt_tokens_details: { readonly cached_tokens: number };
    };
    readonly choices: [{ readonly message: { readonly content: string } }];
  };
  const answered = await post<Answer>(cluster, "/chat", chat);
  expect(answered.usage.prompt_tokens).toBe(count);
  const text = "Actors, naïve 日本 ends. ";
  const said = await post<Tokens>(cluster, "/tokenize", { prompt: text, return_token_strs: true });
  expect(said.token_strs).toHaveLength(said.count);
  const plain = { prompt: text, add_special_tokens: false };
  const ids = (await post<Tokens>(cluster, "/tokenize", plain)).tokens;
  expect(await post<object>(cluster, "/detokenize", { tokens: ids })).toEqual({ prompt: text });
  // Token for token the answer of the chat.
  const params = { max_tokens: 12, temperature: 0 };
  const asked = { token_ids: tokens, sampling_params: params };
  type Made = { readonly choices: [{ readonly token_ids: number[] }] };
  const made = await post<Made>(cluster, "/inference/v1/generate", asked);
  const out = { tokens: made.choices[0].token_ids };
  const { prompt } = await post<{ prompt: string }>(cluster, "/detokenize", out);
  expect(prompt.trim()).toBe(answered.choices[0].message.content.trim());
  const cachedOf = async (): Promise<number> => {
    const long = [{ role: "user", content: "What is an actor? ".repeat(20) }];
    const { usage } = await post<Answer>(cluster, "/chat", { ...chat, messages: long });
    return usage.prompt_tokens_details.cached_tokens;
  };
  expect([await cachedOf(), (await cachedOf()) > 0]).toEqual([0, true]);
  const { cleared_workers } = await post<Cleared>(cluster, "/clear_kv_blocks");
  expect(cleared_workers).toHaveLength(1);
  expect(await cachedOf()).toBe(0);
}, 60_000);

test("a text of megabytes is tokenized while others are answered", async () => {
  await using cluster = await startCluster(["--engine", "mocker", "--speedup-ratio", "0"]);
  const body = { prompt: "an actor has a mailbox ".repeat(150_000), return_token_strs: true };
  let over = false;
  const counted = post<{ readonly count: number }>(cluster, "/tokenize", body).finally(() => {
    over = true;
  });
  let looks = 0;
  while (!over) {
    // Alone on a machine the longest wait is about 0.1 s; a frontend that is held fails here.
    const live = await fetch(`${cluster.url}/live`, { signal: AbortSignal.timeout(1_000) });
    expect(live.status).toBe(200);
    looks += 1;
  }
  expect((await counted).count).toBeGreaterThan(600_000);
  expect(looks).toBeGreaterThan(3);
}, 60_000);

test("/busy_threshold acts on the routers of all frontends", async () => {
  await using cluster = await startCluster(["--engine", "mocker", "--frontends", "2"]);
  const list = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: [{ id: string }];
  };
  const model = list.data[0].id;
  const complete = (more: object) =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, prompt: "Hi", max_tokens: 1, ...more }),
      keepalive: false,
    });
  /** Each request meets either of the frontends. */
  const allAre = async (status: number) => {
    const all = await Promise.all(Array.from({ length: 12 }, () => complete({})));
    return all.every((one) => one.status === status);
  };
  const none = {
    ...{ active_decode_blocks_threshold: null, active_prefill_tokens_threshold: null },
    active_prefill_tokens_threshold_frac: null,
  };
  const set = (change: object) => post<object>(cluster, "/busy_threshold", { model, ...change });
  expect(await set({})).toEqual({ model, ...none });
  const running = await complete({ max_tokens: 4_000, ignore_eos: true, stream: true });
  const reader = running.body!.getReader();
  await reader.read();
  expect(await allAre(200)).toBe(true);
  // A worker that has anything to do is above it.
  const low = { active_decode_blocks_threshold: 0 };
  expect(await set(low)).toEqual({ model, ...none, ...low });
  await until("both to refuse", 5_000, () => allAre(529));
  const read = await fetch(`${cluster.url}/busy_threshold`);
  expect(await read.json()).toEqual({ thresholds: [{ model, ...none, ...low }] });
  await set({ active_decode_blocks_threshold: 1 });
  await until("both to take", 5_000, () => allAre(200));
  await reader.cancel();
}, 60_000);
