/** What a newcomer may do wrong at the start: one clear line, exit 2, nothing left running. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { descendants, runCluster, startCluster } from "../support/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "troupe-start-"));
afterAll(() => rmSync(folder, { recursive: true }));

const tiny = join(import.meta.dir, "../../deploy/models/tiny/troupe-tiny.gguf");

function hasIpv6(): boolean {
  try {
    using server = Bun.serve({ port: 0, hostname: "::1", fetch: () => new Response("") });
    return server.port !== undefined;
  } catch {
    return false;
  }
}

async function refuses(args: string[], message: RegExp) {
  const before = descendants(process.pid).length;
  const run = await runCluster([...args, "--inspector-port", "0"]);
  const lines = run.stderr.trim().split("\n");
  expect(lines.at(-1) ?? "").toMatch(message);
  expect(run.stdout).not.toContain("ready ");
  expect(run.code).toBe(2);
  expect(descendants(process.pid).length).toBeLessThanOrEqual(before);
}

test("a wrong flag", () => refuses(["--prot", "1"], /did you mean --port\?/), 30_000);

test(
  "a model that is not there",
  () => refuses(["--port", "0", "--model", join(folder, "none.gguf")], /none\.gguf/),
  30_000,
);

test("a truncated GGUF", () => {
  const path = join(folder, "cut.gguf");
  writeFileSync(path, readFileSync(tiny).subarray(0, 1_000_000));
  return refuses(["--port", "0", "--model", path], /cut\.gguf.*(truncated|shorter|bytes)/i);
}, 30_000);

test("a file that is no GGUF", () => {
  const path = join(folder, "text.gguf");
  writeFileSync(path, "this is no model ".repeat(100));
  return refuses(["--port", "0", "--model", path], /text\.gguf.*GGUF/i);
}, 30_000);

test("a port in use", async () => {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("mine") });
  await refuses(["--port", String(server.port)], new RegExp(`port ${server.port}.*in use`));
}, 30_000);

const hosts = [
  [["--host", "no-such-host.invalid"], /there is no host no-such-host\.invalid: give an address/],
  [["--host", "192.0.2.7"], /192\.0\.2\.7 is not here: give an address of this machine/],
  [["--inspector-host", "256.1.1.1"], /--inspector-host .*there is no host 256\.1\.1\.1/],
] as const;
for (const [args, message] of hosts) {
  test(`a host that is not ours: ${args.join(" ")}`, async () => {
    await refuses(["--engine", "echo", "--port", "0", ...args], message);
    const { stderr } = await runCluster(["--port", "0", "--inspector-port", "0", ...args]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).not.toMatch(/in use|EADDR.*EADDR/);
  }, 30_000);
}

test("IPv6: the ready line's addresses are URLs", async () => {
  const args = ["--engine", "echo", "--host", "::1", "--inspector-host", "::1"];
  // Docker's networks have none unless they are asked to.
  if (!hasIpv6())
    return await refuses(["--port", "0", ...args], /::1 is not here: give an address/);
  await using cluster = await startCluster(args);
  expect([cluster.url, cluster.inspector]).toEqual([
    expect.stringMatching(/^http:\/\/\[::1\]:\d+$/),
    expect.stringMatching(/^http:\/\/\[::1\]:\d+$/),
  ]);
  expect((await fetch(`${cluster.url}/health`)).status).toBe(200);
}, 60_000);

test("without a usable TMPDIR the sockets lie elsewhere, and it says so", async () => {
  for (const TMPDIR of [join(folder, "none"), `/tmp/${"long/".repeat(30)}`]) {
    await using cluster = await startCluster(["--engine", "echo"], { env: { TMPDIR } });
    expect((await fetch(`${cluster.url}/health`)).status).toBe(200);
    expect(cluster.log()).toMatch(
      /^troupe: warning: \/.*: this run's sockets lie in \/\S+ instead$/m,
    );
  }
}, 60_000);

test("settings that are empty or misspelled", async () => {
  const args = ["--engine", "echo", "--port", "0", "--inspector-port", "0"];
  const empty = await runCluster(args, { TROUPE_API_KEY: " " });
  expect([empty.code, empty.stderr]).toEqual([
    2,
    "troupe: TROUPE_API_KEY is empty: give it a value, or leave it out\n",
  ]);
  await using cluster = await startCluster(args, { env: { TROUPE_PORTT: "1" } });
  expect(cluster.log()).toContain("troupe: warning: TROUPE_PORTT is not a setting");
}, 60_000);

test("SIGTERM drains and exits 0", async () => {
  await using cluster = await startCluster(["--engine", "echo"]);
  const children = descendants(cluster.pid);
  expect(children.length).toBeGreaterThanOrEqual(2);
  cluster.kill("SIGTERM");
  expect(await cluster.exited).toBe(0);
}, 60_000);

test("--help, --version and --dump-config print and exit 0", async () => {
  const help = await runCluster(["--help"]);
  expect(help.stdout).toContain("--router-mode");
  expect((await runCluster(["--version"])).stdout).toMatch(/^troupe \d+\.\d+\.\d+/);
  const dump = await runCluster(["--workers", "3", "--dump-config"]);
  expect(dump.stdout).toContain("workers: 3");
  expect([help.code, dump.code]).toEqual([0, 0]);
}, 30_000);
