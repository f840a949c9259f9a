/** Figures of one run, as `--json` prints them and the tables and reports show them. */
import { type Goodput, goodputAsked, goodputOf, noLimits } from "../goodput.ts";
import type { LoadPlan } from "./plan.ts";
import type { LoadRecord, LoadResult } from "./run-load.ts";

export type Spread = {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
};

export type LoadSummary = {
  readonly seed: number;
  readonly requests: number;
  readonly completed: number;
  readonly errors: number;
  /** What went wrong → how often; at most ten kinds. */
  readonly error_kinds: Readonly<Record<string, number>>;
  readonly wall_ms: number;
  readonly req_per_s: number;
  readonly tokens_per_s: number;
  readonly prompt_tokens_mean: number;
  readonly cached_tokens_mean: number;
  readonly tokens_mean: number;
  /** 1 = one event a token; below 1 = the server put several tokens into an event. */
  readonly events_per_token: number;
  readonly ttft_ms: Spread;
  readonly itl_ms: Spread;
  readonly e2e_ms: Spread;
  /** When the plan has limits; a failed request is not good. */
  readonly goodput?: Goodput;
  /** How long after its due time a request left: the client's own share of the latencies. */
  readonly send_lag_ms: Spread;
  /** Share of one core that the client itself used; near 1 it measures itself. */
  readonly client_cpu: number;
};

const most_kinds = 10;

export function summarize(plan: LoadPlan, result: LoadResult): LoadSummary {
  const { limits = noLimits } = plan;
  const { records, itl_ms, wall_ms, client_cpu } = result;
  const good = records.filter((record) => record.error === "");
  const sum = (of: (record: LoadRecord) => number) => good.reduce((all, r) => all + of(r), 0);
  const tokens = sum((record) => record.tokens);
  const per_request = (total: number) => (good.length === 0 ? 0 : total / good.length);
  return {
    seed: plan.seed,
    requests: records.length,
    completed: good.length,
    errors: records.length - good.length,
    error_kinds: errorKinds(records),
    wall_ms,
    req_per_s: good.length / (wall_ms / 1000),
    tokens_per_s: tokens / (wall_ms / 1000),
    prompt_tokens_mean: per_request(sum((record) => record.prompt_tokens)),
    cached_tokens_mean: per_request(sum((record) => record.cached_tokens)),
    tokens_mean: per_request(tokens),
    events_per_token: tokens === 0 ? 0 : sum((record) => record.events) / tokens,
    ttft_ms: spread(good.filter((r) => r.ttft_ms >= 0).map((record) => record.ttft_ms)),
    itl_ms: {
      mean: itl_ms.mean,
      p50: itl_ms.quantile(0.5),
      p90: itl_ms.quantile(0.9),
      p99: itl_ms.quantile(0.99),
      max: itl_ms.max,
    },
    e2e_ms: spread(good.map((record) => record.e2e_ms)),
    ...(goodputAsked(limits) ? { goodput: goodputOf(good, limits, records.length, wall_ms) } : {}),
    send_lag_ms: spread(records.map((record) => record.sent_ms)),
    client_cpu,
  };
}

/** Nearest-rank quantiles; NaN (null in JSON) where there is no sample. */
export function spread(samples: readonly number[]): Spread {
  const sorted = Float64Array.from(samples).sort();
  const at = (q: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
  const mean = sorted.reduce((all, value) => all + value, 0) / sorted.length;
  return { mean, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function errorKinds(records: readonly LoadRecord[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const { error } of records) {
    if (error === "") continue;
    // Ids and counts would make every message a kind of its own; the status is part of the kind.
    const kind = error.replace(/(?<!HTTP )\b[\da-f]*\d[\da-f]*\b/gi, "…").slice(0, 160);
    const full = Object.keys(kinds).length >= most_kinds && kinds[kind] === undefined;
    const name = full ? "other" : kind;
    kinds[name] = (kinds[name] ?? 0) + 1;
  }
  return kinds;
}
