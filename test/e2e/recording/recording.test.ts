/** A real cluster records; a router and a stream that lost its worker are driven from the files. */
import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pidOfWorker, runCluster, startCluster, until } from "../../support/cluster.ts";

const root = join(import.meta.dir, "../../..");

async function replay(args: readonly string[]) {
  const command = [process.execPath, join(root, "cluster/recording/replay-envelopes.ts"), ...args];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe", timeout: 60_000 });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

const body = (i: number) =>
  JSON.stringify({
    model: "troupe-tiny",
    prompt: `Once upon a time there were ${i} actors`,
    max_tokens: 120,
    stream: true,
    seed: i,
  });

/** One of the two that make the answers. */
async function killWorker(cluster: Awaited<ReturnType<typeof startCluster>>): Promise<void> {
  process.kill(await pidOfWorker(cluster, "worker-0"), "SIGKILL");
}

test("what happened to a request is a file that is driven again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-record-"));
  try {
    const engine = ["--engine", "mocker", "--workers", "2", "--speedup-ratio", "0.5"];
    let texts: string[];
    {
      await using cluster = await startCluster([...engine, "--record", folder]);
      expect(cluster.log()).toContain(`--record: prompts and answers of all requests`);
      const headers = { "content-type": "application/json" };
      let begun = 0;
      const answers = Array.from({ length: 6 }, async (_, i) => {
        const options = { method: "POST", headers, body: body(i) };
        const response = await fetch(`${cluster.url}/v1/completions`, options);
        let text = "";
        for await (const bytes of response.body!) {
          if (text === "") begun++;
          text += new TextDecoder().decode(bytes);
        }
        return text;
      });
      await until("all answers begun", 20_000, async () => begun === answers.length);
      await killWorker(cluster);
      texts = await Promise.all(answers);
      cluster.kill("SIGTERM");
      await cluster.exited;
    }
    for (const text of texts) expect(text).toContain("[DONE]");
    const ids = texts.map((text) => /"id":"cmpl-([^"]+)"/.exec(text)?.[1] ?? "");

    const listed = await replay([folder]);
    expect(listed.code).toBe(0);
    for (const node of ["root", "frontend-0", "worker-0", "worker-1"]) {
      expect(listed.stdout).toContain(`\n${node}  `.trimStart());
    }
    expect(listed.stdout).toMatch(/frontend-0\/frontend\/router {2}.*can be driven/);
    expect(listed.stdout).toMatch(/worker-1\/worker\/worker-1 .*can be listed, not driven/);

    const router = await replay([folder, "--actor", "frontend-0/frontend/router"]);
    expect(router.stderr).toBe("");
    expect(router.stdout).toContain("equal: it did and became the same");
    expect(router.code).toBe(0);
    let moved = 0;
    for (const id of ids) {
      const name = `frontend-0/frontend/answers/${id}`;
      const stream = await replay([folder, "--actor", name, "--verbose"]);
      expect(stream.stdout).toContain("equal: it did and became the same");
      expect(stream.code).toBe(0);
      if (stream.stdout.includes("worker_lost") || stream.stdout.includes("  down ")) moved++;
    }
    expect(moved).toBeGreaterThan(0);

    await badInput(folder, `frontend-0/frontend/answers/${ids[0]}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);

/** Whatever is wrong with a folder is one line, and what is whole is told all the same. */
async function badInput(folder: string, actor: string): Promise<void> {
  const frontend = readdirSync(folder).find((name) => name.startsWith("frontend-0~")) ?? "";
  appendFileSync(join(folder, frontend), Uint8Array.of(200, 1, 7, 7));
  writeFileSync(join(folder, "foreign.rec"), "this is something else altogether");
  const listed = await replay([folder]);
  expect(listed.code).toBe(0);
  expect(listed.stderr).toContain(`${frontend} ends inside a record: its last 4 bytes`);
  expect(listed.stderr).toContain("foreign.rec is no file of a recording");
  expect(listed.stdout).toContain(actor);
  const unknown = await replay([folder, "--actor", "frontend-0/frontend/nobody"]);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain("the recording has no such life of frontend-0/frontend/nobody");
  const nothing = await replay([join(folder, "nowhere")]);
  expect(nothing.code).toBe(2);
  expect(nothing.stderr.trim().split("\n")).toEqual([expect.stringContaining("cannot be read")]);
}

test("a folder that cannot be written to stops the start in one line", async () => {
  const { code, stderr } = await runCluster(["--record", "/proc/nowhere", "--port", "0"]);
  expect(code).toBe(2);
  expect(stderr).toContain("troupe: --record: cannot write to /proc/nowhere");
});
