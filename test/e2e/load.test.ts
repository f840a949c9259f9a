/** `bun run load` as a command, on a cluster with the echo engine. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadSummary } from "../bench/load/summary.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";

const script = join(import.meta.dir, "../bench/load.ts");
const folder = mkdtempSync(join(tmpdir(), "load-"));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster(["--engine", "echo", "--workers", "2", "--api-key", "secret"]);
}, 90_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}, 30_000);

async function load(...args: string[]) {
  const child = Bun.spawn([process.execPath, script, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, OPENAI_API_KEY: "secret" },
    timeout: 60_000,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

test("closed loop: every answer whole, figures as JSON, a report that stands alone", async () => {
  const html = join(folder, "report.html");
  const shape = ["--requests", "60", "--concurrency", "4", "--isl", "40", "--osl", "8"];
  const run = await load("--url", cluster.url, ...shape, "--json", "--html", html);
  expect(run.stderr).not.toContain("load:");
  const summary = JSON.parse(run.stdout) as LoadSummary;
  expect(summary).toMatchObject({ requests: 60, completed: 60, errors: 0, tokens_mean: 8 });
  expect(summary.ttft_ms.p50).toBeGreaterThan(0);
  expect(summary.e2e_ms.p50).toBeGreaterThanOrEqual(summary.ttft_ms.p50);
  expect(run.code).toBe(0);
  const page = readFileSync(html, "utf8");
  expect(page).toContain("<svg");
  // Nothing is fetched: the file alone is the report.
  expect(page).not.toMatch(/(src|href)=/);
}, 90_000);

test("open loop and trace, as a table", async () => {
  const base = ["--url", `${cluster.url}/v1`, "--quiet"];
  const open = await load(...base, "--rate", "50", "--requests", "20", "--endpoint", "completions");
  expect(open.stdout).toContain("20 good, 0 failed");
  const trace = join(folder, "trace.jsonl");
  const rows = [0, 300, 600].map((timestamp) => ({
    timestamp,
    input_length: 30,
    output_length: 5,
    hash_ids: [timestamp],
  }));
  writeFileSync(trace, rows.map((row) => JSON.stringify(row)).join("\n"));
  const traced = await load(...base, "--trace", trace, "--speedup", "5");
  expect(traced.stdout).toContain("on its schedule, 5×");
  expect(traced.stdout).toContain("3 good, 0 failed");
}, 90_000);

test("failures end it with 1, wrong flags with 2", async () => {
  const wrong_key = await load(
    "--url",
    cluster.url,
    "--api-key",
    "other",
    "--model",
    "m",
    "--requests",
    "3",
  );
  expect(wrong_key.code).toBe(1);
  expect(wrong_key.stdout).toContain("3 × HTTP 401");
  const no_url = await load();
  expect(no_url.code).toBe(2);
  expect(no_url.stderr).toContain("--url is missing");
  const nobody = await load("--url", "http://127.0.0.1:1");
  expect(nobody.code).toBe(2);
  expect(nobody.stderr).toContain("did not answer");
}, 90_000);
