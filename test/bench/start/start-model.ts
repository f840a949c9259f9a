/**
 * `bun run bench start --model MODEL`: how long a first worker of a model takes, whose file is not in
 * memory, and a second one of the same machine while the first serves. Times are the workers' own,
 * from their logs: from the beginning of the process until it serves, and what of it was for
 * the weights and for the first tokens. MODEL: a path, a source, or `random-q8_0:GB` and
 * `random-q4_0:GB` for random weights of that size, which are removed at the end.
 *
 *   TROUPE_BENCH_ROUNDS=3   TROUPE_BENCH_WEIGHTS=auto|own|shared
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "../../support/cluster.ts";
import type { Report } from "../bench.ts";
import { modelPath } from "../parts/engine.ts";
import { median, rounded } from "../statistics.ts";
import { type LargeQuant, writeLargeGguf } from "./large-gguf.ts";
import { dropFromMemory } from "./page-cache.ts";

const ROUNDS = Number(process.env["TROUPE_BENCH_ROUNDS"] ?? 3);

type Start = { readonly ready_ms: number; readonly weights_ms: number; readonly tokens_ms: number };

export async function benchStartModel(report: Report, source: string): Promise<void> {
  await withModel(source, async (model) => {
    const starts = { first: [] as Start[], second: [] as Start[] };
    let cached = 0;
    for (let round = 0; round < ROUNDS; round++) {
      cached = Math.max(cached, dropFromMemory(model));
      const args = ["--model", model, "--model-name", "bench", ...weights()];
      const options = { timeout_ms: 600_000, log_level: "info" } as const;
      await using cluster = await startCluster(args, options);
      starts.first.push(await startOf(cluster, "worker-0"));
      const added = await fetch(`${cluster.inspector}/api/workers`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ count: 1 }),
      });
      if (!added.ok) throw new Error(`no second worker: ${await added.text()}`);
      starts.second.push(await startOf(cluster, "worker-1"));
    }
    const bytes = statSync(model).size;
    for (const [which, each] of Object.entries(starts)) {
      const middle = (of: keyof Start) => median(each.map((start) => start[of]));
      const ratio = (of: keyof Start) =>
        rounded(middle(of) / median(starts.first.map((start) => start[of])), 3);
      report({
        case: `${which} worker`,
        ...{ bytes, rounds: ROUNDS },
        ...(which === "first" ? { cached_before: rounded(cached, 3) } : {}),
        ready_ms: rounded(middle("ready_ms"), 0),
        weights_ms: rounded(middle("weights_ms"), 0),
        first_tokens_ms: rounded(middle("tokens_ms"), 0),
        ...(which === "first"
          ? {}
          : { ready_ratio: ratio("ready_ms"), weights_ratio: ratio("weights_ms") }),
      });
    }
  });
}

const weights = (): string[] => {
  const given = process.env["TROUPE_BENCH_WEIGHTS"];
  return given === undefined ? [] : ["--weights", given];
};

/** Of the worker's line in the log. */
async function startOf(cluster: Cluster, worker: string): Promise<Start> {
  const line = new RegExp(
    `${worker} is ready ([\\d.]+) s after .* of weights in ([\\d.]+) s, first tokens in ([\\d.]+) s`,
  );
  await until(`the line of ${worker}`, 30_000, () => line.test(cluster.log()));
  const [, ...seconds] = line.exec(cluster.log())!;
  const [ready_ms = 0, weights_ms = 0, tokens_ms = 0] = seconds.map((each) => 1_000 * Number(each));
  return { ready_ms, weights_ms, tokens_ms };
}

/** Random weights live as long as `use`. */
export async function withModel<Result>(
  source: string,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const [, quant, gigabytes] = /^random-(q8_0|q4_0):([\d.]+)$/.exec(source) ?? [];
  if (quant === undefined) return await use(await modelPath(source));
  const folder = mkdtempSync(join(tmpdir(), "troupe-random-model-"));
  try {
    const path = join(folder, "random.gguf");
    writeLargeGguf(path, Number(gigabytes) * 1e9, quant as LargeQuant);
    return await use(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
