/**
 * Metrics of one worker, with the names of Dynamo's components where those exist. What the engine
 * counts is read when somebody looks.
 */
import type { WirePassSums, WorkerLoad, WorkerRole } from "../../proto/index.ts";
import type { Counter, Histogram, Labels, Metrics } from "../../runtime/observe/metrics.ts";
import type { DraftCounts } from "../engine/engine.ts";

const REQUESTS = "dynamo_component_requests_total";
const ERRORS = "dynamo_component_errors_total";
const INFLIGHT = "dynamo_component_inflight_requests";
const ELSEWHERE = "troupe_worker_prompts_elsewhere";
const DURATION = "dynamo_component_request_duration_seconds";
const INFO = "troupe_worker_info";

const duration_bounds_s = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

export type WorkerGauges = {
  readonly inflight: () => number;
  readonly load: () => WorkerLoad;
  /** Of the requests that wait, those whose prompt another worker computes. */
  readonly elsewhere: () => number;
  /** Guessed tokens by source; none of an engine that guesses nothing. */
  readonly drafts: () => readonly DraftCounts[];
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

type PassRead = readonly [name: string, help: string, field: keyof WirePassSums];

/** Of an engine that keeps such sums: their differences say what a pass costs, if it is linear. */
const passCounters: readonly PassRead[] = [
  [
    "troupe_worker_prefill_passes_total",
    "Passes of the engine that computed prompt tokens.",
    "prefill_passes",
  ],
  ["troupe_worker_prefill_pass_tokens_total", "Prompt tokens of these passes.", "prefill_tokens"],
  [
    "troupe_worker_prefill_pass_tokens_squared_total",
    "Over these passes, each one's prompt tokens squared.",
    "prefill_tokens_squared",
  ],
  ["troupe_worker_decode_passes_total", "Passes of the engine that drew tokens.", "decode_passes"],
  [
    "troupe_worker_decode_pass_kv_share_total",
    "Over these passes, the share of the blocks in use, 0 to 1.",
    "decode_share",
  ],
  ["troupe_worker_pass_seconds_total", "Time of all passes.", "busy_ms"],
];

const gauges: readonly Read[] = [
  [
    "troupe_worker_event_loop_block_seconds_max",
    "Longest hold-up of the worker's event loop since it was ready, in seconds.",
    (load) => load.event_loop_block_ms_max / 1_000,
  ],
  ["troupe_worker_running_requests", "Requests in the engine's batch.", (load) => load.running],
  ["troupe_worker_waiting_requests", "Requests that wait for it.", (load) => load.waiting],
  [
    "troupe_worker_queued_prefill_tokens",
    "Prompt tokens of what runs and waits that no pass has computed yet.",
    (load) => load.waiting_prefill_tokens,
  ],
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

type DraftRead = readonly [name: string, help: string, read: (counts: DraftCounts) => number];

/** Each with the label `source`. */
const draftCounters: readonly DraftRead[] = [
  [
    "troupe_worker_draft_steps_total",
    "Steps of an answer in which tokens of it were guessed.",
    ({ drafts }) => drafts,
  ],
  ["troupe_worker_drafted_tokens_total", "Tokens that were guessed.", ({ tokens }) => tokens],
  [
    "troupe_worker_accepted_tokens_total",
    "Of these, tokens that the answer has.",
    ({ accepted }) => accepted,
  ],
  [
    "troupe_worker_rejected_tokens_total",
    "Of these, tokens that it does not have.",
    ({ tokens, accepted }) => tokens - accepted,
  ],
];

/** The same over all sources with the names of vLLM, which planners and boards of Dynamo read. */
const vllmCounters: readonly DraftRead[] = [
  ["vllm:spec_decode_num_drafts_total", "Number of spec decoding drafts.", ({ drafts }) => drafts],
  ["vllm:spec_decode_num_draft_tokens_total", "Number of draft tokens.", ({ tokens }) => tokens],
  [
    "vllm:spec_decode_num_accepted_tokens_total",
    "Number of accepted tokens.",
    ({ accepted }) => accepted,
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
    metrics.gauge(
      ELSEWHERE,
      "Of the waiting requests, those whose prompt another worker computes.",
      labels,
      this.#gauges.elsewhere,
    );
    this.#showDrafts(labels);
    if (this.#gauges.load().passes === undefined) return;
    for (const [name, about, field] of passCounters) {
      // Metrics are in seconds.
      const unit = field === "busy_ms" ? 1_000 : 1;
      const read = () => (this.#gauges.load().passes?.[field] ?? 0) / unit;
      metrics.counter(name, about, labels, read);
    }
  }

  /** An engine that guesses has all of its sources from the start. */
  #showDrafts(labels: Labels): void {
    const { drafts } = this.#gauges;
    const sources = drafts().map(({ source }) => source);
    if (sources.length === 0) return;
    for (const [name, about, read] of draftCounters) {
      for (const [i, source] of sources.entries()) {
        const of = { ...labels, source };
        this.#metrics.counter(name, about, of, () => read(drafts()[i]!));
      }
    }
    const of = { ...labels, model_name: this.#model };
    for (const [name, about, read] of vllmCounters) {
      const sum = () => drafts().reduce((all, each) => all + read(each), 0);
      this.#metrics.counter(name, about, of, sum);
    }
  }

  #removeDrafts(): void {
    const of = { ...this.#labels, model_name: this.#model };
    for (const [name] of vllmCounters) this.#metrics.remove(name, of);
    for (const { source } of this.#gauges.drafts()) {
      for (const [name] of draftCounters) {
        this.#metrics.remove(name, { ...this.#labels, source });
      }
    }
  }

  /** Removes the gauges, which read this life's values; the next life makes its own. */
  remove(): void {
    const own = [...counters, ...gauges, ...passCounters].map(([name]) => name);
    for (const name of [REQUESTS, INFLIGHT, ELSEWHERE, DURATION, ...own]) {
      this.#metrics.remove(name, this.#labels);
    }
    this.#metrics.remove(INFO, this.#info);
    this.#removeDrafts();
    for (const code of this.#refusal_codes) {
      this.#metrics.remove(ERRORS, { ...this.#labels, error_type: code });
    }
  }
}
