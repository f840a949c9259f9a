/**
 * A planner's configuration, by NVIDIA Dynamo's names where it has one (PlannerConfig, 1.6); units
 * are in the names where they are not seconds or counts. Keys below `own` are Troupe's.
 */
import type { PredictorName } from "../predict/predictor.ts";

export const planModes = ["disagg", "prefill", "decode", "agg"] as const;
export const planGoals = ["throughput", "latency", "load", "sla"] as const;
export const planEnvironments = ["local", "virtual", "kubernetes"] as const;
/** sla: our own, by work and tails; current: Dynamo 1.x; classic: Dynamo 0.5 with corrections. */
export const slaPlanners = ["tail", "current", "classic"] as const;

export type PlannerConfig = {
  readonly mode: (typeof planModes)[number];
  readonly optimization_target: (typeof planGoals)[number];
  readonly environment: (typeof planEnvironments)[number];
  readonly sla_planner: (typeof slaPlanners)[number];
  readonly advisory: boolean;
  readonly ttft_ms: number;
  readonly itl_ms: number;
  readonly enable_throughput_scaling: boolean;
  readonly enable_load_scaling: boolean;
  readonly throughput_adjustment_interval_seconds: number;
  readonly load_adjustment_interval_seconds: number;
  readonly load_predictor: PredictorName;
  readonly load_predictor_log1p: boolean;
  /** Path of a trace in Mooncake's format; empty: none. */
  readonly load_predictor_warmup_trace: string;
  readonly load_min_observations: number;
  readonly load_scaling_down_sensitivity: number;
  readonly prefill_scale_up_queue_tokens: number;
  readonly prefill_scale_down_queue_tokens: number;
  /** Percent of the KV cache. */
  readonly decode_scale_up_kv_rate: number;
  readonly decode_scale_down_kv_rate: number;
  readonly no_correction: boolean;
  /** -1: no limit. */
  readonly max_gpu_budget: number;
  readonly min_gpu_budget: number;
  readonly prefill_engine_num_gpu: number;
  readonly decode_engine_num_gpu: number;
  readonly min_endpoint: number;
  readonly prefill_min_endpoint: number;
  readonly decode_min_endpoint: number;
  readonly max_throughput_scaling_replicas: number;
  readonly profile_results_dir: string;
  readonly report_interval_hours: number;
  /** Where a report is written once an interval; empty: none is, and it is had on demand. */
  readonly report_output_dir: string;
  /** MODEL in it stands for the model's name. */
  readonly report_filename: string;
  // ---- Troupe's own
  // ------------------------------------------------------------------------------
  /** Workers of each role at most, beside the budget. */
  readonly max_workers: number;
  /** Of the answers, the share that is to be within both limits. */
  readonly sla_share: number;
  /** From the start of a worker until it serves; 0: learned from those that started. */
  readonly startup_seconds: number;
  /** A worker that does not serve after this is given up. */
  readonly start_timeout_seconds: number;
  /** Fewer workers are wanted this long before some are retired. */
  readonly scale_down_after_seconds: number;
  /** Idle for this long, the last worker goes too; 0: as `zeroAfterSeconds` has it. */
  readonly scale_to_zero_after_seconds: number;
  readonly role_changes: boolean;
  readonly drain_seconds: number;
};
