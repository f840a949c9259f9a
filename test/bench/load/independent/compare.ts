/**
 * `bun test/bench/load/independent/compare.ts [URL MODEL]`: the load generator beside a client in Go
 * that shares no code with it, in turn, on the same server (the echo cluster when none is named).
 * If its clock or its sockets were off, the two would disagree. Needs `go`.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster } from "../../../support/cluster.ts";
import { runToEnd } from "../../peers/child.ts";
import { ratioTable } from "../../peers/ratio-table.ts";
import { firstModel } from "../../start.ts";
import { median, rounded } from "../../statistics.ts";
import { type DoorCase, doorCases, doorPlan, measureDoor, nameOf } from "../front-door.ts";
import { requestBodies } from "../request-bodies.ts";

const rounds = 5;
const seconds = 3;
const cases = doorCases.filter(({ isl }) => isl === 100);
const keys = ["req_per_s", "ttft_p50_ms", "ttft_p99_ms", "e2e_p50_ms"] as const;
type Figures = Readonly<Record<(typeof keys)[number], number>>;

const folder = mkdtempSync(join(tmpdir(), "go-load-"));
const client = join(folder, "go-load");
const body_file = join(folder, "bodies");
/** More than can be sent in the time. */
const bodies_per_s = 20_000;
await runToEnd(["go", "build", "-o", client, join(import.meta.dir, "main.go")], {
  timeout_ms: 300_000,
});
const [url, model] = Bun.argv.slice(2);
const cluster = url ? undefined : await startCluster(["--engine", "echo", "--workers", "2"]);
try {
  const server = url ?? cluster?.url ?? "";
  const target = { url: server, model: model ?? (await firstModel(server)) };
  console.log(ratioTable(await compared(target)));
} finally {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}
process.exit(0);

async function compared(target: { url: string; model: string }) {
  const rows: Record<string, string | number>[] = [];
  for (const door of cases) {
    const ours: Figures[] = [];
    const go: Figures[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await measureDoor(target, door, 1000 * seconds));
      go.push(await goClient(target, door));
    }
    const of = (runs: readonly Figures[], key: (typeof keys)[number]) =>
      rounded(median(runs.map((run) => run[key])), 3);
    const cells = keys.flatMap((key) => [
      [key, of(ours, key)],
      [`go ${key}`, of(go, key)],
    ]);
    rows.push({ case: nameOf(door), ...Object.fromEntries(cells) });
  }
  return rows;
}

async function goClient(target: { url: string; model: string }, door: DoorCase): Promise<Figures> {
  const bodies = requestBodies(doorPlan(target, door, 1000 * seconds));
  const lines = bodies.take(seconds * bodies_per_s).map(({ payload }) => payload);
  writeFileSync(body_file, [...lines].join("\n"));
  const flags = { url: target.url, concurrency: door.concurrency, bodies: body_file };
  const args = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const output = await runToEnd([client, ...args, "-duration", `${seconds}s`], {
    timeout_ms: 60_000,
  });
  return JSON.parse(output) as Figures;
}
