/**
 * What a process has counted, read from its metrics: frontends count requests and tokens, workers
 * say how full they are. So nothing is counted twice, and a process that nobody asks does nothing.
 */
import type { Counted, LoadFigures, ModelFigures, WorkerFigures } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { Histogram, type Metrics } from "../../../runtime/observe/metrics.ts";

const names = {
  requests: "dynamo_frontend_requests_total",
  started: "dynamo_frontend_requests_started_total",
  output_tokens: "dynamo_frontend_output_tokens_total",
  queued: "dynamo_frontend_router_queue_pending_requests",
  held: "troupe_router_held_requests",
  oldest_held_s: "troupe_router_held_oldest_seconds",
  worker_info: "troupe_worker_info",
  /** By source. */
  accepted: "troupe_worker_accepted_tokens_total",
} as const;

/** By the field of a row: each has the label `model`. */
const bucketSeries = {
  first_token_s: "dynamo_frontend_time_to_first_token_seconds",
  between_tokens_s: "dynamo_frontend_inter_token_latency_seconds",
  duration_s: "dynamo_frontend_request_duration_seconds",
  queue_wait_s: "troupe_router_queue_wait_seconds",
} as const;
const sumSeries = {
  input_tokens: "dynamo_frontend_input_sequence_tokens",
  output_tokens: "dynamo_frontend_output_sequence_tokens",
  cached_tokens: "dynamo_frontend_cached_tokens",
} as const;
/** Requests that end so were the client's matter. */
const clientErrors: readonly string[] = ["", "validation", "not_found", "cancelled"];

/** Rows of one process; what lies beyond is left out, as thousands of workers are a simulation. */
const WORKERS_MAX = 512;
const MODELS_MAX = 64;

/** By the field of a row: each has the label `worker`. */
const workerSeries = {
  generated_tokens_total: "troupe_worker_generated_tokens_total",
  prompt_tokens_total: "troupe_worker_prompt_tokens_total",
  cached_tokens_total: "troupe_worker_cached_tokens_total",
  running: "troupe_worker_running_requests",
  waiting: "troupe_worker_waiting_requests",
  kv_used: "troupe_worker_kv_blocks_used",
  kv_total: "dynamo_component_total_blocks",
  queued_prefill_tokens: "troupe_worker_queued_prefill_tokens",
  prompts_elsewhere: "troupe_worker_prompts_elsewhere",
} as const;
/** By the field of `passes`: an engine that keeps no such sums has none of these series. */
const passSeries = {
  prefill_passes: "troupe_worker_prefill_passes_total",
  prefill_tokens: "troupe_worker_prefill_pass_tokens_total",
  prefill_tokens_squared: "troupe_worker_prefill_pass_tokens_squared_total",
  decode_passes: "troupe_worker_decode_passes_total",
  decode_share: "troupe_worker_decode_pass_kv_share_total",
  busy_ms: "troupe_worker_pass_seconds_total",
} as const;

/** The clock of a process begins with it. */
export function loadFigures({ node, metrics, capabilities }: Counting, role: string): LoadFigures {
  const up_ms = capabilities.clock.now_ms();
  const [models, workers] = [modelsIn(metrics), workersIn(metrics)];
  return { kind: "load_figures", node, models, workers, up_ms, role };
}

/** A process, as far as its figures need it. */
type Counting = Pick<ActorSystem, "node" | "metrics"> & {
  readonly capabilities: { readonly clock: Pick<Clock, "now_ms"> };
};

type Growing<T> = { -readonly [Field in keyof T]: T[Field] };

function modelsIn(metrics: Metrics): ModelFigures[] {
  const rows = new Map<string, Growing<ModelFigures>>();
  const rowOf = (model = ""): Growing<ModelFigures> => {
    const row = rows.get(model) ?? {
      ...{ model, requests_total: 0, output_tokens_total: 0, queued: 0 },
      ...{ started_total: 0, failed_total: 0, oldest_queued_ms: 0 },
    };
    rows.set(model, row);
    return row;
  };
  for (const { labels, series } of metrics.each(names.requests)) {
    const row = rowOf(labels["model"]);
    row.requests_total += series.current;
    if (!clientErrors.includes(labels["error_type"] ?? "")) row.failed_total += series.current;
  }
  for (const { labels, series } of metrics.each(names.started)) {
    rowOf(labels["model"]).started_total += series.current;
  }
  for (const { labels, series } of metrics.each(names.output_tokens)) {
    rowOf(labels["model"]).output_tokens_total += series.current;
  }
  // Some wait for room at a worker, others for the first worker.
  for (const name of [names.queued, names.held]) {
    for (const { labels, series } of metrics.each(name)) {
      rowOf(labels["model"]).queued += series.current;
    }
  }
  for (const { labels, series } of metrics.each(names.oldest_held_s)) {
    const row = rowOf(labels["model"]);
    row.oldest_queued_ms = Math.max(row.oldest_queued_ms, 1_000 * series.current);
  }
  for (const [field, name] of Object.entries(bucketSeries)) {
    for (const { labels, series } of metrics.each(name)) {
      if (!(series instanceof Histogram)) continue;
      rowOf(labels["model"])[field as keyof typeof bucketSeries] = countedOf(series);
    }
  }
  for (const [field, name] of Object.entries(sumSeries)) {
    for (const { labels, series } of metrics.each(name)) {
      if (!(series instanceof Histogram)) continue;
      const { count, sum } = series;
      rowOf(labels["model"])[field as keyof typeof sumSeries] = { count, sum };
    }
  }
  return [...rows.values()].slice(0, MODELS_MAX);
}

const countedOf = (histogram: Histogram): Counted => ({
  bounds: [...histogram.bounds],
  counts: histogram.bucketCounts(),
  sum: histogram.sum,
});

function workersIn(metrics: Metrics): WorkerFigures[] {
  const rows = new Map<string, Growing<WorkerFigures>>();
  for (const { labels } of metrics.each(names.worker_info)) {
    if (rows.size >= WORKERS_MAX) break;
    const { worker = "", model = "", role = "" } = labels;
    rows.set(worker, {
      ...{ worker, model, role, generated_tokens_total: 0, prompt_tokens_total: 0 },
      ...{ cached_tokens_total: 0, running: 0, waiting: 0, kv_used: 0, kv_total: 0 },
      ...{ queued_prefill_tokens: 0, prompts_elsewhere: 0 },
    });
  }
  if (rows.size === 0) return [];
  for (const [field, name] of Object.entries(workerSeries)) {
    for (const { labels, series } of metrics.each(name)) {
      const row = rows.get(labels["worker"] ?? "");
      if (row !== undefined) row[field as keyof typeof workerSeries] = series.current;
    }
  }
  for (const [field, name] of Object.entries(passSeries)) {
    for (const { labels, series } of metrics.each(name)) {
      const row = rows.get(labels["worker"] ?? "");
      if (row === undefined) continue;
      const value = field === "busy_ms" ? 1_000 * series.current : series.current;
      row.passes = { ...noPasses, ...row.passes, [field]: value };
    }
  }
  for (const { labels, series } of metrics.each(names.accepted)) {
    const row = rows.get(labels["worker"] ?? "");
    if (row === undefined) continue;
    row.accepted_tokens_total = (row.accepted_tokens_total ?? 0) + series.current;
  }
  return [...rows.values()];
}

const noPasses: NonNullable<WorkerFigures["passes"]> = {
  ...{ prefill_passes: 0, prefill_tokens: 0, prefill_tokens_squared: 0 },
  ...{ decode_passes: 0, decode_share: 0, busy_ms: 0 },
};
