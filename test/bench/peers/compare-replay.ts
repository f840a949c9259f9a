/** One trace through both offline replays: virtual time, the same timing, blocks and workers. */
import { join } from "node:path";
import { median, rounded } from "../statistics.ts";
import { runToEnd } from "./child.ts";
import { installDynamo } from "./install.ts";
import type { ComparedRow } from "./ratio-table.ts";

const replay_ms = 10 * 60_000;
const root = join(import.meta.dir, "../../..");

/** Dynamo's settings: its defaults, and the best ones found for the middle and for overload. */
const dynamo_settings = {
  default: {},
  "scale 16": { prefill_load_scale: 16 },
  "queue 1, wspt": { router_queue_threshold: 1, router_queue_policy: "wspt" },
} as const;

type Figures = {
  readonly wall_ms: number;
  readonly prefix_reuse: number;
  readonly ttft_ms: { readonly mean: number; readonly p50: number; readonly p99: number };
  readonly e2e_ms: { readonly mean: number };
};

export type ReplayOptions = {
  readonly cache: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
  readonly trace: string;
  readonly speedups: string;
  readonly workers: string;
  readonly blocks: string;
};

export async function compareReplay(options: ReplayOptions): Promise<ComparedRow[]> {
  const python = await installDynamo(options.cache, options.say);
  const rows: ComparedRow[] = [];
  for (const speedup of options.speedups.split(",")) {
    for (const mode of ["round-robin", "kv"] as const) {
      const theirs = await dynamoRows(options, python, speedup, mode);
      options.say(`${speedup}×, ${mode}: troupe`);
      const runs: Figures[] = [];
      for (let round = 0; round < options.rounds; round += 1) {
        runs.push(await ours(options, speedup, mode, round + 1));
      }
      const mine = medians(runs);
      const best = [...theirs.values()].reduce((a, b) => (a.ttft_ms.mean < b.ttft_ms.mean ? a : b));
      rows.push(row(`${speedup}× ${mode}: troupe`, mine, best));
      for (const [name, figures] of theirs) {
        rows.push(row(`${speedup}× ${mode}: dynamo, ${name}`, figures, best));
      }
    }
  }
  return rows;
}

/**
 * The mocker with Dynamo's cost beside Dynamo's mocker with it: the ratios are to be 1. Medians of
 * `rounds` seeds, and of as many runs of theirs, whose ties fall anew each time.
 */
export async function compareAgreement(options: ReplayOptions): Promise<ComparedRow[]> {
  const python = await installDynamo(options.cache, options.say);
  const rows: ComparedRow[] = [];
  for (const speedup of options.speedups.split(",")) {
    for (const mode of ["round-robin", "kv"] as const) {
      options.say(`${speedup}×, ${mode}`);
      const mine: Figures[] = [];
      const theirs: Figures[] = [];
      for (let round = 0; round < options.rounds; round++) {
        mine.push(await ours(options, speedup, mode, round + 1, ["--router-policy", "dynamo"]));
        theirs.push(await dynamoRun(options, python, speedup, mode, {}));
      }
      const [a, b] = [medians(mine), medians(theirs)];
      rows.push({
        case: `${speedup}× ${mode}`,
        reuse: rounded(a.prefix_reuse, 3),
        "reuse, dynamo": rounded(b.prefix_reuse, 3),
        "ttft mean": rounded(a.ttft_ms.mean, 1),
        "ttft, dynamo": rounded(b.ttft_ms.mean, 1),
        "e2e mean": rounded(a.e2e_ms.mean, 0),
        "e2e, dynamo": rounded(b.e2e_ms.mean, 0),
        "reuse ratio": rounded(a.prefix_reuse / b.prefix_reuse, 3),
        "ttft ratio": rounded(a.ttft_ms.mean / b.ttft_ms.mean, 3),
        "e2e ratio": rounded(a.e2e_ms.mean / b.e2e_ms.mean, 3),
      });
    }
  }
  return rows;
}

/** `ratio` compares with the best of Dynamo's rows for the same line of the table. */
const row = (name: string, figures: Figures, best: Figures): ComparedRow => ({
  case: name,
  reuse: rounded(figures.prefix_reuse, 3),
  "ttft mean": rounded(figures.ttft_ms.mean, 1),
  "ttft p50": rounded(figures.ttft_ms.p50, 1),
  "ttft p99": rounded(figures.ttft_ms.p99, 0),
  "e2e mean": rounded(figures.e2e_ms.mean, 0),
  "wall ms": rounded(figures.wall_ms, 0),
  "ttft ratio": rounded(figures.ttft_ms.mean / best.ttft_ms.mean),
  "e2e ratio": rounded(figures.e2e_ms.mean / best.e2e_ms.mean),
});

async function dynamoRows(
  options: ReplayOptions,
  python: string,
  speedup: string,
  mode: "round-robin" | "kv",
): Promise<Map<string, Figures>> {
  const rows = new Map<string, Figures>();
  for (const [name, settings] of Object.entries(dynamo_settings)) {
    // Round-robin has nothing to tune.
    if (mode === "round-robin" && name !== "default") continue;
    options.say(`${speedup}×, ${mode}: dynamo, ${name}`);
    rows.set(name, await dynamoRun(options, python, speedup, mode, settings));
  }
  return rows;
}

async function dynamoRun(
  { trace, workers, blocks }: ReplayOptions,
  python: string,
  speedup: string,
  mode: "round-robin" | "kv",
  settings: object,
): Promise<Figures> {
  const script = join(import.meta.dir, "dynamo-replay.py");
  const theirs = mode === "kv" ? "kv_router" : "round_robin";
  const output = await runToEnd(
    [python, script, trace, workers, blocks, speedup, theirs, JSON.stringify(settings)],
    { env: { DYN_LOG: "error", HF_HUB_OFFLINE: "1" }, timeout_ms: replay_ms },
  );
  return JSON.parse(output.trim()) as Figures;
}

/** Ties are random in both; ours by `seed`. */
async function ours(
  options: ReplayOptions,
  speedup: string,
  mode: string,
  seed: number,
  more: readonly string[] = [],
): Promise<Figures> {
  const { trace, workers, blocks } = options;
  const output = await runToEnd(
    [
      ...[process.execPath, "run", "--silent", "replay", trace, "--workers", workers],
      ...["--router-mode", mode, "--arrival-speedup", speedup, "--num-blocks", blocks, "--json"],
      ...["--seed", String(seed), ...more],
    ],
    { cwd: root, timeout_ms: replay_ms },
  );
  return JSON.parse(output.trim()) as Figures;
}

function medians(runs: readonly Figures[]): Figures {
  const of = (value: (run: Figures) => number) => median(runs.map(value));
  return {
    wall_ms: of((run) => run.wall_ms),
    prefix_reuse: of((run) => run.prefix_reuse),
    ttft_ms: {
      mean: of((run) => run.ttft_ms.mean),
      p50: of((run) => run.ttft_ms.p50),
      p99: of((run) => run.ttft_ms.p99),
    },
    e2e_ms: { mean: of((run) => run.e2e_ms.mean) },
  };
}
