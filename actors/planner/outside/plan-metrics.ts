/**
 * What a planner decides as metrics, by Dynamo's names `dynamo_planner_*`, with the model as a
 * label. What is unknown has no series: a dashboard shows a gap there and not a zero.
 */
import type { Labels, Metrics } from "../../../runtime/observe/metrics.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import {
  type Decision,
  type ReasonName,
  type RoleReport,
  reasonNames,
} from "../pipeline/decision.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";

type Figure = readonly [name: string, help: string, value: number | undefined];

const PREFIX = "dynamo_planner_";
const LOAD = `${PREFIX}load_scaling_decision`;
const THROUGHPUT = `${PREFIX}throughput_scaling_decision`;
const HOUR_MS = 3_600_000;

export class PlanMetrics {
  readonly #metrics: Metrics;
  readonly #labels: { readonly model: string };
  #gpu_hours = 0;
  #last_ms: number | undefined = undefined;
  #last_id = 0;
  /** Of workers that were there last time. */
  #workers = new Set<string>();

  constructor(metrics: Metrics, model: string) {
    this.#metrics = metrics;
    this.#labels = { model };
  }

  /** Once a tick. */
  decided(decision: Decision, snapshot: PlanSnapshot, config: PlannerConfig): void {
    this.#pay(decision, config);
    for (const [name, help, value] of figuresOf(decision, snapshot)) this.#set(name, help, value);
    this.#set("gpu_hours", "GPU hours of all workers since this planner began", this.#gpu_hours);
    for (const report of decision.roles) {
      this.#state(LOAD, "Why the load loop wants what it wants", report, report.load_reason);
      const why = "Why the throughput loop wants what it wants";
      this.#state(THROUGHPUT, why, report, report.throughput_reason);
    }
    if (decision.id > this.#last_id) {
      const help = "Decisions that changed something";
      this.#metrics.counter("troupe_planner_decisions_total", help, this.#labels).add();
      this.#last_id = decision.id;
    }
    this.#engines(snapshot);
  }

  /** The planner is gone, or another one decides: nothing of it is shown any more. */
  forget(): void {
    for (const { name, series } of this.#metrics.families()) {
      if (!name.startsWith(PREFIX)) continue;
      for (const { labels } of [...series.values()]) {
        if (labels["model"] === this.#labels.model) this.#metrics.remove(name, labels);
      }
    }
    this.#workers.clear();
    this.#last_ms = undefined;
  }

  #pay({ at_ms, roles }: Decision, config: PlannerConfig): void {
    const hours = this.#last_ms === undefined ? 0 : (at_ms - this.#last_ms) / HOUR_MS;
    this.#last_ms = at_ms;
    for (const { role, serving, starting, retiring } of roles) {
      const gpus =
        role === "prefill" ? config.prefill_engine_num_gpu : config.decode_engine_num_gpu;
      // Who starts and who drains holds its GPUs too.
      this.#gpu_hours += Math.max(0, hours) * gpus * (serving + starting + retiring);
    }
  }

  #set(name: string, help: string, value: number | undefined, more: Labels = {}): void {
    const full = name.startsWith("troupe_") ? name : `${PREFIX}${name}`;
    const labels = { ...this.#labels, ...more };
    if (value === undefined || !Number.isFinite(value)) this.#metrics.remove(full, labels);
    else this.#metrics.gauge(full, help, labels).set(value);
  }

  /** As prometheus_client's Enum shows itself: one series a state, 1 for the one that holds. */
  #state(name: string, help: string, { role }: RoleReport, now: ReasonName): void {
    for (const state of reasonNames) {
      const labels = { ...this.#labels, role, [name]: state };
      this.#metrics.gauge(name, help, labels).set(state === now ? 1 : 0);
    }
  }

  #engines({ workers }: PlanSnapshot): void {
    const reporting = workers.filter(({ reports }) => reports);
    const names = new Set(reporting.map(({ worker }) => worker));
    for (const gone of this.#workers)
      if (!names.has(gone)) this.#engine(gone, undefined, undefined);
    for (const { worker, queued_prefill_tokens, kv_used_tokens } of reporting) {
      this.#engine(worker, queued_prefill_tokens, kv_used_tokens);
    }
    this.#workers = names;
  }

  #engine(worker_id: string, queued: number | undefined, held: number | undefined): void {
    const labels = { worker_id, dp_rank: "0" };
    const waits = "Prompt tokens that a worker has taken and not computed";
    this.#set("engine_queued_prefill_tokens", waits, queued, labels);
    const holds = "Tokens in the cache of a worker that its answers need";
    this.#set("engine_inflight_decode_kv_tokens", holds, held, labels);
  }
}

function figuresOf({ roles, ...decision }: Decision, { traffic }: PlanSnapshot): Figure[] {
  const { observed, predicted, estimated, targets } = decision;
  const seconds = predicted.interval_ms / 1_000;
  const serving = (one: PlanRole): number | undefined =>
    roles.find(({ role }) => role === one)?.serving;
  const duration_ms = traffic?.duration_ms?.mean;
  const [own, ms] = ["troupe_planner_", "in ms"];
  // Ours are in base units, Dynamo's as they are.
  const tail = (name: string, help: string, value_ms: number | undefined): Figure => [
    ...([`${own}observed_${name}_p95_seconds`, `${help}, p95, in seconds`] as const),
    value_ms === undefined ? undefined : value_ms / 1_000,
  ];
  return [
    ["num_prefill_replicas", "Prefill workers that serve", serving("prefill")],
    // Dynamo counts aggregated workers as such that decode.
    [
      ...(["num_decode_replicas", "Decode workers that serve, or aggregated ones"] as const),
      serving("decode") ?? serving("aggregated"),
    ],
    ["predicted_num_prefill_replicas", "Prefill workers that are wanted", targets.prefill],
    [
      ...([
        "predicted_num_decode_replicas",
        "Decode or aggregated workers that are wanted",
      ] as const),
      targets.decode ?? targets.aggregated,
    ],
    ["observed_requests_per_second", "Requests that came", observed.requests_per_s],
    ["observed_ttft_ms", `Time to the first token, mean, ${ms}`, traffic?.ttft_ms?.mean],
    ["observed_itl_ms", `Time between two tokens, mean, ${ms}`, traffic?.itl_ms?.mean],
    [
      ...(["observed_request_duration_seconds", "From arrival to the end, mean"] as const),
      duration_ms === undefined ? undefined : duration_ms / 1_000,
    ],
    ["observed_input_sequence_tokens", "Prompt tokens of a request, mean", observed.isl],
    ["observed_output_sequence_tokens", "Answer tokens of a request, mean", observed.osl],
    [
      ...(["predicted_requests_per_second", "Requests that are expected next"] as const),
      predicted.requests === undefined || seconds <= 0 ? undefined : predicted.requests / seconds,
    ],
    ["predicted_input_sequence_tokens", "Prompt tokens expected next", predicted.isl],
    ["predicted_output_sequence_tokens", "Answer tokens expected next", predicted.osl],
    ["estimated_ttft_ms", `Time to the first token by the model, ${ms}`, estimated.ttft_ms],
    ["estimated_itl_ms", `Time between two tokens by the model, ${ms}`, estimated.itl_ms],
    tail("ttft", "Time to the first token", observed.ttft_p95_ms),
    tail("itl", "Time between two tokens", observed.itl_p95_ms),
    tail("queue", "Wait in routers", observed.queue_p95_ms),
    [`${own}observed_attainment`, "Share of answers within the SLA, 0 to 1", observed.attainment],
  ];
}
