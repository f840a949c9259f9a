/** Metrics of the feed. */
import type { Counter, Metrics } from "../../../runtime/observe/metrics.ts";

const APPLIED = "dynamo_component_kv_cache_events_applied";
const MISMATCH = "dynamo_component_router_kv_event_source_mismatch_workers";
const BYTES = "troupe_router_kv_index_bytes";
const BLOCKS = "troupe_router_kv_index_blocks";
const REFUSED = "troupe_router_kv_index_refused_blocks";
const FAULTS = "troupe_router_kv_faults_total";

export class FeedMetrics {
  readonly #metrics: Metrics;
  readonly #gaps: Counter;
  readonly #dumps: Counter;
  readonly #repeated: Counter;
  readonly #unknown_blocks: Counter;
  readonly #applied_events: Readonly<Record<"stored" | "removed" | "cleared", Counter>>;

  constructor(metrics: Metrics, gauges: { bytes: () => number; faulty: () => number }) {
    this.#metrics = metrics;
    const counter = (name: string, help: string) => metrics.counter(name, help);
    this.#gaps = counter("troupe_router_kv_gaps_total", "Cache events missed, then fetched.");
    this.#dumps = counter("troupe_router_kv_dumps_total", "Whole caches fetched from workers.");
    this.#repeated = counter("troupe_router_kv_duplicates_total", "Cache events heard twice.");
    const unknown = "Blocks reported as removed that were not known.";
    this.#unknown_blocks = counter("troupe_router_kv_unknown_removed_total", unknown);
    const applied = (event_type: string) =>
      metrics.counter(APPLIED, "Cache events applied to the index.", { event_type });
    this.#applied_events = {
      stored: applied("stored"),
      removed: applied("removed"),
      cleared: applied("cleared"),
    };
    metrics.gauge(BYTES, "Memory of the index of all caches.", {}, gauges.bytes);
    const help = "Workers whose cache is guessed, as their events cannot be used.";
    metrics.gauge(MISMATCH, help, {}, gauges.faulty);
  }

  workerUp(worker: string, gauges: { blocks: () => number; refused: () => number }): void {
    const help = "Blocks known of one worker's cache.";
    this.#metrics.gauge(BLOCKS, help, { worker }, gauges.blocks);
    const refused = "Blocks not indexed, as the worker has more than one may.";
    this.#metrics.gauge(REFUSED, refused, { worker }, gauges.refused);
  }

  workerGone(worker: string): void {
    this.#metrics.remove(BLOCKS, { worker });
    this.#metrics.remove(REFUSED, { worker });
  }

  close(): void {
    this.#metrics.remove(BYTES, {});
    this.#metrics.remove(MISMATCH, {});
  }

  applied(event_type: "stored" | "removed" | "cleared"): void {
    this.#applied_events[event_type].add();
  }

  fault(fault: string): void {
    this.#metrics
      .counter(FAULTS, "Times that a worker's events could not be used.", { fault })
      .add();
  }

  gap(): void {
    this.#gaps.add();
  }

  dump(): void {
    this.#dumps.add();
  }

  duplicates(count: number): void {
    this.#repeated.add(count);
  }

  unknown(blocks: number): void {
    this.#unknown_blocks.add(blocks);
  }
}
