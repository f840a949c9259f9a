/** The KV-aware router's figures, under Dynamo's names where it has them. */
import type { Counter, Histogram, Metrics } from "../../runtime/observe/metrics.ts";
import type { RoutedWorker } from "./policy/worker-state.ts";

const WORKER_BLOCKS = "dynamo_frontend_worker_active_decode_blocks";
const WORKER_TOKENS = "dynamo_frontend_worker_active_prefill_tokens";
const QUEUE_REQUESTS = "dynamo_frontend_router_queue_pending_requests";
const QUEUE_TOKENS = "dynamo_frontend_router_queue_pending_isl_tokens";
const REFUSED = "dynamo_frontend_router_queue_backpressure_total";

const shares = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const overheadMs = [
  ...[0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1],
  ...[0.25, 0.5, 1, 2.5, 5, 10],
];
const STAGE = "dynamo_frontend_stage_duration_seconds";
const stageSeconds = [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
const waitedSeconds = [0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

export type QueueFigures = { readonly requests: () => number; readonly tokens: () => number };

/** Metrics of one model. */
export class KvRouterMetrics {
  readonly started: Counter;
  readonly ended: Counter;
  /** Share of the prompt's blocks that the chosen worker had. */
  readonly hit_rate: Histogram;
  readonly hashing_ms: Histogram;
  readonly total_ms: Histogram;
  readonly #waited_s: Histogram;
  readonly #queue_s: Histogram;
  readonly #metrics: Metrics;
  readonly #labels: { readonly model: string };

  constructor(metrics: Metrics, model: string, queue: QueueFigures) {
    this.#metrics = metrics;
    this.#labels = { model };
    const labels = this.#labels;
    const counter = (name: string, help: string) =>
      metrics.counter(`dynamo_component_router_${name}`, help, labels);
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      metrics.histogram(name, help, bounds, labels);
    this.started = counter("requests_started_total", "Requests sent to a worker.");
    this.ended = counter("requests_total", "Requests that have ended at a worker.");
    const hit_rate = "Share of a prompt's blocks that its worker had when it was chosen.";
    this.hit_rate = histogram("dynamo_component_router_kv_hit_rate", hit_rate, shares);
    const hashing = "Time to name a prompt's blocks, in ms.";
    this.hashing_ms = histogram("dynamo_router_overhead_block_hashing_ms", hashing, overheadMs);
    const total = "Time to route one request, without waiting, in ms.";
    this.total_ms = histogram("dynamo_router_overhead_total_ms", total, overheadMs);
    const waited = "Time that a request waited in the router for room at a worker, in seconds.";
    this.#waited_s = histogram("troupe_router_queue_wait_seconds", waited, waitedSeconds);
    const step = "Time of one step on the way of a request, in seconds";
    this.#queue_s = metrics.histogram(STAGE, step, stageSeconds, { stage: "queue" });
    metrics.gauge(QUEUE_REQUESTS, "Requests that wait in the router.", labels, queue.requests);
    metrics.gauge(QUEUE_TOKENS, "Prompt tokens that wait in the router.", labels, queue.tokens);
  }

  waited(waited_ms: number): void {
    this.#waited_s.observe(waited_ms / 1_000);
    this.#queue_s.observe(waited_ms / 1_000);
  }

  refused(reason: string): void {
    const labels = { ...this.#labels, reason };
    this.#metrics.counter(REFUSED, "Requests that the router refused.", labels).add();
  }

  workerUp(worker: RoutedWorker): void {
    const labels = { ...this.#labels, worker: worker.worker };
    const blocks = "Blocks of the prompts sent there that have not ended.";
    this.#metrics.gauge(WORKER_BLOCKS, blocks, labels, () => worker.active_blocks);
    const tokens = "Uncached prompt tokens sent there and not computed yet.";
    this.#metrics.gauge(WORKER_TOKENS, tokens, labels, () => worker.prefill_tokens);
  }

  workerGone(worker: string): void {
    const labels = { ...this.#labels, worker };
    this.#metrics.remove(WORKER_BLOCKS, labels);
    this.#metrics.remove(WORKER_TOKENS, labels);
  }

  close(): void {
    this.#metrics.remove(QUEUE_REQUESTS, this.#labels);
    this.#metrics.remove(QUEUE_TOKENS, this.#labels);
  }
}
