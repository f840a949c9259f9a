/**
 * `bun run size TRACE --ttft-ms X --itl-ms Y`: the cheapest plan that holds an SLA on a trace, found
 * by replaying it. Exit 0 with a plan, 1 without one, 2 for what cannot be sized, 130 when it is
 * stopped by a signal, with what was found until then.
 */
import { availableParallelism } from "node:os";
import { polynomialTiming } from "../../actors/engine/mocker/timing.ts";
import { DEFAULT_OBJECTIVE, routerObjectives } from "../../actors/router/policy/cost/objective.ts";
import { barOf } from "./profile/progress.ts";
import { onSignal, STOPPED_CODE } from "./replay/command/signals.ts";
import { limit, number, positive, UsageError, whole } from "./replay/flag-values.ts";
import { plannerSetUp, startRules } from "./replay/set-up/plan-flags.ts";
import { type TraceSource, traceSource } from "./replay/set-up/trace-source.ts";
import {
  type Deployment,
  deploymentOf,
  WORKERS_MOST,
  type World,
  worldOf,
} from "./replay/set-up/world.ts";
import { outOfReach } from "./replay/sla/reach.ts";
import { type Lanes, threadLanes } from "./size/lanes.ts";
import { costOf, nameOf } from "./size/plan.ts";
import type { SearchSpace } from "./size/search.ts";
import { readSizeFlags, type SizeFlags, sizeUsage } from "./size/size-flags.ts";
import { type SizeQuestion, type SizeWorld, type Sizing, sized } from "./size/size-plan.ts";
import { type Comparison, sizeJson, sizeText } from "./size/size-report.ts";
import type { Trial } from "./size/trial.ts";
import { rounded } from "./statistics.ts";

/** Without being told, as many as there are cores, and so many at most. */
const THREADS_USUAL = 4;
const THREADS_MOST = 64;
const SECONDS_MOST = 604_800;
/** Without being told. */
const WORKERS = "64";
/** A disk tier is this many times as large as the engine's cache, the one in memory as large. */
const DISK_TIMES = 8;

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const expected = error instanceof UsageError || "code" in error;
  if (!expected) throw error;
  console.error(`size: ${error.message}`);
  process.exit(2);
}

async function main(): Promise<number> {
  const args = Bun.argv.slice(2);
  const { flags, sources } = readSizeFlags(args);
  if (flags.help) {
    console.log(sizeUsage);
    return 0;
  }
  if (sources.length === 0) {
    throw new UsageError("which trace? Give its path, or synthetic:requests=4000");
  }
  const started_ms = performance.now();
  const count = threadsOf(flags);
  const seconds = positive("--time-limit", flags["time-limit"], SECONDS_MOST);
  const source = traceSource(sources, flags);
  const world = worldOf(flags, source);
  const question = questionOf(flags, source, world);
  // What is wrong with the planner is not told after minutes of search.
  const setUp = await plannerSetUp(flags, deploymentOf(flags));
  startRules(flags);
  for (const warning of setUp?.warnings ?? []) console.error(warning);
  const lanes = threadLanes(count, args);
  const progress = progressOf();
  let stopped = false;
  onSignal((signal) => {
    stopped = true;
    lanes.close();
    progress.end();
    console.error(`size: stopped by ${signal}; what was found until then:`);
  });
  const sizing = await sized(question, {
    lanes,
    late: () => performance.now() - started_ms > 1_000 * seconds,
    stopped: () => stopped,
    tried: progress.tried,
  });
  const compared = setUp && (await comparison(lanes, deploymentOf(flags), sizing));
  lanes.close();
  progress.end();
  const wall_ms = performance.now() - started_ms;
  const requests = source.trace.length;
  console.log(
    flags.json
      ? JSON.stringify(sizeJson(sizing, requests, wall_ms, compared))
      : sizeText(sizing, requests, wall_ms, compared),
  );
  if (stopped) return STOPPED_CODE;
  return sizing.plan === undefined ? 1 : 0;
}

/** Undefined: it was stopped before. */
async function comparison(
  lanes: Lanes,
  given: Deployment,
  { plan }: Sizing,
): Promise<Comparison | undefined> {
  const alike = plan !== undefined && plan.deployment.prefill > 0 === given.prefill > 0;
  const begins = alike ? plan.deployment : given;
  const figures = await lanes.plan(begins);
  if (figures === undefined) return undefined;
  const { worker_hours } = figures;
  return {
    ...{ figures, begins },
    hours_ratio: plan === undefined ? undefined : rounded(worker_hours / plan.worker_hours, 3),
  };
}

function threadsOf({ threads }: SizeFlags): number {
  const cores = Math.min(THREADS_USUAL, availableParallelism());
  return whole("--threads", threads || `${cores}`, THREADS_MOST);
}

function questionOf(flags: SizeFlags, source: TraceSource, world: World): SizeQuestion {
  const sla = {
    ttft_ms: limit("--ttft-ms", flags["ttft-ms"]),
    itl_ms: limit("--itl-ms", flags["itl-ms"]),
  };
  if (sla.ttft_ms === undefined && sla.itl_ms === undefined) {
    throw new UsageError("which limits? Give --ttft-ms and --itl-ms, or one of them");
  }
  const share = positive("--sla-share", flags["sla-share"]);
  if (share > 1) throw new UsageError("--sla-share is a share of the requests: 1 at most");
  const prices = {
    host_gb: number("--host-gb-price", flags["host-gb-price"]),
    disk_gb: number("--disk-gb-price", flags["disk-gb-price"]),
  };
  const block_bytes = world.mocker.block_size * world.mocker.kv_bytes_per_token;
  const { trace, trace_block_size } = source;
  return {
    ...{ sla, share, space: spaceOf(flags, world) },
    out_of_reach: outOfReach(trace, trace_block_size, world.mocker, polynomialTiming, sla),
    cost: (deployment) => costOf(deployment, block_bytes, prices),
  };
}

function spaceOf(flags: SizeFlags, { mocker }: World): SearchSpace {
  const base = deploymentOf(flags);
  const { num_gpu_blocks } = mocker;
  const objective = DEFAULT_OBJECTIVE;
  const kv = routerObjectives.map((each) => {
    return { mode: "kv", policy: "adaptive", objective: each } as const;
  });
  const plain = ["least-loaded", "round-robin"] as const;
  const routers = [
    ...kv,
    { mode: "kv", policy: "dynamo", objective } as const,
    ...plain.map((mode) => ({ mode, policy: "adaptive", objective }) as const),
  ];
  const tiers = [
    { host_blocks: 0, disk_blocks: 0 },
    { host_blocks: num_gpu_blocks, disk_blocks: 0 },
    { host_blocks: num_gpu_blocks, disk_blocks: DISK_TIMES * num_gpu_blocks },
  ];
  return {
    base,
    workers_most: whole("--max-workers", flags["max-workers"] || WORKERS, WORKERS_MOST),
    routers: flags["no-router-search"] ? [] : routers,
    tiers: flags["no-tiers"] ? [] : tiers,
    splits: !flags["no-split"] && base.mode === "kv",
  };
}

/** One bar that is written over on a terminal, a line a replay elsewhere. */
function progressOf(): { readonly tried: SizeWorld["tried"]; readonly end: () => void } {
  const screen = process.stderr;
  return {
    tried: (trial, done, all) => {
      const line = `${nameOf(trial.deployment)}: ${outcome(trial)}`;
      if (screen.isTTY) screen.write(`\r\x1b[K${barOf(done, all)} ${done}/${all}  ${line}`);
      else screen.write(`size: ${line}\n`);
    },
    end: () => {
      if (screen.isTTY) screen.write("\r\x1b[K");
    },
  };
}

function outcome({ share, progress }: Trial): string {
  if (share !== undefined) return `${(100 * share).toFixed(2)} % within both limits`;
  return `too many outside after ${(100 * progress).toFixed(0)} % of the requests`;
}
