/**
 * LoRA adapters on real clusters: named as models, loaded and unloaded while the server runs, at
 * workers that are restarted, too. What one says equals what the model with merged weights says.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import {
  type Cluster,
  pidOfWorker,
  runCluster,
  startCluster,
  until,
} from "../../support/cluster.ts";
import { loraGguf, mergedGguf } from "../../support/engine/lora-gguf.ts";
import { randomGguf } from "../../support/engine/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-lora-"));
const BASE = randomGguf();
const written = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const base = written("base.gguf", BASE);
const a = written("a.gguf", loraGguf(BASE, { seed: 1 }));
const b = written("b.gguf", loraGguf(BASE, { seed: 2 }));
const merged = written("merged.gguf", mergedGguf(BASE, { seed: 1 }));

/** Log probabilities of random weights differ by so much with the shape of the batch. */
const NEAR = 0.1;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster(["--model", base, "--workers", "2", "--lora", `first=${a}`]);
}, 120_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function post(path: string, body: object, at = cluster): Promise<[number, string]> {
  const response = await fetch(at.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.text()];
}
const load = (body: object) => post("/v1/load_lora_adapter", body);
const unload = (lora_name: string) => post("/v1/unload_lora_adapter", { lora_name });
const errorOf = ([status, text]: [number, string]) => {
  const { error } = JSON.parse(text) as { error: { code: string; param: string; message: string } };
  return { status, code: error.code, param: error.param, message: error.message };
};

const clientOf = (at: Cluster) =>
  new OpenAI({ baseURL: `${at.url}/v1`, apiKey: "none", maxRetries: 0 });

async function said(model: string, at = cluster): Promise<string> {
  const { choices, model: shown } = await clientOf(at).completions.create({
    ...{
      model,
      prompt: "What is a lobster, and why does it dance",
      temperature: 0,
      max_tokens: 24,
    },
    seed: 1,
  });
  expect(shown).toBe(model);
  return choices[0]!.text;
}

test("requests name an adapter as their model, and it says what merged weights say", async () => {
  const client = clientOf(cluster);
  const listed = (await client.models.list()).data as unknown as Record<string, unknown>[];
  expect(listed.map(({ id, root, parent }) => [id, root, parent])).toEqual([
    ["base", "base", null],
    ["first", a, "base"],
  ]);
  expect(await client.models.retrieve("first")).toMatchObject({ id: "first", parent: "base" });
  await using whole = await startCluster(["--model", merged, "--model-name", "merged"]);
  const wanted = await said("merged", whole);
  expect(await said("first")).toBe(wanted);
  expect(await said("base")).not.toBe(wanted);
  const stream = await client.chat.completions.create({
    ...{ model: "first", messages: [{ role: "user", content: "hi" }], stream: true },
    ...{ temperature: 0, max_tokens: 5 },
  });
  for await (const chunk of stream) expect(chunk.model).toBe("first");
}, 30_000);

test("an adapter is loaded at run time, at all workers, and at those that come later", async () => {
  expect(await load({ lora_name: "second", lora_path: b })).toEqual([
    200,
    "Success: LoRA adapter 'second' added successfully.",
  ]);
  const second = await said("second");
  expect(second).not.toBe(await said("first"));
  for (const worker of ["worker-0", "worker-1"]) {
    const pinned = await clientOf(cluster).completions.create(
      { model: "second", prompt: "hi", max_tokens: 1 },
      { headers: { "x-dynamo-worker-instance-id": worker } },
    );
    expect(pinned.model).toBe("second");
  }
  const before = await pidOfWorker(cluster, "worker-0");
  process.kill(before, "SIGKILL");
  await until("the worker to be back", 20_000, async () => {
    const pid = await pidOfWorker(cluster, "worker-0").catch(() => before);
    return pid !== before;
  });
  await until("the adapter at the new worker", 20_000, async () => {
    const response = await fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-dynamo-worker-instance-id": "worker-0" },
      body: JSON.stringify({ model: "second", prompt: "hi", max_tokens: 1 }),
    });
    return response.status === 200;
  });
  expect(await said("second")).toBe(second);
}, 60_000);

test("a name is replaced only when that is asked for, and unloaded once", async () => {
  const twice = errorOf(await load({ lora_name: "first", lora_path: b }));
  expect(twice).toMatchObject({ status: 400, param: "lora_name" });
  expect(twice.message).toMatch(/loaded already; send 'load_inplace': true/);
  const [was, other] = [await said("first"), await said("second")];
  expect((await load({ lora_name: "first", lora_source: b, load_inplace: true }))[0]).toBe(200);
  expect(await said("first")).toBe(other);
  expect(was).not.toBe(other);
  expect(await unload("second")).toEqual([
    200,
    "Success: LoRA adapter 'second' removed successfully.",
  ]);
  const gone = clientOf(cluster).completions;
  const asked = async () => await gone.create({ model: "second", prompt: "hi", max_tokens: 1 });
  await expect(asked()).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  expect(errorOf(await unload("second"))).toMatchObject({ status: 404, param: "lora_name" });
}, 30_000);

test("an answer keeps its adapter when its worker is killed, and when a client resumes it", async () => {
  const body = {
    ...{ model: "first", prompt: "go on and on", max_tokens: 300, temperature: 0 },
    ...{ ignore_eos: true, stream: true, logprobs: 1 },
  };
  const ask = (headers: Record<string, string> = {}) =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const eventsOf = (text: string) =>
    text.split("\n\n").flatMap((event) => {
      const id = /^id: (.+)$/m.exec(event)?.[1];
      const data = /^data: (\{.+)$/m.exec(event)?.[1];
      return data === undefined ? [] : [{ id, chunk: JSON.parse(data) as Chunk }];
    });
  const textOf = (events: readonly { chunk: Chunk }[]) =>
    events.map(({ chunk }) => chunk.choices[0]?.text ?? "").join("");
  const undisturbed = scoredTokens(eventsOf(await (await ask()).text()));
  expect(undisturbed).toHaveLength(300);
  const pids = new Map<string, number>();
  for (const worker of ["worker-0", "worker-1"]) {
    pids.set(worker, await pidOfWorker(cluster, worker));
  }
  let text = "";
  let killed: string | undefined;
  // On a busy machine such a small model has made the whole answer before we have read of it, so
  // that nobody is left to kill: then it is asked again.
  for (let tries = 0; killed === undefined && tries < 20; tries++) {
    const reader = (await ask({ "x-resumable": "true" })).body!.getReader();
    const decoder = new TextDecoder();
    text = "";
    while (eventsOf(text).length < 5) text += decoder.decode((await reader.read()).value);
    // It would also end the answer while we ask who makes it.
    for (const pid of pids.values()) process.kill(pid, "SIGSTOP");
    killed = await workerOfLive("first");
    for (const [worker, pid] of pids) process.kill(pid, worker === killed ? "SIGKILL" : "SIGCONT");
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      text += decoder.decode(read.value);
    }
  }
  expect(killed).toBeDefined();
  const events = eventsOf(text);
  expectSameWay(scoredTokens(events), undisturbed);
  const [from] = events.slice(20);
  const request = from!.id!.slice(0, from!.id!.lastIndexOf(":"));
  const resumed = await fetch(`${cluster.url}/v1/streams/${request}`, {
    headers: { "last-event-id": from!.id! },
  });
  const rest = eventsOf(await resumed.text());
  expect(textOf(rest)).toBe(textOf(events.slice(21)));
  expect(rest.every(({ chunk }) => chunk.model === "first")).toBe(true);
}, 60_000);

/** Who makes the answer of this model that runs now; undefined: it has ended. */
async function workerOfLive(model: string): Promise<string | undefined> {
  const response = await fetch(`${cluster.inspector}/api/requests`);
  const { requests } = (await response.json()) as {
    requests: { model: string; state: string; workers: string[] }[];
  };
  const live = requests.filter((row) => row.model === model && row.state === "live");
  return live[0]?.workers.at(-1);
}

type Chunk = {
  readonly model: string;
  readonly choices: readonly {
    readonly text: string;
    readonly logprobs: { readonly tokens: string[]; readonly token_logprobs: number[] } | null;
  }[];
};

const scoredTokens = (events: readonly { chunk: Chunk }[]) =>
  events.flatMap(({ chunk }) =>
    chunk.choices.flatMap(({ logprobs }) =>
      (logprobs?.tokens ?? []).map((token, i) => ({
        token,
        logprob: logprobs!.token_logprobs[i]!,
      })),
    ),
  );

/**
 * The same likeliest tokens, with the same chances. What is computed again has another batch
 * shape, and logits that differ a little: where two tokens are as likely as each other, an answer
 * may take the other one, and from there it is another text.
 */
function expectSameWay(
  got: ReturnType<typeof scoredTokens>,
  undisturbed: ReturnType<typeof scoredTokens>,
): void {
  expect(got).toHaveLength(undisturbed.length);
  const parts = got.findIndex(({ token }, i) => token !== undisturbed[i]!.token);
  const common = parts < 0 ? got : got.slice(0, parts + 1);
  for (const [i, { logprob }] of common.entries()) {
    expect(Math.abs(logprob - undisturbed[i]!.logprob)).toBeLessThan(NEAR);
  }
}

test("an answer that runs ends with its adapter before that is unloaded", async () => {
  expect((await load({ lora_name: "third", lora_path: a }))[0]).toBe(200);
  const stream = await clientOf(cluster).completions.create({
    ...{ model: "third", prompt: "go on", max_tokens: 400, temperature: 0, stream: true },
    ...({ ignore_eos: true } as object),
  });
  let chunks = 0;
  let text = "";
  let unloading: Promise<[number, string]> | undefined;
  let reason: string | null = null;
  for await (const { choices } of stream) {
    chunks += 1;
    text += choices[0]?.text ?? "";
    reason = choices[0]?.finish_reason ?? reason;
    if (chunks === 3) unloading = unload("third");
  }
  expect(reason).toBe("length");
  expect(text.length).toBeGreaterThan(300);
  expect((await unloading!)[0]).toBe(200);
}, 30_000);

test("what cannot be loaded is a 400 in one line, and nothing is left of it", async () => {
  const odd = written("odd.gguf", loraGguf(BASE, { seed: 3, odd_rows: 8 }));
  const cases = [
    [{ lora_name: "x", lora_path: odd }, "lora_path", /incorrect shape/],
    [
      { lora_name: "x", lora_path: join(folder, "none.gguf") },
      "lora_path",
      /there is no LoRA adapter file/,
    ],
    [{ lora_name: "x", lora_path: base }, "lora_path", /is no LoRA adapter/],
    [{ lora_name: "x", lora_path: "s3://x/y" }, "lora_path", /no model source/],
    [{ lora_name: "x", lora_path: folder }, "lora_path", /is a folder and no adapter/],
    [{ lora_name: "x", lora_path: a, lora_source: base }, "lora_source", /Send one of them/],
    [{ lora_name: "x" }, "lora_path", /Both 'lora_name' and it/],
    [{ lora_path: a }, "lora_name", /lora_name/],
    [{ lora_name: "base", lora_path: a }, "lora_name", /is the name of a model/],
    [{ lora_name: "a b", lora_path: a }, "lora_name", /without blanks/],
    [{ lora_name: "x", lora_path: a, model: "first" }, "model", /is an adapter itself/],
  ] as const;
  for (const [body, param, says] of cases) {
    const error = errorOf(await load(body));
    expect([body, error.status, error.param]).toEqual([body, 400, param]);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain("\n");
  }
  expect(errorOf(await post("/v1/embeddings", { model: "first", input: "hi" }))).toMatchObject({
    ...{ status: 400, param: "model" },
    message: expect.stringMatching(/is a LoRA adapter/),
  });
  expect((await fetch(`${cluster.url}/v1/models/x`)).status).toBe(404);
}, 30_000);

test("settings that contradict each other are one line", async () => {
  const cases = [
    [["--lora", "a"], /give NAME=SOURCE/],
    [["--lora", `base=${a}`], /a model has that name/],
    [["--lora", `b:x=${a}`], /no model is named "b"/],
    [["--lora", "x=/none.gguf"], /there is no LoRA adapter file/],
    [["--lora", `x=${base}`], /is no LoRA adapter/],
  ] as const;
  for (const [args, says] of cases) {
    const { code, stderr } = await runCluster(["--model", base, "--port", "0", ...args]);
    expect([args, code === 0]).toEqual([args, false]);
    expect(stderr).toMatch(says);
  }
}, 30_000);

test("simulated workers take adapters by name", async () => {
  await using mockers = await startCluster([
    ...["--engine", "mocker", "--speedup-ratio", "100", "--workers", "4"],
    ...["--workers-per-process", "2", "--lora", "x=anything"],
  ]);
  expect((await said("x", mockers)).length).toBeGreaterThan(0);
  const loaded = await post("/v1/load_lora_adapter", { lora_name: "y", lora_path: "z" }, mockers);
  expect(loaded[0]).toBe(200);
  expect((await said("y", mockers)).length).toBeGreaterThan(0);
}, 30_000);
