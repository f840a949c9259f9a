/** `bun run bench kv`: blocks beyond the engine. */
import type { Report } from "../bench.ts";
import { benchCopies } from "./copies.ts";
import { benchEngineBlocks } from "./engine-blocks.ts";
import { benchTiers } from "./tiers.ts";

export async function benchKv(report: Report): Promise<void> {
  await benchCopies(report);
  await benchEngineBlocks(report);
  await benchTiers(report);
}
