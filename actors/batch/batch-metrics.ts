/** What a runner shows of its batches; all names begin with `troupe_batch`. */
import type { Counter, Metrics } from "../../runtime/observe/metrics.ts";

const LINES = "troupe_batch_lines_total";
const LINES_HELP = "Lines of batches by how they ended; retried: asked once more.";

export class BatchMetrics {
  readonly #metrics: Metrics;
  readonly #lines = new Map<string, Counter>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    // Series that are there from the start can be added up and watched.
    for (const status of ["completed", "failed", "retried"] as const) this.#counter(status);
  }

  line(status: "completed" | "failed" | "retried"): void {
    this.#counter(status).add();
  }

  /** `read`: how many of this process's batches have the status. */
  watch(
    batches: (status: "validating" | "in_progress" | "finalizing") => number,
    lines: { readonly in_flight: () => number; readonly allowed: () => number },
  ): void {
    for (const status of ["validating", "in_progress", "finalizing"] as const) {
      const help = "Batches that this process runs, by status.";
      this.#metrics.gauge("troupe_batches", help, { status }, () => batches(status));
    }
    const in_flight = "Lines of batches that are being answered.";
    this.#metrics.gauge("troupe_batch_lines_in_flight", in_flight, {}, lines.in_flight);
    const allowed = "Lines of batches that may be under way now, beside the requests of others.";
    this.#metrics.gauge("troupe_batch_lines_allowed", allowed, {}, lines.allowed);
  }

  #counter(status: string): Counter {
    let counter = this.#lines.get(status);
    counter ??= this.#metrics.counter(LINES, LINES_HELP, { status });
    this.#lines.set(status, counter);
    return counter;
  }
}
