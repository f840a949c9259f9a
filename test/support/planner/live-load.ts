/** A real cluster with a planner under load that swings, and how many workers it has meanwhile. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlannerAnswer } from "../../../actors/inspector/planner-rows.ts";
import { type Cluster, pidsOf, startCluster, until } from "../cluster.ts";

export type LivePlan = {
  readonly max_workers: number;
  /** Requests a second, as a sine from low to high and back. */
  readonly low_per_s: number;
  readonly high_per_s: number;
  readonly period_s: number;
  /** SIGKILL to the planner's process, so many seconds after the load began. */
  readonly kill_planner_s?: number;
};

export type LiveResult = {
  /** Each second from the first request on, until one worker is left. */
  readonly serving: readonly number[];
  readonly requests: number;
  readonly failed: number;
  /** Names of workers that were there at any time; each is given once. */
  readonly names: readonly string[];
  /** Answers that were not over when the drain of their worker was, as its pool counts them. */
  readonly unfinished: number;
  readonly changes: readonly {
    readonly outcome: string;
    readonly why?: string | undefined;
    readonly unfinished?: number;
  }[];
};

/** Decides each second, and lets workers go after 6 s. */
const config = [
  "load_adjustment_interval_seconds: 1",
  "throughput_adjustment_interval_seconds: 5",
  "scale_down_after_seconds: 6",
].join("\n");

const BACK_MS = 60_000;

export async function liveLoad(plan: LivePlan): Promise<LiveResult> {
  const folder = mkdtempSync(join(tmpdir(), "troupe-planner-"));
  try {
    const file = join(folder, "planner.yaml");
    writeFileSync(file, config);
    await using cluster = await startCluster([
      ...["--engine", "mocker", "--planner", "sla", "--ttft-ms", "200", "--itl-ms", "20"],
      ...["--max-workers", `${plan.max_workers}`, "--planner-config", file],
    ]);
    return await underLoad(cluster, plan);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Member = { readonly worker: string; readonly state: string };

async function members({ inspector }: Cluster): Promise<readonly Member[]> {
  const { machines } = (await (await fetch(`${inspector}/api/workers`)).json()) as {
    readonly machines: readonly { readonly workers: readonly Member[] }[];
  };
  return machines.flatMap(({ workers }) => workers);
}

async function underLoad(cluster: Cluster, plan: LivePlan): Promise<LiveResult> {
  const serving: number[] = [];
  const names = new Set<string>();
  let going = true;
  const look = async () => {
    const all = await members(cluster);
    for (const { worker } of all) names.add(worker);
    serving.push(all.filter(({ state }) => state === "serving").length);
  };
  const watching = (async () => {
    for (; going; await Bun.sleep(1_000)) await look();
  })();
  const { kill_planner_s } = plan;
  const killing =
    kill_planner_s !== undefined &&
    Bun.sleep(1_000 * kill_planner_s).then(async () => {
      const [pid] = await pidsOf(cluster, "planner");
      if (pid === undefined) throw new Error("there is no planner's process to kill");
      process.kill(pid, "SIGKILL");
    });
  const { requests, errors } = await load(cluster, plan);
  await killing;
  await until("one worker is left", BACK_MS, async () => (await members(cluster)).length === 1);
  going = false;
  await watching;
  await look();
  const answer = (await (await fetch(`${cluster.inspector}/api/planner`)).json()) as PlannerAnswer;
  const changes = answer.planners.flatMap(({ ended = [] }) => ended);
  return {
    ...{ serving, requests, failed: errors, names: [...names].sort(), changes },
    unfinished: changes.reduce((sum, each) => sum + (each.unfinished ?? 0), 0),
  };
}

async function load({ url }: Cluster, { low_per_s, high_per_s, period_s }: LivePlan) {
  const script = join(import.meta.dir, "../../bench/load.ts");
  const shape = [
    "--rate",
    `${low_per_s}`,
    "--rate-high",
    `${high_per_s}`,
    "--period",
    `${period_s}`,
  ];
  const size = ["--isl", "2000", "--osl", "100", "--requests", "100000"];
  const rest = ["--duration", `${period_s}`, "--json", "--quiet"];
  const child = Bun.spawn([process.execPath, script, "--url", url, ...shape, ...size, ...rest], {
    ...{ stdout: "pipe", stderr: "inherit" },
  });
  const text = await new Response(child.stdout).text();
  return JSON.parse(text) as { readonly requests: number; readonly errors: number };
}
