/** Metrics of one worker, with the names of Dynamo's components where those exist. */
import type { Counter, Histogram, Labels, Metrics } from "../../runtime/observe/metrics.ts";

const REQUESTS = "dynamo_component_requests_total";
const ERRORS = "dynamo_component_errors_total";
const INFLIGHT = "dynamo_component_inflight_requests";
const DURATION = "dynamo_component_request_duration_seconds";
const LOOP_BLOCK = "troupe_worker_event_loop_block_seconds_max";

const duration_bounds_s = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

export type WorkerGauges = {
  readonly inflight: () => number;
  readonly event_loop_block_ms_max: () => number;
};

export class WorkerMetrics {
  readonly #metrics: Metrics;
  readonly #labels: Labels;
  readonly #requests: Counter;
  readonly #duration_s: Histogram;
  readonly #refusal_codes = new Set<string>();

  constructor(metrics: Metrics, worker: string, model: string, gauges: WorkerGauges) {
    const endpoint = { dynamo_component: "backend", dynamo_endpoint: "generate" };
    this.#metrics = metrics;
    this.#labels = { ...endpoint, model, worker };
    const labels = this.#labels;
    this.#requests = metrics.counter(REQUESTS, "Generations taken.", labels);
    metrics.gauge(INFLIGHT, "Generations not ended.", labels, gauges.inflight);
    this.#duration_s = metrics.histogram(
      DURATION,
      "From admission to the last token handed over.",
      duration_bounds_s,
      labels,
    );
    const help = "Longest hold-up of the worker's event loop since it was ready, in seconds.";
    const block_s = () => gauges.event_loop_block_ms_max() / 1_000;
    metrics.gauge(LOOP_BLOCK, help, labels, block_s);
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

  /** Removes the gauges, which read this life's values; the next life makes its own. */
  remove(): void {
    for (const name of [REQUESTS, INFLIGHT, DURATION, LOOP_BLOCK]) {
      this.#metrics.remove(name, this.#labels);
    }
    for (const code of this.#refusal_codes) {
      this.#metrics.remove(ERRORS, { ...this.#labels, error_type: code });
    }
  }
}
