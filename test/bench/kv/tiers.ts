/**
 * The time to the first token of a prompt whose first 1,024 tokens are cached: in the worker itself
 * (G1), in the machine's memory (G2), where another worker computed them (peer), after the worker
 * was killed and started anew (restart), and on disk after the whole cluster was (G3).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, pidsOf, startCluster, until } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { default_source, modelPath } from "../parts/engine.ts";
import { firstModel } from "../start.ts";
import { median, rounded } from "../statistics.ts";
import { type Asked, ask, drawnPrompt } from "./asking.ts";
import { block_size, blockFlags } from "./block-size.ts";

const PREFIX = 1_024;
const ROUNDS = 5;
const WAIT_MS = 60_000;

type Sides = { readonly cluster: Cluster; readonly model: string };

const promptOf = (round: number) => drawnPrompt(round, PREFIX + 9);

function askIt({ cluster, model }: Sides, prompt: number[], worker?: string): Promise<Asked> {
  const body = { model, prompt, max_tokens: 4 };
  return ask(cluster.url, body, worker === undefined ? {} : { worker });
}

/** Of a prompt whose whole prefix has to be cached. */
async function warm(sides: Sides, prompt: number[], what: string, worker?: string) {
  const answer = await askIt(sides, prompt, worker);
  if (answer.cached !== PREFIX) {
    const log = sides.cluster.log();
    throw new Error(`${what}: ${answer.cached} tokens were cached\n${log}`);
  }
  return answer.ttft_ms;
}

type Tier = { readonly tier: string; readonly used: number };
type Kv = { readonly workers: readonly { readonly tiers: readonly Tier[] }[] };

async function used({ cluster }: Sides, tier: string): Promise<number> {
  const kv = (await (await fetch(`${cluster.inspector}/api/kv`)).json()) as Kv;
  const all = kv.workers.flatMap(({ tiers }) => tiers.filter((each) => each.tier === tier));
  return Math.max(0, ...all.map((each) => each.used));
}

/** As many blocks are in the tier, so that all that was computed has arrived there. */
const arrived = (sides: Sides, tier: string, blocks: number) =>
  until(`${blocks} blocks in ${tier}`, WAIT_MS, async () => (await used(sides, tier)) >= blocks);

async function workersServe({ cluster }: Sides, count: number): Promise<void> {
  await until(`${count} workers`, WAIT_MS, async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as {
      readonly models: readonly { readonly workers: number }[];
    };
    return health.models[0]?.workers === count;
  });
}

export async function benchTiers(report: Report): Promise<void> {
  const source = process.env.TROUPE_BENCH_MODEL ?? default_source;
  const folder = mkdtempSync(join(process.env.TROUPE_BENCH_DISK ?? tmpdir(), "troupe-bench-kv-"));
  const flags = [
    ...["--model", await modelPath(source), "--model-name", "bench", ...blockFlags],
    ...["--kv-tokens", "4096", "--context-length", "2048", "--kv-host-bytes", "1GiB"],
    ...["--kv-disk-bytes", "2GiB", "--kv-disk-dir", folder],
  ];
  const times = { cold: [], g1: [], g2: [], restart: [], g3: [], peer: [] } as {
    readonly [tier: string]: number[];
  };
  const blocks = PREFIX / block_size;
  try {
    {
      await using cluster = await startCluster(flags, { timeout_ms: 120_000 });
      const sides = { cluster, model: await firstModel(cluster.url) };
      await askIt(sides, promptOf(-1));
      for (let round = 0; round < ROUNDS; round += 1) {
        const prompt = promptOf(round);
        const cold = await askIt(sides, prompt);
        if (cold.cached !== 0) throw new Error(`cold: ${cold.cached} tokens were cached`);
        times.cold!.push(cold.ttft_ms);
        times.g1!.push(await warm(sides, prompt, "g1"));
        await arrived(sides, "G2", blocks * (round + 2));
        await fetch(`${cluster.url}/clear_kv_blocks`, { method: "POST" });
        // The engine forgets between two steps, and says so after.
        await until("an empty G1", WAIT_MS, async () => (await used(sides, "G1")) === 0);
        times.g2!.push(await warm(sides, prompt, "g2"));
        const [pid = 0] = await pidsOf(cluster, "worker");
        process.kill(pid, "SIGKILL");
        await workersServe(sides, 0);
        await workersServe(sides, 1);
        times.restart!.push(await warm(sides, prompt, "restart"));
      }
      await arrived(sides, "G3", blocks * (ROUNDS + 1));
    }
    {
      await using cluster = await startCluster(flags, { timeout_ms: 120_000 });
      const sides = { cluster, model: await firstModel(cluster.url) };
      await askIt(sides, promptOf(-2));
      for (let round = 0; round < ROUNDS; round += 1) {
        times.g3!.push(await warm(sides, promptOf(round), "g3"));
      }
    }
    {
      const two = [...flags, "--workers", "2", "--threads", "1"];
      await using cluster = await startCluster(two, { timeout_ms: 120_000 });
      const sides = { cluster, model: await firstModel(cluster.url) };
      for (let round = 0; round < ROUNDS; round += 1) {
        const prompt = promptOf(100 + round);
        await askIt(sides, prompt, "worker-0");
        await arrived(sides, "G2", blocks * (round + 1));
        times.peer!.push(await warm(sides, prompt, "peer", "worker-1"));
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const cold_ms = median(times.cold!);
  const figures = Object.entries(times).flatMap(([tier, all]) => [
    [`ttft_${tier}_ms`, rounded(median(all), 1)] as const,
    [`${tier}_of_cold`, rounded(median(all) / cold_ms, 3)] as const,
  ]);
  report({
    ...{ case: `first token, ${PREFIX} cached`, model: source, block_size },
    ...Object.fromEntries(figures),
  });
}
