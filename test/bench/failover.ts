/**
 * `bun run bench failover`, first case: many streams over several simulated workers, one of which is killed in
 * the middle (`kill -9`). What is lost, what comes twice, and the longest pause that a client sees,
 * against the same requests undisturbed.
 *
 *   TROUPE_BENCH_STREAMS=800   TROUPE_BENCH_WORKERS=4   TROUPE_BENCH_FLAGS="…"
 */
import { polynomialTiming } from "../../actors/engine/mocker/timing.ts";
import { type Cluster, pidsOf, startCluster } from "../support/cluster.ts";
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
  const [victim = 0] = await pidsOf(cluster, "worker");
  let killed_ms = 0;
  const disturbed = await run(cluster, model, () => {
    killed_ms = performance.now();
    process.kill(victim, "SIGKILL");
  });
  const gaps_ms = undisturbed.flatMap(gapsOf);
  const itl_ms = quantile(gaps_ms, 0.5);
  const normal_ms = Math.max(...undisturbed.map((answer) => longestGapMs(answer, 0)));
  const pauses_ms = disturbed.map((answer) => longestGapMs(answer, killed_ms));
  const gap_ms = Math.max(...pauses_ms);
  const refill_ms = refillMs(itl_ms);
  const lost = disturbed.filter(({ error, done }) => error !== "" || !done);
  const texts = new Map(undisturbed.map(({ text }, i) => [i, text]));
  report({
    case: "worker killed",
    streams,
    workers,
    complete: disturbed.length - lost.length,
    lost: lost.length,
    wrong_bytes: disturbed.filter(({ text, error }, i) => error === "" && text !== texts.get(i))
      .length,
    itl_p50_ms: rounded(itl_ms),
    normal_gap_max_ms: rounded(normal_ms),
    gap_ms: rounded(gap_ms),
    gap_p99_ms: rounded(quantile(pauses_ms, 0.99)),
    reprefill_ms: rounded(refill_ms),
    beyond_ms: rounded(gap_ms - itl_ms - refill_ms),
  });
  const first_gap_ms = pauses_ms.filter((pause) => pause > 3 * itl_ms).length;
  console.error(`${first_gap_ms} of ${streams} paused for more than 3 tokens`);
  if (lost[0] !== undefined) {
    console.error(`the first that was lost: ${lost[0].error}\n${cluster.log()}`);
  }
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
