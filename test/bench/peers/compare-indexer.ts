/** The index of `bun run bench indexer` and Dynamo's RadixTree, in turn, on one core each. */
import { join } from "node:path";
import { median, rounded } from "../statistics.ts";
import { runToEnd } from "./child.ts";
import { installDynamo } from "./install.ts";
import type { ComparedRow } from "./ratio-table.ts";

const run_ms = 5 * 60_000;
const root = join(import.meta.dir, "../../..");

type Theirs = {
  readonly store_per_s: number;
  readonly lookup_per_s: number;
  readonly lookup_p99_us: number;
  readonly mixed_per_s: number;
  readonly mixed_per_cpu_s: number;
};
type Ours = {
  readonly case: string;
  readonly block_ops_per_s: number;
  readonly block_ops_per_cpu_s: number;
  readonly lookup_p99_us?: number;
};

export async function compareIndexer(options: {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
}): Promise<ComparedRow[]> {
  const python = await installDynamo(options.cache, options.say);
  const theirs: Theirs[] = [];
  const ours: Ours[][] = [];
  for (let round = 0; round < options.rounds; round++) {
    options.say(`round ${round + 1} of ${options.rounds}`);
    const script = join(import.meta.dir, "dynamo-indexer.py");
    const env = { DYN_LOG: "error" };
    theirs.push(JSON.parse(await runToEnd([python, script], { env, timeout_ms: run_ms })));
    const bench = [process.execPath, "run", "--silent", "bench", "indexer", "--json"];
    const output = await runToEnd(bench, { cwd: root, timeout_ms: run_ms });
    ours.push(
      output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Ours),
    );
  }
  const of = (name: string, field: keyof Ours) =>
    median(ours.map((rows) => Number(rows.find((row) => row.case === name)?.[field])));
  const their = (field: keyof Theirs) => median(theirs.map((each) => each[field]));
  const row = (name: string, mine: number, other: number, better = mine / other): ComparedRow => ({
    case: name,
    troupe: rounded(mine, 1),
    dynamo: rounded(other, 1),
    ratio: rounded(better, 1),
  });
  const all = "lookup of 32, all there";
  const p99 = [of(all, "lookup_p99_us"), their("lookup_p99_us")] as const;
  return [
    row("stored, blocks/s", of("store", "block_ops_per_s"), their("store_per_s")),
    row("looked up, blocks/s", of(all, "block_ops_per_s"), their("lookup_per_s")),
    row("mixed, blocks/s", of("mixed", "block_ops_per_s"), their("mixed_per_s")),
    row("mixed, blocks/CPU s", of("mixed", "block_ops_per_cpu_s"), their("mixed_per_cpu_s")),
    row("lookup p99, µs", p99[0], p99[1], p99[1] / p99[0]),
  ];
}
