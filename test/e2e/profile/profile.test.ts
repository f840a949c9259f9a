/** `bun run profile` as a command: on simulated engines of its own, and on endpoints that are bad. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readProfile } from "../../../actors/engine/mocker/profile.ts";
import { polynomialTiming, profileTiming } from "../../../actors/engine/mocker/timing.ts";
import { realFiles } from "../../../runtime/real/files.ts";
import { readProfileFolder } from "../../bench/profile/profile-folder.ts";
import { alive, descendants, startCluster, until } from "../../support/cluster.ts";

const script = join(import.meta.dir, "../../bench/profile.ts");
const folder = mkdtempSync(join(tmpdir(), "profile-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A small and slow engine: what a request takes beside its passes hardly counts. */
const slowdown = 4;
const small = ["--speedup-ratio", String(1 / slowdown), "--num-blocks", "128"];
const few = ["--context", "1024", "--prefill-points", "3", "--decode-points", "2"];
const short = ["--seed", "7", "--decode-tokens", "16", "--repeats", "1", "--warm-up", "2"];

function start(...args: string[]) {
  return Bun.spawn([process.execPath, script, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 100_000,
  });
}

async function profile(...args: string[]) {
  const child = start(...args);
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

test("the curves of an engine of its own, which then make another one as slow", async () => {
  const out = join(folder, "mocker");
  const run = await profile("--engine", "mocker", ...few, ...short, "--out", out, "--", ...small);
  expect(run.stderr).toContain("prefill 3/3");
  expect(run.stderr).toContain("decode 4/4");
  expect(run.code).toBe(0);
  const { prefill, decode } = readProfileFolder(out);
  expect(prefill.prefill_isl).toHaveLength(3);
  expect(decode.z_itl).toHaveLength(4);
  expect(decode.max_kv_tokens).toEqual([8192]);
  // A token of what a prompt was to have, as the server counts.
  expect(Math.abs((prefill.prefill_isl.at(-1) ?? 0) - 992)).toBeLessThan(100);
  // No engine is quicker than its passes; what is slower is this machine's matter. What the draw of
  // a first token took is taken off, as the decode points say it, and a busy machine shifts those.
  const timing = profileTiming(await readProfile(realFiles(), out));
  for (const tokens of prefill.prefill_isl) {
    const real_ms = slowdown * polynomialTiming.prefillMs(tokens);
    expect(timing.prefillMs(tokens)).toBeGreaterThan(0.85 * real_ms);
  }
  for (const ms of decode.z_itl) expect(ms).toBeGreaterThan(0.98 * slowdown * 5.74);

  // The same curves say what it takes, and what cannot be had.
  const html = join(folder, "report.html");
  const load = ["--from", out, "--isl", "200", "--osl", "16", "--gpus", "4"];
  const found = await profile(...load, "--ttft-ms", "2000", "--itl-ms", "500", "--html", html);
  expect(found.stdout).toContain("Most requests for the budget: ");
  expect(found.code).toBe(0);
  expect(readFileSync(html, "utf8").match(/<svg/g)).toHaveLength(6);
  const none = await profile(...load, "--ttft-ms", "1", "--itl-ms", "1", "--json");
  expect(JSON.parse(none.stdout).recommended.found.candidates.length).toBeGreaterThan(0);
  expect(none.code).toBe(3);

  await using cluster = await startCluster(["--engine", "mocker", "--planner-profile-data", out]);
  const sent_ms = performance.now();
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "troupe-tiny", prompt: "Once", max_tokens: 8, ignore_eos: true }),
  });
  expect(response.status).toBe(200);
  await response.text();
  expect(performance.now() - sent_ms).toBeGreaterThan(8 * 0.9 * slowdown * 5.74);
}, 180_000);

test("an interrupted sweep leaves what it measured and ends its cluster", async () => {
  const out = join(folder, "interrupted");
  const child = start("--engine", "mocker", ...short, "--out", out, "--", ...small);
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("prefill 2/16")) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`it ended before: ${text}`);
    text += value;
  }
  const below = descendants(child.pid);
  expect(below.length).toBeGreaterThan(1);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(JSON.parse(readFileSync(join(out, "prefill_raw_data.json"), "utf8"))).toMatchObject({
    prefill_ttft: expect.arrayContaining([expect.any(Number)]),
  });
  await until("its cluster's end", 20_000, () => !below.some((pid) => alive(pid)));
}, 120_000);

test("endpoints that cannot be measured are refused in one line", async () => {
  const refusing = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === "/v1/models"
        ? Response.json({ object: "list", data: [{ id: "m", object: "model" }] })
        : Response.json({ error: { message: "too much of it" } }, { status: 503 }),
  });
  const url = `http://127.0.0.1:${refusing.port}`;
  const out = join(folder, "never");
  const quick = ["--out", out, "--timeout", "5"];
  const asked = ["--isl", "9", "--osl", "9", "--rate", "1"];
  const cases: readonly (readonly [args: string[], code: number, said: string])[] = [
    [["--url", "http://127.0.0.1:1"], 1, "/v1/models did not answer"],
    [["--url", "nowhere"], 2, "is not an http(s) URL"],
    [["--url", url, "--model", "other"], 1, "has no model other; it has m"],
    [["--url", url], 1, "too much of it"],
    [["--engine", "mocker", "--model", "/no/such.gguf"], 2, "/no/such.gguf"],
    [["--engine", "mocker", "--", "--no-such-flag"], 2, "its cluster: unknown flag --no-such-flag"],
    [
      ["--url", url, "--html", "/no/such/page.html"],
      2,
      "--html /no/such/page.html cannot be written",
    ],
    [["--from", "/no/such"], 2, "give --from the folder of a sweep"],
  ];
  try {
    for (const [args, code, said] of cases) {
      const run = await profile(...args, ...(args[0] === "--from" ? asked : quick));
      expect(run.stderr).toContain(said);
      expect(run.stderr.trim().split("\n")).toHaveLength(1);
      expect(run.stderr).not.toContain("at ");
      expect(run.code).toBe(code);
    }
    expect(existsSync(out)).toBe(false);
  } finally {
    await refusing.stop(true);
  }
}, 120_000);

test("lists of models that are none, and folders that cannot be written, are told before a sweep", async () => {
  let body = "";
  const liar = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(body) });
  const url = `http://127.0.0.1:${liar.port}`;
  try {
    for (const data of ["[null]", "[{}]", '[{"id":5}]', '"m"']) {
      body = `{"data":${data}}`;
      const run = await profile("--url", url, "--out", join(folder, "never"));
      expect(run.stderr).toContain("is no list of models: is --url an OpenAI endpoint?");
      expect(run.code).toBe(1);
    }
    for (const out of ["/dev/null", "/proc/none"]) {
      const run = await profile("--url", url, "--out", out);
      expect(run.stderr).toContain(`--out ${out} cannot be written`);
      expect(run.code).toBe(2);
    }
    expect(existsSync(join(folder, "never"))).toBe(false);
  } finally {
    await liar.stop(true);
  }
}, 60_000);

test("a signal ends it while an endpoint says nothing, and while its cluster starts", async () => {
  let asked = 0;
  const silent = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked++;
      return new Promise<Response>(() => {});
    },
  });
  const out = ["--out", join(folder, "never")];
  try {
    const waiting = start("--url", `http://127.0.0.1:${silent.port}`, ...out);
    await until("a question", 20_000, () => asked > 0);
    waiting.kill("SIGTERM");
    expect(await waiting.exited).toBe(130);
    expect(await new Response(waiting.stderr).text()).toBe("profile: stopped by SIGTERM\n");
    const starting = start("--engine", "mocker", ...out);
    await until("its cluster", 20_000, () => descendants(starting.pid).length > 0);
    const below = descendants(starting.pid);
    starting.kill("SIGINT");
    expect(await starting.exited).toBe(130);
    expect(await new Response(starting.stderr).text()).toBe("profile: stopped by SIGINT\n");
    await until("its cluster's end", 20_000, () => !below.some((pid) => alive(pid)));
    expect(existsSync(join(folder, "never"))).toBe(false);
  } finally {
    await silent.stop(true);
  }
}, 90_000);
