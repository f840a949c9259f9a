/**
 * `bun run bench batch`: what people who wait notice of a batch, and that no line is lost. All on
 * simulated workers with Dynamo's timing. First in virtual time, which other work on the machine
 * does not disturb, then with real processes:
 *
 * Rounds in turn: the same arrivals of streamed chats without a batch and beside one, which has
 * lines for the whole round and comes when chats are under way. `ttft_p99_ratio` is of all rounds
 * together. What is left of the last round's batch is then answered alone.
 *
 * The last case: a batch beside chats, a worker and the frontend that runs it killed in the middle
 * (`kill -9`); each line has to be in the output once.
 *
 *   TROUPE_BENCH_LINES=10000   TROUPE_BENCH_WORKERS=8   TROUPE_BENCH_ROUNDS=4
 *   TROUPE_BENCH_SECONDS=20 (a round)   TROUPE_BENCH_RATE=12 (chats a second)
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../runtime/simulation/random.ts";
import { besideInVirtualTime } from "../sim/batches/beside.ts";
import {
  batchOf,
  endOf,
  linesAnswered,
  makeBatch,
  runnerOf,
  startBatch,
  uploadLines,
} from "../support/batches.ts";
import { type Cluster, pidOfWorker, pidsOf, startCluster, until } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { type Answer, HttpClient } from "./http-client.ts";
import { arrivalsAtRate } from "./load/arrivals.ts";
import { Prompts } from "./load/prompts.ts";
import { firstModel } from "./start.ts";
import { median, quantile, rounded } from "./statistics.ts";

const knob = (name: string, usual: number) => Number(process.env[`TROUPE_BENCH_${name}`] ?? usual);
const line_count = knob("LINES", 10_000);
const workers = knob("WORKERS", 8);
const rounds = knob("ROUNDS", 4);
const round_ms = 1_000 * knob("SECONDS", 20);
const per_s = knob("RATE", 12);
const chat_tokens = 32;
const line_tokens = 8;
/** Chats are under way when a batch comes. */
const LEAD_MS = 2_000;

export async function benchBatch(report: Report): Promise<void> {
  const { streams, lines, without_p99_ms, beside_p99_ms, ratio } = await besideInVirtualTime(14);
  report({
    case: "virtual time",
    ...{ streams, lines_beside: lines },
    ttft_p99_ms: rounded(without_p99_ms),
    beside_p99_ms: rounded(beside_p99_ms),
    ttft_p99_ratio: rounded(ratio, 3),
  });
  const folder = mkdtempSync(join(tmpdir(), "troupe-bench-batch-"));
  try {
    await benchBeside(report, join(folder, "beside"));
    await benchKills(report, join(folder, "kills"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const start = (data_dir: string) =>
  startCluster(
    [
      ...["--engine", "mocker", "--workers", `${workers}`, "--frontends", "2"],
      ...["--data-dir", data_dir],
    ],
    { timeout_ms: 120_000 },
  );

/** Small requests, each with words of its own. */
function linesFor(model: string, count: number, seed: number): string[] {
  const prompts = new Prompts({ isl: 60, shared: 0 }, seed);
  return Array.from({ length: count }, (_, n) => {
    const messages = [{ role: "user", content: prompts.next() }];
    const body = { model, messages, max_tokens: line_tokens, ignore_eos: true };
    return JSON.stringify({ custom_id: `l${n}`, method: "POST", url: CHATS, body });
  });
}
const CHATS = "/v1/chat/completions";

async function benchBeside(report: Report, data_dir: string): Promise<void> {
  await using cluster = await start(data_dir);
  const model = await firstModel(cluster.url);
  await wholeChats(cluster, model, 0, Math.min(5_000, round_ms));
  const all = { without: [] as number[], beside: [] as number[] };
  const ratios: number[] = [];
  const id = await startBatch(cluster.url, linesFor(model, 1, 0));
  await endOf(cluster.url, id);
  let lines_beside = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const without = await wholeChats(cluster, model, round, round_ms);
    const file = await uploadLines(cluster.url, linesFor(model, line_count, round));
    const chatting = wholeChats(cluster, model, round, round_ms);
    await Bun.sleep(LEAD_MS);
    const batch = await makeBatch(cluster.url, file);
    const beside = await chatting;
    const lines = await linesAnswered(cluster.url, batch);
    const begun_ms = performance.now();
    const last = round === rounds;
    const { status } = last ? await endOf(cluster.url, batch) : await cancel(cluster.url, batch);
    const alone_per_s = (1_000 * (line_count - lines)) / (performance.now() - begun_ms);
    all.without.push(...without);
    all.beside.push(...beside);
    lines_beside += lines;
    const ratio = quantile(beside, 0.99) / quantile(without, 0.99);
    ratios.push(ratio);
    report({
      case: `round ${round} of ${rounds}`,
      chats: without.length,
      ttft_p50_ms: rounded(median(without)),
      beside_p50_ms: rounded(median(beside)),
      ttft_p99_ms: rounded(quantile(without, 0.99)),
      beside_p99_ms: rounded(quantile(beside, 0.99)),
      ttft_p99_ratio: rounded(ratio, 3),
      lines_beside_per_s: rounded((1_000 * lines) / round_ms),
      ...(last ? { lines_alone_per_s: rounded(alone_per_s) } : {}),
      status,
    });
  }
  report({
    case: "all rounds",
    workers,
    chats_per_s: per_s,
    lines_beside,
    ttft_p50_ratio: rounded(median(all.beside) / median(all.without), 3),
    ttft_p99_ratio: rounded(quantile(all.beside, 0.99) / quantile(all.without, 0.99), 3),
    ttft_p99_ratio_median: rounded(median(ratios), 3),
  });
}

async function cancel(url: string, id: string) {
  await fetch(`${url}/v1/batches/${id}/cancel`, { method: "POST" });
  return endOf(url, id);
}

/**
 * Times to the first token of the chats that arrived in this time after LEAD_MS; a seed has the
 * same arrivals each time.
 */
async function chats(cluster: Cluster, model: string, seed: number, for_ms: number) {
  const random = new SeededRandom(1_000 + seed);
  // Prompts are new each time, or caches would have those of the round before.
  const prompts = new Prompts({ isl: 1_500, shared: 0 }, Math.floor(performance.now() * 1_000));
  const began_ms = performance.now();
  const idle: HttpClient[] = [];
  const ttft_ms: number[] = [];
  const broken: string[] = [];
  const under_way: Promise<unknown>[] = [];
  for (const at_ms of arrivalsAtRate(per_s, "poisson", random)) {
    if (at_ms >= LEAD_MS + for_ms) break;
    await Bun.sleep(Math.max(0, began_ms + at_ms - performance.now()));
    const client = idle.pop() ?? new HttpClient(cluster.url);
    const messages = [{ role: "user", content: prompts.next() }];
    const body = { model, messages, max_tokens: chat_tokens, ignore_eos: true };
    const took = ({ error, ttft_ms: its_ms }: Answer) => {
      if (error !== "") broken.push(error);
      else if (at_ms >= LEAD_MS) ttft_ms.push(its_ms);
      idle.push(client);
    };
    const failed = (error: Error) => broken.push(error.message);
    under_way.push(client.post(CHATS, body).then(took, failed));
  }
  await Promise.all(under_way);
  for (const client of idle) client.close();
  return { ttft_ms, broken };
}

/** Chats of which none may break. */
async function wholeChats(cluster: Cluster, model: string, seed: number, for_ms: number) {
  const { ttft_ms, broken } = await chats(cluster, model, seed, for_ms);
  if (broken.length === 0) return ttft_ms;
  throw new Error(`${broken.length} chats broke, as: ${broken[0]}\n${cluster.log()}`);
}

async function benchKills(report: Report, data_dir: string): Promise<void> {
  await using cluster = await start(data_dir);
  const model = await firstModel(cluster.url);
  const lines = linesFor(model, line_count, 99);
  const begun_ms = performance.now();
  const id = await startBatch(cluster.url, lines);
  let over = false;
  let broken = 0;
  const beside = (async () => {
    for (let seed = 50; !over; seed += 1) {
      // A chat at the frontend that is killed breaks; its client would resume it.
      broken += (await chats(cluster, model, seed, 2_000)).broken.length;
      // Pauses as people make them, in which lines go fast.
      await Bun.sleep(8_000);
    }
  })();
  const reach = (share: number) =>
    until(`${share} of the lines`, 900_000, async () => {
      return (await linesAnswered(cluster.url, id)) >= share * line_count;
    });
  await reach(0.3);
  const [worker = 0] = await pidsOf(cluster, "worker");
  process.kill(worker, "SIGKILL");
  await reach(0.5);
  const runner = await runnerOf(cluster);
  process.kill(await pidOfWorker(cluster, runner), "SIGKILL");
  const killed_ms = performance.now();
  const at_kill = await linesAnswered(cluster.url, id);
  await until("another frontend goes on", 60_000, async () => {
    return (await linesAnswered(cluster.url, id)) > at_kill;
  });
  const takeover_ms = performance.now() - killed_ms;
  await endOf(cluster.url, id, 900_000);
  const seconds = (performance.now() - begun_ms) / 1_000;
  over = true;
  await beside;
  const { batch, counts } = await batchOf(cluster.url, id);
  const once = [...counts.values()].filter((count) => count === 1).length;
  report({
    case: "worker, frontend killed",
    ...{ lines: line_count, once, more_than_once: counts.size - once },
    status: batch.status,
    completed: batch.request_counts?.completed ?? 0,
    takeover_ms: rounded(takeover_ms, 0),
    seconds: rounded(seconds, 1),
    chats_broken: broken,
  });
  if (once !== line_count || counts.size !== line_count)
    throw new Error("a line is lost, or twice");
}
