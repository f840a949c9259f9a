/** Models with and without a chat template, and templates that are given, on real processes. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { type Cluster, runCluster, startCluster } from "../support/cluster.ts";
import { smallTokenizer } from "../support/tokens/small-tokenizer.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(`${tmpdir()}/troupe-template-`);
  try {
    await Bun.write(`${folder}/tokenizer.json`, JSON.stringify(smallTokenizer()));
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const start = (folder: string, args: readonly string[] = []) =>
  startCluster(["--engine", "echo", "--model", `small=${folder}`, ...args]);

/** What the echo engine gives back of its prompt. */
async function chat(cluster: Cluster): Promise<string> {
  const messages = [{ role: "user", content: "hi" }];
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "small", messages, max_tokens: 60 }),
  });
  const answer = (await response.json()) as { choices: { message: { content: string } }[] };
  return answer.choices[0]?.message.content ?? JSON.stringify(answer);
}

async function model(cluster: Cluster): Promise<unknown> {
  const response = await fetch(`${cluster.url}/v1/models/small`);
  return ((await response.json()) as { chat_template: unknown }).chat_template;
}

const told = (cluster: Cluster): number => cluster.log().split("has no chat template").length - 1;

test("a model without a template says so once, in the log and in /v1/models", async () => {
  await inFolder(async (folder) => {
    await using cluster = await start(folder, ["--workers", "2"]);
    expect(told(cluster)).toBe(1);
    expect(cluster.log()).toContain("--chat-template FILE|NAME, or use /v1/completions");
    expect(await model(cluster)).toMatchObject({
      from: "default",
      name: "chatml",
      message: expect.stringContaining("'small' has no chat template"),
    });
    expect(await chat(cluster)).toContain("user\nhi");
  });
}, 60_000);

test("a template that is given is used, and nothing is told", async () => {
  await inFolder(async (folder) => {
    await Bun.write(`${folder}/mine.jinja`, "{% for m in messages %}[{{ m.content }}]{% endfor %}");
    await using cluster = await start(folder, ["--chat-template", `${folder}/mine.jinja`]);
    expect(told(cluster)).toBe(0);
    expect(await model(cluster)).toEqual({ from: "model" });
    expect(await chat(cluster)).toStartWith("[hi]");
  });
}, 60_000);

test("a built-in template by its name, by Dynamo's flag and with a model's name", async () => {
  await inFolder(async (folder) => {
    await Bun.write(`${folder}/chat_template.jinja`, "own");
    await using cluster = await start(folder, ["--custom-jinja-template", "small=vicuna"]);
    expect(await chat(cluster)).toContain("USER: hi\nASSISTANT:");
  });
}, 60_000);

test("wrong templates are one line and exit 2", async () => {
  for (const [given, line] of [
    ["nope", "no built-in template has this name"],
    ["./nope.jinja", "there is no readable file"],
    ["/dev/zero", "/dev/zero is no regular file"],
  ]) {
    const { code, stderr } = await runCluster(["--chat-template", given ?? ""]);
    expect(code).toBe(2);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(line ?? "");
  }
}, 60_000);

test("a model whose template cannot be read is one line and exit 2, unless another is given", async () => {
  await inFolder(async (folder) => {
    const broken = { chat_template: "{% for m in messages %}{{ m.content" };
    await Bun.write(`${folder}/tokenizer_config.json`, JSON.stringify(broken));
    const { code, stderr } = await runCluster([
      ...["--engine", "mocker", "--model", folder, "--port", "0", "--inspector-port", "0"],
    ]);
    expect(code).toBe(2);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(`${folder}/tokenizer_config.json: the chat template cannot be read: `);
    expect(stderr).toContain("or give another template by --chat-template FILE|NAME");
    await using cluster = await start(folder, ["--chat-template", "vicuna"]);
    expect(await chat(cluster)).toContain("USER: hi");
  });
}, 60_000);
