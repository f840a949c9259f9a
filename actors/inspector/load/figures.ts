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
  output_tokens: "dynamo_frontend_output_tokens_total",
  first_token_s: "dynamo_frontend_time_to_first_token_seconds",
  between_tokens_s: "dynamo_frontend_inter_token_latency_seconds",
  queued: "dynamo_frontend_router_queue_pending_requests",
  worker_info: "troupe_worker_info",
} as const;

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
} as const;

/** The clock of a process begins with it. */
export function loadFigures({ node, metrics, capabilities }: Counting): LoadFigures {
  const up_ms = capabilities.clock.now_ms();
  const [models, workers] = [modelsIn(metrics), workersIn(metrics)];
  return { kind: "load_figures", node, models, workers, up_ms };
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
    };
    rows.set(model, row);
    return row;
  };
  for (const { labels, series } of metrics.each(names.requests)) {
    rowOf(labels["model"]).requests_total += series.current;
  }
  for (const { labels, series } of metrics.each(names.output_tokens)) {
    rowOf(labels["model"]).output_tokens_total += series.current;
  }
  for (const { labels, series } of metrics.each(names.queued)) {
    rowOf(labels["model"]).queued += series.current;
  }
  for (const field of ["first_token_s", "between_tokens_s"] as const) {
    for (const { labels, series } of metrics.each(names[field])) {
      if (series instanceof Histogram) rowOf(labels["model"])[field] = countedOf(series);
    }
  }
  return [...rows.values()].slice(0, MODELS_MAX);
}

const countedOf = (histogram: Histogram): Counted => ({
  bounds: [...histogram.bounds],
  counts: histogram.bucketCounts(),
});

function workersIn(metrics: Metrics): WorkerFigures[] {
  const rows = new Map<string, Growing<WorkerFigures>>();
  for (const { labels } of metrics.each(names.worker_info)) {
    if (rows.size >= WORKERS_MAX) break;
    const { worker = "", model = "", role = "" } = labels;
    rows.set(worker, {
      ...{ worker, model, role, generated_tokens_total: 0, prompt_tokens_total: 0 },
      ...{ cached_tokens_total: 0, running: 0, waiting: 0, kv_used: 0, kv_total: 0 },
    });
  }
  if (rows.size === 0) return [];
  for (const [field, name] of Object.entries(workerSeries)) {
    for (const { labels, series } of metrics.each(name)) {
      const row = rows.get(labels["worker"] ?? "");
      if (row !== undefined) row[field as keyof typeof workerSeries] = series.current;
    }
  }
  return [...rows.values()];
}
