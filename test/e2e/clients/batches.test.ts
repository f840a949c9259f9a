/** The official `openai` package has batches answered: chats, completions, embeddings, cancelled. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type OpenAI from "openai";
import { toFile } from "openai";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import { annAndBob, refusal, TWO_KEYS } from "./two-keys.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-batches-"));
let cluster: Cluster;
let ann: OpenAI;
let bob: OpenAI;

beforeAll(async () => {
  cluster = await startCluster(["--data-dir", folder, ...TWO_KEYS]);
  [ann, bob] = annAndBob(cluster);
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Endpoint = OpenAI.BatchCreateParams["endpoint"];

async function upload(lines: readonly (object | string)[]): Promise<string> {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  const file = await toFile(Buffer.from(text.join("\n")), "requests.jsonl");
  return (await ann.files.create({ file, purpose: "batch" })).id;
}

const create = (input_file_id: string, endpoint: Endpoint, more: object = {}) =>
  ann.batches.create({ input_file_id, endpoint, completion_window: "24h", ...more });

async function ended(id: string): Promise<OpenAI.Batch> {
  let batch = await ann.batches.retrieve(id);
  const over = ["completed", "failed", "expired", "cancelled"];
  await until(`batch ${id} is over`, 30_000, async () => {
    batch = await ann.batches.retrieve(id);
    return over.includes(batch.status);
  });
  return batch;
}

type Answer = {
  custom_id: string | null;
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null;
  error: { code: string; line: number } | null;
};

async function linesOf(file: string | undefined | null): Promise<Answer[]> {
  if (!file) return [];
  const text = await (await ann.files.content(file)).text();
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer);
}

const chat = (custom_id: string, content: string, more: object = {}) => ({
  ...{ custom_id, method: "POST", url: "/v1/chat/completions" },
  body: {
    ...{
      model: "troupe-tiny",
      messages: [{ role: "user", content }],
      max_tokens: 8,
      temperature: 0,
    },
    ...more,
  },
});

test("chats: one bad line has its error, all others the answer that they have alone", async () => {
  const input = await upload([
    ...[0, 1, 2, 3, 4].map((n) => chat(`c${n}`, `What is ${n}?`)),
    "not json",
    chat("c1", "twice"),
    chat("wrong", "hello", { temperature: 99 }),
    chat("nobody", "hello", { model: "none" }),
  ]);
  const made = await create(input, "/v1/chat/completions", { metadata: { job: "night" } });
  expect(made).toMatchObject({ object: "batch", status: "validating", metadata: { job: "night" } });
  expect(made.expires_at).toBe(made.created_at + 86_400);
  const batch = await ended(made.id);
  expect(batch.status).toBe("completed");
  expect(batch.request_counts).toEqual({ total: 9, completed: 5, failed: 4 });
  expect(batch.model).toBe("troupe-tiny");
  const output = await linesOf(batch.output_file_id);
  expect(output.map(({ custom_id }) => custom_id).sort()).toEqual(["c0", "c1", "c2", "c3", "c4"]);
  let tokens = 0;
  for (const { custom_id, response, error } of output) {
    expect(error).toBeNull();
    expect(response?.status_code).toBe(200);
    const body = response?.body as unknown as OpenAI.ChatCompletion;
    tokens += body.usage?.total_tokens ?? 0;
    const { body: request } = chat("", `What is ${custom_id?.slice(1)}?`);
    const alone = await ann.chat.completions.create(request as never);
    expect(body.choices[0]?.message.content).toBe(
      (alone as OpenAI.ChatCompletion).choices[0]!.message.content,
    );
  }
  expect(batch.usage?.total_tokens).toBe(tokens);
  const errors = await linesOf(batch.error_file_id);
  const seen = errors.map(({ custom_id, error, response }) => [
    custom_id,
    error?.code ?? response?.status_code,
  ]);
  expect(seen.sort()).toEqual([
    [null, "invalid_json_line"],
    ["c1", "duplicate_custom_id"],
    ["nobody", 404],
    ["wrong", 400],
  ] as never);
  expect(await ann.files.retrieve(batch.output_file_id!)).toMatchObject({
    ...{ purpose: "batch_output", filename: `${batch.id}_output.jsonl` },
  });
  await ann.files.delete(input);
});

test("embeddings and completions are lines, too", async () => {
  const embeddings = await upload(
    [0, 1, 2].map((n) => ({
      ...{ custom_id: `e${n}`, method: "POST", url: "/v1/embeddings" },
      body: { model: "troupe-tiny", input: `text ${n}` },
    })),
  );
  const completions = await upload([
    {
      ...{ custom_id: "p", method: "POST", url: "/v1/completions" },
      body: { model: "troupe-tiny", prompt: "Troupe is", max_tokens: 4 },
    },
  ]);
  const made = await Promise.all([
    create(embeddings, "/v1/embeddings"),
    create(completions, "/v1/completions", {
      output_expires_after: { anchor: "created_at", seconds: 3_600 },
    }),
  ]);
  const [vectors, texts] = await Promise.all(made.map(({ id }) => ended(id)));
  const output = await linesOf(vectors?.output_file_id);
  expect(output.length).toBe(3);
  for (const { response } of output) {
    const body = response?.body as unknown as OpenAI.CreateEmbeddingResponse | undefined;
    expect(body?.data[0]?.embedding.length).toBeGreaterThan(8);
  }
  expect(vectors?.usage?.input_tokens).toBeGreaterThan(3);
  expect((await linesOf(texts?.output_file_id))[0]?.response?.status_code).toBe(200);
  const file = await ann.files.retrieve(texts?.output_file_id ?? "");
  expect(file.expires_at).toBe(file.created_at + 3_600);
});

test("batches are listed in pages, for their key alone", async () => {
  const input = await upload([chat("a", "hi")]);
  const made = [await create(input, "/v1/chat/completions")];
  made.push(await create(input, "/v1/chat/completions"));
  const ids: string[] = [];
  for await (const batch of ann.batches.list({ limit: 1 })) ids.push(batch.id);
  expect(ids.slice(0, 2)).toEqual([made[1]!.id, made[0]!.id]);
  expect((await bob.batches.list()).data).toEqual([]);
  expect(await refusal(bob.batches.retrieve(made[0]!.id))).toEqual([404, "batch_not_found"]);
  expect(await refusal(bob.batches.cancel(made[0]!.id))).toEqual([404, "batch_not_found"]);
  for (const { id } of made) await ended(id);
  expect(await refusal(ann.batches.cancel(made[0]!.id))).toEqual([409, "batch_is_over"]);
});

test("a batch that is cancelled keeps what is done; its file is in use until then", async () => {
  const lines = Array.from({ length: 3_000 }, (_, n) =>
    chat(`c${n}`, "Go on.", { max_tokens: 64 }),
  );
  const input = await upload(lines);
  const { id } = await create(input, "/v1/chat/completions");
  await until("some lines are done", 20_000, async () => {
    return ((await ann.batches.retrieve(id)).request_counts?.completed ?? 0) > 0;
  });
  expect(await refusal(ann.files.delete(input))).toEqual([409, "file_in_use"]);
  expect((await ann.batches.cancel(id)).status).toBe("cancelling");
  const batch = await ended(id);
  expect(batch.status).toBe("cancelled");
  const { completed = 0 } = batch.request_counts ?? {};
  expect(completed).toBeGreaterThan(0);
  expect(completed).toBeLessThan(3_000);
  expect((await linesOf(batch.output_file_id)).length).toBe(completed);
  await ann.files.delete(input);
});

test("what is wrong with a batch is named", async () => {
  const input = await upload([chat("a", "hi")]);
  const other = await ann.files.create({
    file: await toFile(Buffer.from("x"), "x"),
    purpose: "user_data",
  });
  const chats = "/v1/chat/completions";
  expect(await refusal(create("file-none", chats))).toEqual([404, "file_not_found"]);
  expect(await refusal(create(other.id, chats))).toEqual([400, "invalid_value"]);
  expect(await refusal(create(input, "/v1/moderations"))).toEqual([400, "invalid_value"]);
  expect(await refusal(create(input, chats, { completion_window: "soon" }))).toEqual([
    400,
    "invalid_value",
  ]);
  expect(await refusal(create(input, chats, { color: "red" }))).toEqual([400, "unknown_parameter"]);
  const bobs = bob.batches.create({
    ...{ input_file_id: input, endpoint: chats, completion_window: "24h" },
  });
  expect(await refusal(bobs)).toEqual([404, "file_not_found"]);
  expect(await refusal(ann.batches.retrieve("batch_none"))).toEqual([404, "batch_not_found"]);
  const empty = await create(await upload([""]), chats);
  expect(await ended(empty.id)).toMatchObject({
    ...{ status: "failed", errors: { object: "list", data: [{ code: "empty_file" }] } },
  });
  // A file that no batch reads any more can go, also after a refused batch.
  await ann.files.delete(input);
});

test("the metrics count lines by how they ended", async () => {
  const text = await (await fetch(`${cluster.url}/metrics`)).text();
  expect(text).toMatch(/^troupe_batch_lines_total\{.*status="completed".*\} [1-9]/m);
  expect(text).toMatch(/^troupe_batch_lines_total\{.*status="failed".*\} [1-9]/m);
  expect(text).toMatch(/^troupe_batch_lines_in_flight/m);
});
