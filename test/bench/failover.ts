/**
 * `bun run bench failover`, first case: many streams over several simulated workers, one of which is killed in
 * the middle (`kill -9`). What is lost, what comes twice, and the longest pause that a client sees
 * from the kill on, against the same requests undisturbed:
 *
 *   beyond_ms = gap_ms - itl_ms - reprefill_ms
 *
 *   itl_ms        the middle of all times between two tokens while nothing is killed
 *   reprefill_ms  the least that the mocker's own timing charges for computing again what was lost:
 *                 one pass in each worker that is left, with an equal share of the lost streams,
 *                 each of them its prompt and the tokens that its client had at the kill. They fit
 *                 into one pass's budget, and no cache has any of it, as each round has prompts of
 *                 its own (the mocker draws the same tokens behind each of them)
 *
 * What the mocker charges besides is part of `beyond_ms`: the lost pass (up to one `itl_ms` since a
 * stream's last token), the rest of the pass under way where it goes on (up to another one, and the
 * longest of several workers counts), and that a pass of more sequences is longer (2 ms). On
 * average that is 35 to 40 ms, at worst 60: nobody's failover is shorter.
 *
 *   TROUPE_BENCH_STREAMS=800   TROUPE_BENCH_WORKERS=4   TROUPE_BENCH_ROUNDS=5   TROUPE_BENCH_FLAGS="…"
 */
import { mockerDefaults } from "../../actors/engine/mocker/options.ts";
import { polynomialTiming } from "../../actors/engine/mocker/timing.ts";
import { type Cluster, pidsOf, startCluster, until } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { benchFrontendKill } from "./failover-frontend.ts";
import { longestGapMs, type RawAnswer, readRaw, understood } from "./load/raw-stream.ts";
import { firstModel } from "./start.ts";
import { median, quantile, rounded } from "./statistics.ts";

const streams = Number(process.env["TROUPE_BENCH_STREAMS"] ?? 800);
const workers = Number(process.env["TROUPE_BENCH_WORKERS"] ?? 4);
/** Prompts are quick and tokens slow, so that all that a worker loses is made again soon. */
const speedup = 10;
const decode_speedup = 0.025;
const tokens = 150;
const rounds = Number(process.env["TROUPE_BENCH_ROUNDS"] ?? 5);
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
  await run(cluster, model, "a warm-up", () => {});
  const undisturbed = await run(cluster, model, "no round", () => {});
  const normal = {
    undisturbed,
    itl_ms: quantile(undisturbed.flatMap(gapsOf), 0.5),
    prompt_tokens: await promptTokens(cluster.url, model),
  };
  const beyond_ms: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const figures = await killOne(cluster, model, `round ${round}`, normal);
    beyond_ms.push(figures.beyond_ms);
    report({ case: `worker killed, ${round} of ${rounds}`, streams, workers, ...figures });
  }
  report({
    case: "worker killed, all",
    beyond_min_ms: Math.min(...beyond_ms),
    beyond_p50_ms: median(beyond_ms),
    beyond_max_ms: Math.max(...beyond_ms),
  });
}

type Normal = {
  readonly undisturbed: readonly { readonly text: string }[];
  readonly itl_ms: number;
  readonly prompt_tokens: number;
};

type Health = { readonly models: readonly { readonly workers: number }[] };

async function killOne(cluster: Cluster, model: string, name: string, normal: Normal) {
  const { undisturbed, itl_ms, prompt_tokens } = normal;
  const [victim = 0] = await pidsOf(cluster, "worker");
  let killed_ms = 0;
  const disturbed = await run(cluster, model, name, () => {
    killed_ms = performance.now();
    process.kill(victim, "SIGKILL");
  });
  const moved = disturbed.filter((answer) => answer.workers > 1).length;
  if (2 * moved * workers < streams) {
    throw new Error(`only ${moved} of ${streams} streams were at the worker that was killed`);
  }
  const lost = disturbed.filter(({ error, done }) => error !== "" || !done);
  if (lost[0] !== undefined) console.error(`lost: ${lost[0].error}\n${cluster.log()}`);
  const wrong = disturbed.filter(({ text }, i) => text !== undisturbed[i]?.text);
  const before_ms = disturbed.map((answer) => longestGapMs(answer, 0, killed_ms));
  const pauses_ms = disturbed.map((answer) => longestGapMs(answer, killed_ms));
  const gap_ms = Math.max(...pauses_ms);
  const made = disturbed.map((answer) => readsBefore(answer, killed_ms));
  const refill_ms = refillMs(prompt_tokens + quantile(made, 0.5));
  // It has its share of the next round only if it serves by then.
  await until("the killed worker's successor", 60_000, async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as Health;
    return health.models[0]?.workers === workers;
  });
  return {
    complete: disturbed.length - lost.length,
    moved,
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

async function run(cluster: Cluster, model: string, name: string, inTheMiddle: () => void) {
  const bodies = Array.from({ length: streams }, (_, seed) => ({
    model,
    prompt: promptOf(seed, name),
    max_tokens: tokens,
    ignore_eos: true,
    seed,
  }));
  const answers = bodies.map((body) => readRaw(cluster.url, "/v1/completions", body, 60_000));
  setTimeout(inTheMiddle, kill_after_ms);
  const raw = await Promise.all(answers);
  return raw.map((answer) => ({ ...answer, ...understood(answer) }));
}

const promptOf = (seed: number, name: string) => `stream number ${seed} of ${name}`;

async function promptTokens(url: string, model: string): Promise<number> {
  const prompt = promptOf(100, "round 1");
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, prompt, max_tokens: 1 }),
  });
  const body = (await response.json()) as { usage: { prompt_tokens: number } };
  return body.usage.prompt_tokens;
}

function gapsOf({ at_ms }: RawAnswer): number[] {
  return at_ms.slice(1).map((at, i) => at - at_ms[i]!);
}

/** At least so many tokens had come by then: a read may hold several. */
function readsBefore({ at_ms }: RawAnswer, until_ms: number): number {
  return at_ms.filter((at) => at < until_ms).length;
}

/** See above. `each`: tokens that a lost stream had, its prompt among them. */
function refillMs(each: number): number {
  const tokens = Math.ceil(streams / workers / (workers - 1)) * each;
  const budget_tokens = mockerDefaults.max_num_batched_tokens - streams / workers;
  if (tokens > budget_tokens) throw new Error(`${tokens} lost tokens do not fit into one pass`);
  return polynomialTiming.prefillMs(tokens) / speedup;
}
