/** Traffic → `--request-trace` → `bun run replay`: the same requests with the same shared blocks. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster } from "../../support/cluster.ts";

const replay = join(import.meta.dir, "../../bench/replay.ts");

test("what was served can be replayed, and says who asked", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-trace-"));
  try {
    const file = join(folder, "trace.jsonl");
    const keys = join(folder, "keys.yaml");
    writeFileSync(keys, "keys:\n  - { name: team, key: sk-team }\n");
    const flags = ["--engine", "mocker", "--speedup-ratio", "0", "--api-key-file", keys];
    const cluster = await startCluster([...flags, "--request-trace", file]);
    const ask = async (path: string, body: object) => {
      const headers = { authorization: "Bearer sk-team", "content-type": "application/json" };
      const sent = JSON.stringify({ model: "troupe-tiny", max_tokens: 5, ...body });
      const answer = await fetch(cluster.url + path, { method: "POST", headers, body: sent });
      expect(answer.status).toBe(200);
      await answer.text();
    };
    const prompt = Array.from({ length: 640 }, (_, i) => 300 + i);
    for (const stream of [false, true, false]) await ask("/v1/completions", { prompt, stream });
    await ask("/v1/chat/completions", { messages: [{ role: "user", content: "my secret" }] });
    await ask("/v1/completions", { prompt, n: 2, temperature: 1 });
    await cluster[Symbol.asyncDispose]();

    const text = readFileSync(file, "utf8");
    const rows = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(5);
    expect(text).not.toContain("secret");
    for (const { request } of rows) {
      expect(request).toMatchObject({ key: "team", outcome: "success", workers: ["worker-0"] });
      expect(request.output_tokens).toBe(request.replay === undefined ? 10 : 5);
    }
    expect(rows[0].request.replay).toMatchObject({ trace_block_size: 64, input_length: 640 });

    const run = Bun.spawn([process.execPath, replay, file, "--workers", "1", "--json"], {
      stdout: "pipe",
    });
    const report = JSON.parse(await new Response(run.stdout).text());
    expect(await run.exited).toBe(0);
    expect(report).toMatchObject({ requests: 4, refused: 0 });
    // Two of three long prompts were there already.
    expect(report.prefix_reuse).toBeGreaterThan(0.5);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 30_000);
