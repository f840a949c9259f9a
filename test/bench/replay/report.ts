/** The figures of a replay. Times in ms. */
import { type Goodput, type GoodputLimits, goodputAsked, goodputOf, noLimits } from "../goodput.ts";
import { rounded } from "../statistics.ts";
import type { ReplayResult, RequestRecord } from "./simulate.ts";

export type Spread = {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
};

export type PriorityFigures = {
  readonly strict_priority: number;
  readonly requests: number;
  readonly ttft_ms: Spread;
};

export type ReplayReport = {
  readonly requests: number;
  readonly refused: number;
  /** Left over when a planner had no worker for them any more. */
  readonly unfinished?: number;
  readonly duration_ms: number;
  readonly wall_ms: number;
  readonly prefix_reuse: number;
  /** The same by where the blocks were, when there are tiers below the engines. */
  readonly reuse_by_tier?: {
    readonly device: number;
    readonly host: number;
    readonly disk: number;
  };
  readonly ttft_ms: Spread;
  /** Between two tokens of one answer; each answer counts once, with its mean. */
  readonly itl_ms: Spread;
  readonly e2e_ms: Spread;
  /** When limits are given. */
  readonly goodput?: Goodput;
  /** When some workers compute prompts for the others. */
  readonly hand_off?: {
    /** Of the requests. */
    readonly share: number;
    /** From the end of a prompt at its worker until the worker that answers has it. */
    readonly ms: Spread;
  };
  /** In the router's queue. */
  readonly queued_ms: Spread;
  /** Highest first; empty when all have the same priority. */
  readonly by_priority: readonly PriorityFigures[];
  readonly output_tokens_per_s: number;
  /** Tokens that a pass makes for one answer, when some are guessed. */
  readonly accept_length?: number;
  readonly preemptions: number;
  readonly per_worker: readonly {
    readonly requests: number;
    readonly prefix_reuse: number;
    readonly generated_tokens: number;
    readonly busy: number;
    readonly preemptions: number;
  }[];
};

/** Sorts the samples. All are NaN when there is none. */
export function spreadOf(samples: number[]): Spread {
  samples.sort((a, b) => a - b);
  const at = (q: number) => samples[Math.min(samples.length - 1, Math.floor(q * samples.length))];
  let sum = 0;
  for (const sample of samples) sum += sample;
  const round = (value: number | undefined) => rounded(value ?? Number.NaN, 1);
  const mean = samples.length === 0 ? undefined : sum / samples.length;
  return { mean: round(mean), p50: round(at(0.5)), p90: round(at(0.9)), p99: round(at(0.99)) };
}

/** The end, if none came. */
export function firstArrivalMs(records: readonly RequestRecord[], end_ms: number): number {
  let first_ms = end_ms;
  for (const { arrival_ms } of records) if (arrival_ms < first_ms) first_ms = arrival_ms;
  return first_ms;
}

export const ttftOf = (record: RequestRecord) => record.first_token_ms - record.arrival_ms;
export const e2eOf = (record: RequestRecord) => record.end_ms - record.arrival_ms;

export function reportOf(
  {
    records,
    workers,
    machines,
    end_ms,
  }: Pick<ReplayResult, "records" | "workers" | "machines" | "end_ms">,
  wall_ms: number,
  limits: GoodputLimits = noLimits,
): ReplayReport {
  const done = records.filter((record) => !Number.isNaN(record.end_ms));
  const refused = records.filter((record) => record.refused !== undefined).length;
  const unfinished = records.length - done.length - refused;
  const input = total(done.map((record) => record.input_length));
  const output = total(done.map((record) => record.output_length));
  const accepted = total(done.map((record) => record.accepted_tokens));
  const start_ms = firstArrivalMs(records, end_ms);
  const duration_ms = end_ms - start_ms;
  const longer = done.filter((record) => record.output_length > 1);
  return {
    requests: done.length,
    refused,
    ...(unfinished > 0 ? { unfinished } : {}),
    duration_ms: rounded(duration_ms, 0),
    wall_ms: rounded(wall_ms, 0),
    prefix_reuse: rounded(total(done.map((record) => record.cached_tokens)) / input, 4),
    ...(machines.length > 0 ? { reuse_by_tier: reuseByTier(done, input) } : {}),
    ttft_ms: spreadOf(done.map(ttftOf)),
    itl_ms: spreadOf(
      longer.map((each) => (each.end_ms - each.first_token_ms) / (each.output_length - 1)),
    ),
    e2e_ms: spreadOf(done.map(e2eOf)),
    ...(goodputAsked(limits) ? { goodput: goodput(records, limits, duration_ms) } : {}),
    ...handOff(done),
    queued_ms: spreadOf(done.map((record) => record.routed_ms - record.arrival_ms)),
    by_priority: byPriority(done),
    output_tokens_per_s: rounded((1_000 * output) / duration_ms, 1),
    ...(accepted > 0 ? { accept_length: rounded(output / (output - accepted), 3) } : {}),
    preemptions: total(workers.map((worker) => worker.preemptions)),
    per_worker: workers.map((worker) => ({
      requests: worker.requests,
      prefix_reuse: rounded(worker.cached_tokens / Math.max(1, worker.prompt_tokens), 4),
      generated_tokens: worker.generated_tokens,
      busy: rounded(worker.busy_ms / duration_ms, 3),
      preemptions: worker.preemptions,
    })),
  };
}

function handOff(done: readonly RequestRecord[]): Pick<ReplayReport, "hand_off"> {
  const handed = done.filter((record) => record.handed_ms !== undefined);
  if (handed.length === 0) return {};
  const times = handed.map((each) => (each.handed_ms ?? 0) - (each.computed_ms ?? 0));
  return { hand_off: { share: rounded(handed.length / done.length, 4), ms: spreadOf(times) } };
}

function reuseByTier(done: readonly RequestRecord[], input: number) {
  const host = total(done.map((record) => record.host_tokens ?? 0));
  const disk = total(done.map((record) => record.disk_tokens ?? 0));
  const device = total(done.map((record) => record.cached_tokens)) - host - disk;
  return {
    device: rounded(device / input, 4),
    host: rounded(host / input, 4),
    disk: rounded(disk / input, 4),
  };
}

function goodput(
  records: readonly RequestRecord[],
  limits: GoodputLimits,
  duration_ms: number,
): Goodput {
  const answers = records
    .filter((record) => !Number.isNaN(record.end_ms))
    .map((record) => ({
      ttft_ms: ttftOf(record),
      e2e_ms: e2eOf(record),
      tokens: record.output_length,
    }));
  const { share, req_per_s } = goodputOf(answers, limits, records.length, duration_ms);
  return { share: rounded(share, 4), req_per_s: rounded(req_per_s, 3) };
}

function byPriority(done: readonly RequestRecord[]): PriorityFigures[] {
  const priorities = new Set(done.map((each) => each.strict_priority));
  if (priorities.size < 2) return [];
  return [...priorities]
    .sort((a, b) => b - a)
    .map((strict_priority) => {
      const ttfts = done.filter((each) => each.strict_priority === strict_priority).map(ttftOf);
      return { strict_priority, requests: ttfts.length, ttft_ms: spreadOf(ttfts) };
    });
}

function total(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
