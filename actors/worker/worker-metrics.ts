/**
 * Metrics of one worker, with the names of Dynamo's components where those exist. What the engine
 * counts is read when somebody looks.
 */
import type { WorkerLoad, WorkerRole } from "../../proto/index.ts";
import type { Counter, Histogram, Labels, Metrics } from "../../runtime/observe/metrics.ts";

const REQUESTS = "dynamo_component_requests_total";
const ERRORS = "dynamo_component_errors_total";
const INFLIGHT = "dynamo_component_inflight_requests";
const DURATION = "dynamo_component_request_duration_seconds";
const INFO = "troupe_worker_info";

const duration_bounds_s = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

export type WorkerGauges = {
  readonly inflight: () => number;
  readonly load: () => WorkerLoad;
};

type Read = readonly [name: string, help: string, read: (load: WorkerLoad) => number];

const counters: readonly Read[] = [
  [
    "troupe_worker_generated_tokens_total",
    "Tokens that the engine made.",
    (load) => load.generated_tokens_total,
  ],
  [
    "troupe_worker_prompt_tokens_total",
    "Prompt tokens that the engine took.",
    (load) => load.prompt_tokens_total,
  ],
  [
    "troupe_worker_cached_tokens_total",
    "Of these, tokens whose blocks were in the engine's cache.",
    (load) => load.cached_tokens_total,
  ],
];

const gauges: readonly Read[] = [
  [
    "troupe_worker_event_loop_block_seconds_max",
    "Longest hold-up of the worker's event loop since it was ready, in seconds.",
    (load) => load.event_loop_block_ms_max / 1_000,
  ],
  ["troupe_worker_running_requests", "Requests in the engine's batch.", (load) => load.running],
  ["troupe_worker_waiting_requests", "Requests that wait for it.", (load) => load.waiting],
  ["troupe_worker_kv_blocks_used", "Blocks of live requests.", (load) => load.used_blocks],
  [
    "troupe_worker_kv_blocks_cached",
    "Blocks that are kept for later requests.",
    (load) => load.cached_blocks,
  ],
  ["dynamo_component_total_blocks", "Blocks of the engine.", (load) => load.total_blocks],
  [
    "dynamo_component_gpu_cache_usage_percent",
    "Share of the engine's blocks that live requests use, 0 to 1.",
    (load) => (load.total_blocks > 0 ? load.used_blocks / load.total_blocks : 0),
  ],
];

/** Disaggregated prefill is a component of its own there; all else is its backend. */
const componentOf = (role: WorkerRole) => (role === "prefill" ? "prefill" : "backend");

export class WorkerMetrics {
  readonly #metrics: Metrics;
  readonly #worker: string;
  readonly #model: string;
  readonly #gauges: WorkerGauges;
  #labels!: Labels;
  #info!: Labels;
  #requests!: Counter;
  #duration_s!: Histogram;
  readonly #refusal_codes = new Set<string>();

  constructor(
    metrics: Metrics,
    worker: string,
    model: string,
    role: WorkerRole,
    gauges: WorkerGauges,
  ) {
    this.#metrics = metrics;
    this.#worker = worker;
    this.#model = model;
    this.#gauges = gauges;
    this.#show(role);
  }

  taken(): void {
    this.#requests.add();
  }

  refused(code: string): void {
    this.#refusal_codes.add(code);
    const labels = { ...this.#labels, error_type: code };
    this.#metrics.counter(ERRORS, "Generations refused.", labels).add();
  }

  ended(duration_ms: number): void {
    this.#duration_s.observe(duration_ms / 1_000);
  }

  /** The role is in the labels, so that its series begin anew. */
  roleIs(role: WorkerRole): void {
    this.remove();
    this.#show(role);
  }

  #show(role: WorkerRole): void {
    const metrics = this.#metrics;
    const of = { model: this.#model, worker: this.#worker };
    const labels = { dynamo_component: componentOf(role), dynamo_endpoint: "generate", ...of };
    this.#labels = labels;
    this.#info = { ...of, role };
    metrics.gauge(INFO, "A worker and its role.", this.#info).set(1);
    this.#requests = metrics.counter(REQUESTS, "Generations taken.", labels);
    metrics.gauge(INFLIGHT, "Generations not ended.", labels, this.#gauges.inflight);
    this.#duration_s = metrics.histogram(
      DURATION,
      "From admission to the last token handed over.",
      duration_bounds_s,
      labels,
    );
    for (const [name, about, read] of counters) {
      metrics.counter(name, about, labels, () => read(this.#gauges.load()));
    }
    for (const [name, about, read] of gauges) {
      metrics.gauge(name, about, labels, () => read(this.#gauges.load()));
    }
  }

  /** Removes the gauges, which read this life's values; the next life makes its own. */
  remove(): void {
    const own = [...counters, ...gauges].map(([name]) => name);
    for (const name of [REQUESTS, INFLIGHT, DURATION, ...own]) {
      this.#metrics.remove(name, this.#labels);
    }
    this.#metrics.remove(INFO, this.#info);
    for (const code of this.#refusal_codes) {
      this.#metrics.remove(ERRORS, { ...this.#labels, error_type: code });
    }
  }
}
