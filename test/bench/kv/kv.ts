/**
 * `bun run bench kv [--only copies|engine|tiers|turns|pairs] [--block-size N]`: blocks beyond the
 * engine. TROUPE_BENCH_DISK is a folder on the disk that is to be measured.
 */
import type { Report } from "../bench.ts";
import { benchCopies } from "./copies.ts";
import { benchEngineBlocks } from "./engine-blocks.ts";
import { benchPairs } from "./pairs.ts";
import { benchTiers } from "./tiers.ts";
import { benchTurns } from "./turns.ts";

const parts = {
  copies: benchCopies,
  engine: benchEngineBlocks,
  tiers: benchTiers,
  turns: benchTurns,
  pairs: benchPairs,
} as const;

export async function benchKv(report: Report): Promise<void> {
  const at = Bun.argv.indexOf("--only");
  const only = at < 0 ? undefined : Bun.argv[at + 1];
  if (only !== undefined && !(only in parts)) {
    throw new Error(`--only ${only}: it is one of ${Object.keys(parts).join(", ")}`);
  }
  for (const [name, bench] of Object.entries(parts)) {
    if (only === undefined || only === name) await bench(report);
  }
}
