/**
 * `bun run bench failover`, first case: many streams over several simulated workers, one of which is killed in
 * the middle (`kill -9`). What is lost, what comes twice, and the longest pause that a client sees,
 * against the same requests undisturbed.
 *
 *   TROUPE_BENCH_STREAMS=800   TROUPE_BENCH_WORKERS=4   TROUPE_BENCH_FLAGS="…"
 */
import { polynomialTiming } from "../../actors/engine/mocker/timing.ts";
import { type Cluster, pidsOf, startCluster, until } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { benchFrontendKill } from "./failover-frontend.ts";
import { longestGapMs, type RawAnswer, readRaw } from "./load/raw-stream.ts";
import { firstModel } from "./start.ts";
import { quantile, rounded } from "./statistics.ts";

const streams = Number(process.env["TROUPE_BENCH_STREAMS"] ?? 800);
const workers = Number(process.env["TROUPE_BENCH_WORKERS"] ?? 4);
/** Prompts are quick and tokens slow, so that all that a worker loses is made again soon. */
const speedup = 10;
const decode_speedup = 0.025;
const tokens = 150;
const prompt_tokens = 12;
const rounds = 3;
/** All streams run by then, and go on long enough. */
const kill_after_ms = 2_500;

export async function benchFailover(report: Report): Promise<void> {
  await benchWorkerKill(report);
  await benchFrontendKill(report);
}

async function benchWorkerKill(report: Report): Promise<void> {
  const more = (process.env["TROUPE_BENCH_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
  await using cluster = await startCluster(
    [
      ...["--engine", "mocker", "--workers", String(workers)],
      // Room for all of them on the workers that are left.
      ...["--max-num-seqs", String(streams)],
      ...["--speedup-ratio", String(speedup), "--decode-speedup-ratio", String(decode_speedup)],
      ...more,
    ],
    { timeout_ms: 120_000 },
  );
  const model = await firstModel(cluster.url);
  // Code that runs for the first time is slow, and nobody's pause.
  await run(cluster, model, () => {});
  const undisturbed = await run(cluster, model, () => {});
  const itl_ms = quantile(undisturbed.flatMap(gapsOf), 0.5);
  for (let round = 1; round <= rounds; round++) {
    const figures = await killOne(cluster, model, undisturbed, itl_ms);
    report({ case: `worker killed, ${round} of ${rounds}`, streams, workers, ...figures });
  }
}

async function killOne(
  cluster: Cluster,
  model: string,
  undisturbed: readonly RawAnswer[],
  itl_ms: number,
) {
  const [victim = 0] = await pidsOf(cluster, "worker");
  let killed_ms = 0;
  const disturbed = await run(cluster, model, () => {
    killed_ms = performance.now();
    process.kill(victim, "SIGKILL");
  });
  const lost = disturbed.filter(({ error, done }) => error !== "" || !done);
  if (lost[0] !== undefined) console.error(`lost: ${lost[0].error}\n${cluster.log()}`);
  const wrong = disturbed.filter(({ text }, i) => text !== undisturbed[i]?.text);
  const before_ms = disturbed.map((answer) => longestGapMs(answer, 0, killed_ms));
  const pauses_ms = disturbed.map((answer) => longestGapMs(answer, killed_ms));
  const gap_ms = Math.max(...pauses_ms);
  const refill_ms = refillMs(itl_ms);
  await until("the killed worker's successor", 30_000, async () => {
    const pids = await pidsOf(cluster, "worker");
    return pids.length === workers && !pids.includes(victim) && pids.every((pid) => pid > 0);
  });
  return {
    complete: disturbed.length - lost.length,
    lost: lost.length,
    wrong_bytes: wrong.length,
    itl_p50_ms: rounded(itl_ms),
    // What this machine makes of the same streams while nothing is killed.
    gap_before_ms: rounded(Math.max(...before_ms)),
    gap_ms: rounded(gap_ms),
    gap_p50_ms: rounded(quantile(pauses_ms, 0.5)),
    gap_p99_ms: rounded(quantile(pauses_ms, 0.99)),
    reprefill_ms: rounded(refill_ms),
    beyond_ms: rounded(gap_ms - itl_ms - refill_ms),
  };
}

async function run(cluster: Cluster, model: string, inTheMiddle: () => void) {
  const bodies = Array.from({ length: streams }, (_, seed) => ({
    model,
    prompt: `stream number ${seed} of a run`,
    max_tokens: tokens,
    ignore_eos: true,
    seed,
  }));
  const answers = bodies.map((body) => readRaw(cluster.url, "/v1/completions", body, 60_000));
  setTimeout(inTheMiddle, kill_after_ms);
  return Promise.all(answers);
}

function gapsOf({ at_ms }: RawAnswer): number[] {
  return at_ms.slice(1).map((at, i) => at - at_ms[i]!);
}

/** What the mocker charges for computing again what one worker had, on the others. */
function refillMs(itl_ms: number): number {
  const made = Math.min(tokens, kill_after_ms / itl_ms);
  const moved = Math.ceil(streams / workers / (workers - 1)) * (prompt_tokens + made);
  return polynomialTiming.prefillMs(moved) / speedup;
}
