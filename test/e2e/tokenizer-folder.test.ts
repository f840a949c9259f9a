/** A folder with tokenizer.json serves an engine that needs no weights, and no other. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { runCluster, startCluster } from "../support/cluster.ts";
import { smallTokenizer } from "../support/tokens/small-tokenizer.ts";

test("the echo engine answers in the tokens of a folder", async () => {
  const folder = await mkdtemp(`${tmpdir()}/troupe-folder-`);
  try {
    await Bun.write(`${folder}/tokenizer.json`, JSON.stringify(smallTokenizer()));
    const args = ["--model", folder, "--model-name", "small"];
    await using cluster = await startCluster(["--engine", "echo", "--workers", "2", ...args]);
    const body = { model: "small", prompt: "hello <think> hé", max_tokens: 20 };
    const response = await fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as {
      choices: { text: string }[];
      usage: { prompt_tokens: number };
    };
    expect(answer.choices[0]?.text).toStartWith("hello <think> hé");
    expect(answer.usage.prompt_tokens).toBe(6); // hello, blank, <think>, blank, h, é
    const refused = await runCluster(["--engine", "llama", ...args]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("has no weights: use --engine mocker or echo");
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);
