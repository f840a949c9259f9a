/** Snapshots, workers and a configuration for tables of the planner. */
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import type {
  PassFigures,
  PlanRole,
  PlanSnapshot,
  Traffic,
  WorkerView,
} from "../../../actors/planner/pipeline/snapshot.ts";

export const plan_config: PlannerConfig = {
  ...plannerDefaults,
  mode: "agg",
  optimization_target: "sla",
  sla_planner: "current",
  load_predictor: "constant",
  prefill_scale_up_queue_tokens: 0,
  prefill_scale_down_queue_tokens: 0,
  decode_scale_up_kv_rate: 0,
  decode_scale_down_kv_rate: 0,
  max_workers: 8,
  start_timeout_seconds: 120,
  scale_down_after_seconds: 0,
  role_changes: false,
  drain_seconds: 30,
};

/** Of our own planner. */
export const tail_config: PlannerConfig = {
  ...plan_config,
  sla_planner: "tail",
  ttft_ms: 500,
  itl_ms: 50,
};

export function planWorker(role: PlanRole, view: Partial<WorkerView> = {}): WorkerView {
  return {
    worker: `${role}-0`,
    machine: "here",
    role,
    state: "serving",
    since_ms: 0,
    reports: true,
    running: 0,
    waiting: 0,
    queued_prefill_tokens: 0,
    kv_used_tokens: 0,
    kv_total_tokens: 100_000,
    passes: undefined,
    cached_tokens: 0,
    ...view,
  };
}

export function planWorkers(role: PlanRole, count: number, view: Partial<WorkerView> = {}) {
  return Array.from({ length: count }, (_, i) =>
    planWorker(role, { worker: `${role}-${i}`, ...view }),
  );
}

export function planTraffic(traffic: Partial<Traffic> = {}): Traffic {
  return {
    started: 0,
    ended: 0,
    failed: 0,
    isl: undefined,
    osl: undefined,
    ttft_ms: undefined,
    itl_ms: undefined,
    duration_ms: undefined,
    queue_ms: undefined,
    queued: 0,
    oldest_queued_ms: undefined,
    kv_hit_rate: undefined,
    accept_length: undefined,
    attainment: undefined,
    ...traffic,
  };
}

export function planSnapshot(snapshot: Partial<PlanSnapshot> = {}): PlanSnapshot {
  return {
    model: "m",
    at_ms: 1_000_000,
    interval_ms: 5_000,
    traffic: planTraffic(),
    workers: [],
    limits: {
      context_length: 10_000,
      max_batch_tokens: 2_048,
      max_kv_tokens: 100_000,
      max_seqs: 256,
      block_size: 16,
    },
    ...snapshot,
  };
}

/** Of passes that all compute and draw the same. */
export function planPasses(passes: Partial<PassFigures>): PassFigures {
  return {
    interval_ms: 5_000,
    prefill_passes: 0,
    prefill_tokens: 0,
    prefill_tokens_squared: 0,
    decode_passes: 0,
    decode_tokens: 0,
    decode_share: 0,
    busy_ms: 0,
    ...passes,
  };
}

/** Of an aggregated worker in 5 s: 30 prompts of 1,000 tokens, 100 tokens of each answer. */
export const tail_passes = planPasses({
  ...{ prefill_passes: 30, prefill_tokens: 30_000, prefill_tokens_squared: 30_000_000 },
  ...{ decode_passes: 200, decode_tokens: 3_000, decode_share: 20, busy_ms: 3_000 },
});
