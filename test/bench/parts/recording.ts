/**
 * `bun run bench record`: requests a second of one frontend that records (`--record`) beside one
 * that does not, in turn, since machines drift. The ratio of each round counts.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../bench.ts";
import { startDoor } from "../frontend.ts";
import { doorCases, measureDoor, nameOf } from "../load/front-door.ts";
import { median, rounded } from "../statistics.ts";

const ROUNDS = 5;
const case_ms = 5_000;

export async function benchRecording(report: Report): Promise<void> {
  const one = doorCases[1]!;
  const folder = mkdtempSync(join(tmpdir(), "troupe-bench-record-"));
  try {
    const rounds: { plain: number; recorded: number; p99: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const figures = new Map<boolean, Awaited<ReturnType<typeof measureDoor>>>();
      // Who is first changes from round to round.
      for (const records of round % 2 === 0 ? [false, true] : [true, false]) {
        await using door = await startDoor(records ? ["--record", folder] : []);
        figures.set(records, await measureDoor(door, one, case_ms));
      }
      const plain = figures.get(false)!;
      const recorded = figures.get(true)!;
      const p99 = recorded.ttft_p99_ms / plain.ttft_p99_ms;
      rounds.push({ plain: plain.req_per_s, recorded: recorded.req_per_s, p99 });
    }
    const mib = folderBytes(folder) / 2 ** 20;
    report({
      case: nameOf(one),
      req_per_s_plain: rounded(median(rounds.map((each) => each.plain)), 0),
      req_per_s_recorded: rounded(median(rounds.map((each) => each.recorded)), 0),
      ratio: rounded(median(rounds.map((each) => each.recorded / each.plain)), 3),
      ratios: rounds.map((each) => rounded(each.recorded / each.plain, 3)).join(" "),
      ttft_p99_ratio: rounded(median(rounds.map((each) => each.p99)), 2),
      recorded_mib: rounded(mib, 0),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function folderBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
