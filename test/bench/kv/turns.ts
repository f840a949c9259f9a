/**
 * Conversations of 40 users, 8 turns each, that together are larger than a worker's own cache: the
 * mean time to the first token with memory and disk behind it against without, and how much of
 * what was computed before was found again.
 *
 *   TROUPE_BENCH_USERS=40
 *
 *   bound = the full blocks of the turn before, of every turn but the first: memory and disk hold
 *           all of them
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { firstModel } from "../start.ts";
import { rounded } from "../statistics.ts";
import { type Asked, ask, drawnPrompt } from "./asking.ts";
import { block_size, blockFlags } from "./block-size.ts";

const USERS = Number(process.env.TROUPE_BENCH_USERS ?? 40);
const TURNS = 8;
const TURN = 72;
/** Questions that wait or run at a time. */
const AT_ONCE = 2;
/** A bit more than 200 tokens a user, of the 576 that each has in the end. */
const OWN_TOKENS = Math.max(2_048, Math.floor((USERS * 8_192) / 40 / 64) * 64);
const OWN = ["--kv-tokens", String(OWN_TOKENS), "--context-length", "2048"];

const mean = (all: readonly number[]) => all.reduce((sum, each) => sum + each, 0) / all.length;

/** Every user's turns in order, users in another order in each turn. */
async function talk(flags: readonly string[]): Promise<readonly Asked[]> {
  const path = await modelPath(process.env.TROUPE_BENCH_MODEL ?? default_source);
  const all = ["--model", path, "--model-name", "bench", ...OWN, ...blockFlags, ...flags];
  await using cluster = await startCluster(all, { timeout_ms: 120_000 });
  const model = await firstModel(cluster.url);
  await ask(cluster.url, { model, prompt: drawnPrompt(9_999, 100), max_tokens: 4 });
  const answers: Asked[] = [];
  for (let turn = 1; turn <= TURNS; turn += 1) {
    const users = Array.from({ length: USERS }, (_, i) => (i * 17 + turn * 5) % USERS);
    const ask_next = async () => {
      for (let user = users.pop(); user !== undefined; user = users.pop()) {
        // A turn's prompt begins with all of the one before.
        const prompt = drawnPrompt(user, turn * TURN);
        answers.push(await ask(cluster.url, { model, prompt, max_tokens: 4 }));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask_next));
  }
  return answers;
}

export async function benchTurns(report: Report): Promise<void> {
  const folder = mkdtempSync(join(process.env.TROUPE_BENCH_DISK ?? tmpdir(), "troupe-bench-kv-"));
  try {
    const without = await talk([]);
    const tiers = ["--kv-host-bytes", "256MB", "--kv-disk-bytes", "2GiB", "--kv-disk-dir", folder];
    const behind = await talk(tiers);
    let bound = 0;
    for (let turn = 2; turn <= TURNS; turn += 1) {
      bound += USERS * Math.floor(((turn - 1) * TURN) / block_size) * block_size;
    }
    const [bare_ms, tiers_ms] = [without, behind].map((all) =>
      mean(all.map(({ ttft_ms }) => ttft_ms)),
    );
    const found = (all: readonly Asked[]) => all.reduce((sum, { cached }) => sum + cached, 0);
    report({
      case: `${USERS} users, ${TURNS} turns`,
      block_size,
      ttft_ms: rounded(bare_ms!, 1),
      ttft_tiers_ms: rounded(tiers_ms!, 1),
      ratio: rounded(tiers_ms! / bare_ms!, 3),
      hits_of_bound: rounded(found(behind) / bound, 3),
      hits_of_bound_without: rounded(found(without) / bound, 3),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
