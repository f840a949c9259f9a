/** Prompts computed by one worker and answered by another: the same answers as from one alone. */
import { expect, test } from "bun:test";
import OpenAI from "openai";
import { type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import { promptTokens } from "../../support/worlds/kv-prompts.ts";

const MODEL = "troupe-tiny";
const PAIR = ["--prefill", "1", "--decode", "1", "--kv-host-bytes", "64MB"];
/** Every prompt of a block or more is handed over. */
const ALWAYS = [...PAIR, "--router-conditional-disagg", "off"];

type Answer = {
  readonly choices: readonly { readonly text: string; readonly logprobs: unknown }[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details: {
      readonly cached_tokens: number;
      readonly cached_tokens_by_tier?: Readonly<Record<"g1" | "g2" | "g3" | "g4", number>>;
    };
  };
  readonly nvext: {
    readonly worker_id: { readonly prefill_worker_id: string; readonly decode_worker_id: string };
  };
};

async function complete(cluster: Cluster, body: object): Promise<Answer> {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      ...{ model: MODEL, temperature: 0, max_tokens: 24, nvext: { extra_fields: ["worker_id"] } },
      ...body,
    }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

async function tiersOf(cluster: Cluster, worker: string) {
  const path = `/api/actors/${encodeURIComponent(`${worker}/worker/${worker}`)}/snapshot`;
  const response = await fetch(cluster.inspector + path);
  const { snapshot } = (await response.json()) as {
    snapshot: { kv_tiers: { offloaded: number; onboarded: number; sending: number } };
  };
  return snapshot.kv_tiers;
}

/** Both workers have their place at the keeper, and the router knows. */
async function paired(cluster: Cluster): Promise<void> {
  let seed = 1_000;
  await until("a pair", 20_000, async () => {
    const { nvext } = await complete(cluster, { prompt: promptTokens(200, seed++) });
    return nvext.worker_id.prefill_worker_id === "prefill-0";
  });
}

const asked: readonly (readonly [string, object])[] = [
  ["one answer", { prompt: promptTokens(600, 1) }],
  // Logits differ in their last bits with the shape of a batch, so a long drawn answer may differ.
  ["a drawn token", { prompt: promptTokens(700, 8), temperature: 1, seed: 3, max_tokens: 2 }],
  ["two answers of one prompt", { prompt: promptTokens(500, 2), n: 2 }],
  ["log probabilities", { prompt: promptTokens(400, 3), logprobs: 2 }],
  ["a prompt of its own salt", { prompt: promptTokens(400, 4), cache_salt: "a" }],
  ["a form", { prompt: promptTokens(300, 5), guided_choice: ["yes", "no"] }],
  ["a prompt of full blocks", { prompt: promptTokens(4 * 64, 6) }],
  ["one token behind full blocks", { prompt: promptTokens(4 * 64 + 1, 7), max_tokens: 1 }],
];

test("answers of a pair are those of one worker, and its blocks move", async () => {
  const alone: Answer[] = [];
  {
    await using cluster = await startCluster([]);
    for (const [, body] of asked) alone.push(await complete(cluster, body));
  }
  await using cluster = await startCluster(ALWAYS);
  await paired(cluster);
  const before = await tiersOf(cluster, "decode-0");
  for (const [i, [what, body]] of asked.entries()) {
    const { choices, usage, nvext } = await complete(cluster, body);
    const expected = alone[i]!;
    expect([what, choices.map(({ text }) => text)]).toEqual([
      what,
      expected.choices.map(({ text }) => text),
    ]);
    const { cached_tokens_by_tier: tiers, ...details } = usage.prompt_tokens_details;
    expect({ ...usage, prompt_tokens_details: details }).toEqual(expected.usage);
    // Of a pair it is also told where they lay.
    expect(tiers && tiers.g1 + tiers.g2 + tiers.g3 + tiers.g4).toBe(details.cached_tokens);
    expect([what, nvext.worker_id]).toEqual([
      what,
      { prefill_worker_id: "prefill-0", decode_worker_id: "decode-0" },
    ]);
  }
  const prefill = await tiersOf(cluster, "prefill-0");
  const { onboarded } = await tiersOf(cluster, "decode-0");
  expect(onboarded - before.onboarded).toBeGreaterThanOrEqual(9 + 7 + 6 + 6 + 4 + 3 + 4);
  expect(prefill).toMatchObject({ sending: 0 });
  // A prompt that is scored is computed by the worker that answers.
  const echo = { prompt: promptTokens(300, 8), echo: true, logprobs: 1, max_tokens: 1 };
  const { nvext } = await complete(cluster, echo);
  expect(nvext.worker_id.prefill_worker_id).toBe("decode-0");
}, 120_000);

test("a pair answers OpenAI's client, streamed, and short or known prompts stay in one place", async () => {
  await using cluster = await startCluster(PAIR);
  await paired(cluster);
  const client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none" });
  const content = "Tell a story of a fox and a crow. ".repeat(40);
  const stream = await client.chat.completions.create({
    model: MODEL,
    messages: [{ role: "user", content }],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 20,
    temperature: 0,
  });
  let text = "";
  let used = 0;
  for await (const { choices, usage } of stream) {
    text += choices[0]?.delta.content ?? "";
    used = usage?.completion_tokens ?? used;
  }
  expect(text.length).toBeGreaterThan(0);
  expect(used).toBeGreaterThan(0);
  const known = promptTokens(640, 9);
  await complete(cluster, { prompt: known });
  // Nine tenths of it are in the cache of the worker that answers by now.
  const { nvext } = await complete(cluster, { prompt: [...known, 5, 6, 7] });
  expect(nvext.worker_id.prefill_worker_id).toBe("decode-0");
}, 60_000);

test("without a prefill worker the other one answers alone, unless that is forbidden", async () => {
  await using cluster = await startCluster(ALWAYS);
  await paired(cluster);
  const stop = `/api/actors/${encodeURIComponent("root/cluster/workers/prefill-0")}/stop`;
  expect((await fetch(cluster.inspector + stop, { method: "POST" })).status).toBe(200);
  await until("its end", 20_000, async () => (await pidsOf(cluster, "prefill")).length === 0);
  const { nvext } = await complete(cluster, { prompt: promptTokens(300, 10) });
  expect(nvext.worker_id.prefill_worker_id).toBe("decode-0");
}, 60_000);
