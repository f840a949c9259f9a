/** `kill -9` of workers under live answers: every client gets its whole answer, once. */
import { expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import OpenAI from "openai";
import { alive, type Cluster, pidsOf, startCluster, tree, until } from "../support/cluster.ts";
import { type StreamedAnswer, streamAnswer } from "../support/streamed-answer.ts";
import { underWay } from "../support/under-way.ts";

const slow = ["--engine", "mocker", "--workers", "3", "--speedup-ratio", "1"];

function requestOf(seed: number, max_tokens: number) {
  return { prompt: `Answer number ${seed}`, max_tokens, seed, ignore_eos: true };
}

async function answers(cluster: Cluster, count: number, max_tokens: number) {
  const seeds = Array.from({ length: count }, (_, seed) => seed);
  return Promise.all(seeds.map((seed) => streamAnswer(cluster.url, requestOf(seed, max_tokens))));
}

function expectSame(got: readonly StreamedAnswer[], undisturbed: readonly StreamedAnswer[]): void {
  for (const [i, answer] of got.entries()) {
    expect(answer.error).toBeUndefined();
    expect(answer.text).toBe(undisturbed[i]!.text);
    expect(answer.finish_reason).toBe("length");
  }
}

/** How many answers left a worker, by why. */
async function moves(cluster: Cluster, why: string): Promise<number> {
  const text = await (await fetch(`${cluster.url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.includes(`why="${why}"`));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function expectNoOrphans(cluster: Cluster): Promise<void> {
  const response = await fetch(`${cluster.inspector}/api/orphans`);
  expect(await response.json()).toMatchObject({ orphans: 0 });
}

test("answers go on, byte for byte, when their worker is killed", async () => {
  await using cluster = await startCluster(slow);
  const undisturbed = await answers(cluster, 30, 96);
  const { done: disturbed } = await underWay(cluster, 30, () => answers(cluster, 30, 96));
  const [pid = 0] = await pidsOf(cluster, "worker");
  process.kill(pid, "SIGKILL");
  expectSame(await disturbed, undisturbed);
  expect(await moves(cluster, "lost")).toBeGreaterThan(0);
  await expectNoOrphans(cluster);
}, 60_000);

test("with --migration-limit 0 an answer ends with its worker, and says so", async () => {
  await using cluster = await startCluster([...slow, "--migration-limit", "0"]);
  const { done: disturbed } = await underWay(cluster, 12, () => answers(cluster, 12, 200));
  const [pid = 0] = await pidsOf(cluster, "worker");
  process.kill(pid, "SIGKILL");
  const broken = (await disturbed).filter(({ error }) => error !== undefined);
  expect(broken.length).toBeGreaterThan(0);
  for (const { error } of broken) expect(error).toContain("was lost");
}, 60_000);

test("SIGTERM to every worker in turn, under load: nothing is lost, long answers move", async () => {
  await using cluster = await startCluster(slow);
  const undisturbed = await answers(cluster, 24, 600);
  const old = await pidsOf(cluster, "worker");
  expect(old).toHaveLength(3);
  const { done: disturbed } = await underWay(cluster, 24, () => answers(cluster, 24, 600));
  for (const pid of old) {
    process.kill(pid, "SIGTERM");
    await until("the drained worker to be gone", 10_000, () => !alive(pid));
    await until("its successor to serve", 10_000, async () => {
      const now = await pidsOf(cluster, "worker");
      return now.length === 3 && !now.includes(pid) && now.every((each) => each > 0);
    });
  }
  expectSame(await disturbed, undisturbed);
  expect(await moves(cluster, "handed_over")).toBeGreaterThan(0);
  expect(await moves(cluster, "lost")).toBe(0);
  await expectNoOrphans(cluster);
}, 90_000);

test("a worker that is drained over the inspector takes nothing new", async () => {
  await using cluster = await startCluster(["--engine", "mocker", "--workers", "2"]);
  const { done: running } = await underWay(cluster, 10, () => answers(cluster, 10, 400));
  const nodes = await tree(cluster);
  const node = nodes.find(({ kind, path }) => kind === "process" && path.includes("worker-0"));
  const url = `${cluster.inspector}/api/actors/${encodeURIComponent(node?.id ?? "")}/drain`;
  expect((await fetch(url, { method: "POST" })).status).toBe(200);
  for (const answer of await running) expect(answer.error).toBeUndefined();
  const handled = async () =>
    (await tree(cluster)).find(({ path }) => path === "/worker/worker-0")?.state;
  expect(await handled()).toBe("running");
  for (const answer of await answers(cluster, 6, 8)) expect(answer.error).toBeUndefined();
  expect(await moves(cluster, "refused")).toBe(0);
  expect(alive(node?.pid ?? 0)).toBe(true);
}, 60_000);

const formNames = Array.from({ length: 16 }, (_, i) => `f${i}`);
const formSchema = {
  type: "object",
  properties: Object.fromEntries(
    formNames.map((name) => [name, { type: "integer", minimum: 10_000, maximum: 99_999 }]),
  ),
  required: formNames,
  additionalProperties: false,
};
const fitsForm = new Ajv2020().compile(formSchema);
const formTools: OpenAI.ChatCompletionTool[] = [
  { type: "function", function: { name: "note", parameters: formSchema } },
];

/** `begun` is called when the client has text of every one of them. */
async function filledForms(
  cluster: Cluster,
  count: number,
  begun: () => void,
): Promise<readonly string[]> {
  let texts = 0;
  const client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
  const one = async (seed: number): Promise<string> => {
    // Two of each in turn, so that each of two workers has both kinds.
    const calls = seed % 4 >= 2;
    const stream = await client.chat.completions.create({
      model: "troupe-tiny",
      messages: [{ role: "user", content: `Fill in form number ${seed}.` }],
      ...{ max_tokens: 600, seed, temperature: 1, stream: true as const },
      ...(calls
        ? {
            tools: formTools,
            tool_choice: { type: "function" as const, function: { name: "note" } },
          }
        : {
            response_format: {
              type: "json_schema",
              json_schema: { name: "form", schema: formSchema },
            },
          }),
    });
    let text = "";
    for await (const { choices } of stream) {
      const delta = choices[0]?.delta;
      const more = (calls ? delta?.tool_calls?.[0]?.function?.arguments : delta?.content) ?? "";
      if (text === "" && more !== "" && ++texts === count) begun();
      text += more;
    }
    return text;
  };
  return Promise.all(Array.from({ length: count }, (_, seed) => one(seed)));
}

for (const engine of ["llama", "mocker"]) {
  test(`${engine}: answers keep to their form when their worker is killed`, async () => {
    // Forms begin alike: a router that looks for cached blocks may send all of them to one worker.
    await using cluster = await startCluster([
      ...["--engine", engine, "--workers", "2", "--router-mode", "round-robin"],
    ]);
    const [pid = 0] = await pidsOf(cluster, "worker");
    const kill = () => process.kill(pid, "SIGKILL");
    for (const text of await filledForms(cluster, 6, kill)) {
      const value: unknown = JSON.parse(text);
      expect([fitsForm(value), text]).toEqual([true, text]);
    }
    // Its page of numbers is up to a second old.
    await until("a moved answer", 5_000, async () => (await moves(cluster, "lost")) > 0);
  }, 60_000);
}
