/**
 * `bun run bench scale`: what a cluster of 4 to 4,096 simulated workers costs, a line a size.
 *
 *   ready_ms          from the command to its ready line
 *   idle_cpu_cores    of all its processes together, when nobody asks for anything
 *   req_per_s         at its door with 64 clients, ISL 100, OSL 32; workers answer without delay
 *   of_4              the same as a share of what 4 workers make, measured in turn
 *   decision_…_us     time to choose a worker, from the router's own histogram
 *
 * The four workers run beside each of the others, so that both have the same machine; each cluster
 * gets the whole warm-up of `bench frontend`, so that none is compared with a warmer one. `of_4` is
 * the median of three turns. With TROUPE_BENCH_SIZES="1024 4096" only those are measured.
 */
import { cpuMs, descendants } from "../support/cluster.ts";
import type { Report } from "./bench.ts";
import { type Door, startDoor } from "./frontend.ts";
import { type DoorCase, doorPlan } from "./load/front-door.ts";
import { runLoad } from "./load/run-load.ts";
import { summarize } from "./load/summary.ts";
import { median, rounded } from "./statistics.ts";

const sizes = (process.env["TROUPE_BENCH_SIZES"] ?? "4 64 256 1024 4096").split(" ").map(Number);
const idle_ms = 8_000;
const settle_ms = 3_000;
const load_ms = 5_000;
const rounds = 3;
const door: DoorCase = { concurrency: 64, isl: 100, osl: 32, shared: 0.5 };

export async function benchScale(report: Report): Promise<void> {
  await using four = await startDoor();
  await loaded(four);
  for (const workers of sizes) {
    if (workers === 4) await reportSize(report, four, four, workers);
    else {
      await using many = await startDoor([], workers);
      await reportSize(report, many, four, workers);
    }
  }
}

async function reportSize(report: Report, many: Door, four: Door, workers: number) {
  await Bun.sleep(settle_ms);
  const idle_cpu_cores = await coresOf(many, idle_ms);
  if (many !== four) await loaded(many);
  const before = await decisions(many);
  const rates: number[] = [];
  const shares: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const base = await loaded(four, 0);
    const rate = many === four ? base : await loaded(many, 0);
    rates.push(rate);
    shares.push(rate / base);
  }
  const took = between(before, await decisions(many));
  report({
    case: `${workers} workers`,
    workers,
    req_per_s: rounded(median(rates), 0),
    of_4: rounded(median(shares), 3),
    decision_p50_us: rounded(quantile_us(took, 0.5), 1),
    decision_p99_us: rounded(quantile_us(took, 0.99), 1),
    ready_ms: rounded(many.cluster.ready_ms, 0),
    idle_cpu_cores: rounded(idle_cpu_cores, 3),
  });
}

/** Requests a second. */
async function loaded(target: Door, warm_up?: number): Promise<number> {
  const usual = doorPlan(target, door, load_ms);
  const plan = { ...usual, warm_up: warm_up ?? usual.warm_up };
  const { req_per_s, errors, requests, error_kinds } = summarize(plan, await runLoad(plan));
  if (errors * 100 > requests) {
    const said = target.cluster.log().slice(-2_000);
    throw new Error(`${JSON.stringify(error_kinds)}; the cluster said: ${said}`);
  }
  return req_per_s;
}

/** Processor time of all processes of a cluster as a share of a core. */
async function coresOf({ cluster }: Door, for_ms: number): Promise<number> {
  const pids = [cluster.pid, ...descendants(cluster.pid)];
  const used = () => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = used();
  const began_ms = performance.now();
  await Bun.sleep(for_ms);
  return (used() - before) / (performance.now() - began_ms);
}

/** Decisions so far by upper bound, not cumulative. */
type Histogram = readonly { readonly most_ms: number; readonly count: number }[];

async function decisions({ url }: Door): Promise<Histogram> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let below = 0;
  const buckets: { most_ms: number; count: number }[] = [];
  for (const line of text.split("\n")) {
    const found = /^dynamo_router_overhead_total_ms_bucket\{.*le="([^"]+)".*\} (\d+)/.exec(line);
    if (found === null) continue;
    const count = Number(found[2]);
    const most_ms = found[1] === "+Inf" ? Number.POSITIVE_INFINITY : Number(found[1]);
    buckets.push({ most_ms, count: count - below });
    below = count;
  }
  return buckets;
}

const between = (before: Histogram, after: Histogram): Histogram =>
  after.map(({ most_ms, count }, i) => ({ most_ms, count: count - (before[i]?.count ?? 0) }));

/** Within a bucket all are taken to be spread evenly. */
function quantile_us(histogram: Histogram, share: number): number {
  let left = share * histogram.reduce((sum, { count }) => sum + count, 0);
  let least_ms = 0;
  for (const { most_ms, count } of histogram) {
    if (left <= count && count > 0 && Number.isFinite(most_ms)) {
      return 1_000 * (least_ms + (left / count) * (most_ms - least_ms));
    }
    left -= count;
    if (Number.isFinite(most_ms)) least_ms = most_ms;
  }
  return 1_000 * least_ms;
}
