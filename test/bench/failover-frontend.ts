/**
 * The second case of `bun run bench failover`: one of two frontends is killed under streams whose
 * clients resume them. What is lost, what comes twice, and the longest time between two tokens.
 *
 *   TROUPE_BENCH_RESUMED=200
 */
import { type Outcome, runClient } from "../fault/wall/client.ts";
import { type Cluster, pidsOf, startCluster } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { firstModel } from "./start.ts";
import { quantile, rounded } from "./statistics.ts";

const streams = Number(process.env["TROUPE_BENCH_RESUMED"] ?? 200);
const workers = 2;
const tokens = 150;
/** All streams run by then, and go on long enough. */
const kill_after_ms = 1_500;

export async function benchFrontendKill(report: Report): Promise<void> {
  await using cluster = await startCluster([
    ...["--engine", "mocker", "--workers", String(workers), "--frontends", "2"],
    ...["--max-num-seqs", String(streams)],
    // A token in some 30 ms, as a real model of that many streams.
    ...["--speedup-ratio", "10", "--decode-speedup-ratio", "0.025"],
  ]);
  const model = await firstModel(cluster.url);
  // Code that runs for the first time is slow, and nobody's pause.
  await run(cluster, model, () => {});
  const undisturbed = await run(cluster, model, () => {});
  const [victim = 0] = await pidsOf(cluster, "frontend");
  const disturbed = await run(cluster, model, () => process.kill(victim, "SIGKILL"));
  const complete = disturbed.filter(({ state }) => state === "complete").length;
  const wrong = disturbed.filter(({ state, ledger }, i) => {
    const expected = undisturbed[i]?.ledger.choices[0]?.text;
    return state === "complete" && ledger.choices[0]?.text !== expected;
  });
  const hit = disturbed.filter(({ resumed, retried }) => resumed + retried > 0);
  const gaps_ms = hit.map(({ ledger }) => ledger.gap_ms);
  report({
    case: "frontend killed",
    streams,
    workers,
    complete,
    lost: disturbed.length - complete,
    duplicated: disturbed.reduce((sum, { ledger }) => sum + ledger.duplicated, 0),
    wrong_bytes: wrong.length,
    resumed: hit.length,
    normal_gap_max_ms: rounded(Math.max(...undisturbed.map(({ ledger }) => ledger.gap_ms))),
    gap_p50_ms: rounded(quantile(gaps_ms, 0.5)),
    gap_ms: rounded(Math.max(...gaps_ms)),
  });
  const broken = disturbed.find(({ state }) => state !== "complete");
  if (broken !== undefined) console.error(`the first that was lost: ${broken.why}`);
}

function run(cluster: Cluster, model: string, inTheMiddle: () => void): Promise<Outcome[]> {
  const clients = Array.from({ length: streams }, (_, seed) =>
    runClient({
      url: () => cluster.url,
      body: {
        ...{ model, seed, prompt: `stream number ${seed} of a run`, max_tokens: tokens },
        ...{ ignore_eos: true, stream: true },
      },
      choices: 1,
      resumes: true,
      retries: true,
      deadline_ms: 60_000,
    }),
  );
  setTimeout(inTheMiddle, kill_after_ms);
  return Promise.all(clients);
}
