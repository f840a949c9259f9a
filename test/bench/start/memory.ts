/**
 * `bun run bench memory [--model MODEL]`: what 1, 2 and 4 workers of a model keep in memory, with
 * weights of their own and with shared ones. Resident counts a page in each process that has it;
 * proportional (Pss) divides it by their number: the sum is what the machine gives. MODEL is as of
 * `bench start`. These are counts, which other work on the machine does not change.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Cluster, pidsOf, startCluster } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { default_source } from "../parts/engine.ts";
import { rounded } from "../statistics.ts";
import { withModel } from "./start-model.ts";

const WORKERS = [1, 2, 4];

type Memory = { readonly resident: number; readonly proportional: number };

export async function benchMemory(report: Report): Promise<void> {
  const at = Bun.argv.indexOf("--model");
  const source = at < 0 ? default_source : (Bun.argv[at + 1] ?? "");
  await withModel(source, async (found) => {
    // A copy, whose pages nobody else has.
    await using copy = copyOf(found);
    const model = copy.path;
    for (const weights of ["own", "shared"]) {
      for (const workers of WORKERS) {
        const args = ["--model", model, "--workers", `${workers}`, "--weights", weights];
        const sizes = ["--context-length", "4096", "--kv-tokens", "4096", "--frontends", "1"];
        const options = { timeout_ms: 600_000, log_level: "info" } as const;
        await using cluster = await startCluster([...args, ...sizes], options);
        const pids = await pidsOf(cluster, "worker");
        const all = sum(pids.map(rollup));
        const file = sum(pids.map((pid) => ofFile(pid, model)));
        report({
          case: `${workers} worker(s), ${weights}`,
          resident_mb: rounded(all.resident, 0),
          proportional_mb: rounded(all.proportional, 0),
          of_file_resident_mb: rounded(file.resident, 0),
          of_file_proportional_mb: rounded(file.proportional, 0),
          said: said(cluster),
        });
      }
    }
  });
}

function copyOf(path: string) {
  const folder = mkdtempSync(join(tmpdir(), "troupe-bench-memory-"));
  const copy = join(folder, basename(path));
  copyFileSync(path, copy);
  return {
    path: copy,
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

const sum = (parts: readonly Memory[]): Memory => ({
  resident: parts.reduce((all, part) => all + part.resident, 0),
  proportional: parts.reduce((all, part) => all + part.proportional, 0),
});

const mb = (text: string, name: string) =>
  (1_024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0)) / 1e6;

const memoryOf = (text: string): Memory => ({
  resident: mb(text, "Rss"),
  proportional: mb(text, "Pss"),
});

const rollup = (pid: number) => memoryOf(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));

/** Of the pages of one file alone, which a process may map in several pieces. */
function ofFile(pid: number, path: string): Memory {
  const maps = readFileSync(`/proc/${pid}/smaps`, "utf8").split(/^(?=[\da-f]+-[\da-f]+ )/m);
  return sum(maps.filter((map) => map.split("\n")[0]?.endsWith(path)).map(memoryOf));
}

/** What the first worker's line says of it. */
const said = (cluster: Cluster): string =>
  /worker-0 holds [^:]+: ([^"]*)"/.exec(cluster.log())?.[1] ?? "nothing";
