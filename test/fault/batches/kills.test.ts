/** A batch outlives `kill -9` of a worker, of the frontend that runs it, and of everything. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchOf, endOf, linesAnswered, runnerOf, startBatch } from "../../support/batches.ts";
import {
  alive,
  descendants,
  pidOfWorker,
  pidsOf,
  startCluster,
  until,
} from "../../support/cluster.ts";

const LINES = 400;
const flags = ["--engine", "mocker", "--workers", "2", "--frontends", "2"];

test("each line is answered once, whoever is killed on the way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-batch-"));
  try {
    const first = await startCluster([...flags, "--data-dir", folder]);
    const lines = Array.from({ length: LINES }, (_, n) => {
      const messages = [{ role: "user", content: `line ${n}` }];
      const body = { model: "troupe-tiny", messages, max_tokens: 60, ignore_eos: true };
      const url = "/v1/chat/completions";
      return JSON.stringify({ custom_id: `l${n}`, method: "POST", url, body });
    });
    const id = await startBatch(first.url, lines);
    const answered = (count: number, url: string) =>
      until(`${count} lines are answered`, 30_000, async () => {
        return (await linesAnswered(url, id)) >= count;
      });
    await answered(1, first.url);
    const [worker = 0] = await pidsOf(first, "worker");
    process.kill(worker, "SIGKILL");
    await answered(50, first.url);
    process.kill(await pidOfWorker(first, await runnerOf(first)), "SIGKILL");
    const before = await linesAnswered(first.url, id);
    await answered(before + 50, first.url);
    const pids = [first.pid, ...descendants(first.pid)];
    for (const pid of pids) if (alive(pid)) process.kill(pid, "SIGKILL");
    await first.exited;
    await using second = await startCluster([...flags, "--data-dir", folder]);
    expect(await linesAnswered(second.url, id)).toBeLessThan(LINES);
    const batch = await endOf(second.url, id, 60_000);
    expect(batch.status).toBe("completed");
    expect(batch.request_counts).toEqual({ total: LINES, completed: LINES, failed: 0 });
    const { counts, statuses } = await batchOf(second.url, id);
    expect([...counts.keys()].sort()).toEqual(lines.map((_, n) => `l${n}`).sort());
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
    expect([...statuses]).toEqual([[200, LINES]]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
