/** Snapshots for tests of the planner: a model with some workers and some traffic. */
import type { PlannerConfig } from "../../../actors/planner/pipeline/config.ts";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import type {
  PassFigures,
  PlanRole,
  PlanSnapshot,
  Traffic,
  WorkerView,
} from "../../../actors/planner/pipeline/snapshot.ts";

export const config = (over: Partial<PlannerConfig> = {}): PlannerConfig => ({
  ...plannerDefaults,
  mode: "agg",
  optimization_target: "sla",
  load_predictor: "constant",
  startup_seconds: 30,
  ...over,
});

export const noPasses: PassFigures = {
  ...{ interval_ms: 5_000, prefill_passes: 0, prefill_tokens: 0, prefill_tokens_squared: 0 },
  ...{ decode_passes: 0, decode_tokens: 0, decode_share: 0, busy_ms: 0 },
};

export function worker(name: string, over: Partial<WorkerView> = {}): WorkerView {
  return {
    ...{ worker: name, machine: "m", role: "aggregated", state: "serving", since_ms: 0 },
    ...{ reports: true, running: 0, waiting: 0, queued_prefill_tokens: 0 },
    ...{ kv_used_tokens: 0, kv_total_tokens: 1_000_000, passes: undefined, cached_tokens: 0 },
    ...over,
  };
}

export function workers(count: number, over: Partial<WorkerView> = {}): WorkerView[] {
  const prefix: PlanRole = over.role ?? "aggregated";
  return Array.from({ length: count }, (_, i) => worker(`${prefix}-${i}`, over));
}

export const quiet: Traffic = {
  ...{ started: 0, ended: 0, failed: 0, isl: undefined, osl: undefined, ttft_ms: undefined },
  ...{ itl_ms: undefined, duration_ms: undefined, queue_ms: undefined, queued: 0 },
  ...{ oldest_queued_ms: undefined, kv_hit_rate: undefined, accept_length: undefined },
  attainment: undefined,
};

export const limits = {
  ...{ context_length: 32_768, max_batch_tokens: 8_192, max_kv_tokens: 1_000_000 },
  ...{ max_seqs: 256, block_size: 16 },
};

export function snapshot(at_ms: number, over: Partial<PlanSnapshot> = {}): PlanSnapshot {
  return {
    ...{ model: "m", at_ms, interval_ms: 5_000, traffic: quiet, workers: workers(1), limits },
    ...over,
  };
}
