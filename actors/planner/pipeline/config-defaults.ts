/**
 * What a planner is configured by where nobody says otherwise: NVIDIA Dynamo's defaults where it
 * has one (PlannerConfig, 1.6). Two differ, as there is no graph to read them from: the predictor,
 * which is found by a back-test, and the GPU budget, which only counts where GPUs are known.
 */
import type { PlannerConfig } from "./config.ts";

export const plannerDefaults: PlannerConfig = {
  mode: "disagg",
  optimization_target: "throughput",
  environment: "local",
  sla_planner: "tail",
  advisory: false,
  ttft_ms: 500,
  itl_ms: 50,
  enable_throughput_scaling: true,
  enable_load_scaling: false,
  throughput_adjustment_interval_seconds: 180,
  load_adjustment_interval_seconds: 5,
  load_predictor: "auto",
  load_predictor_log1p: false,
  load_predictor_warmup_trace: "",
  load_min_observations: 5,
  load_scaling_down_sensitivity: 80,
  prefill_scale_up_queue_tokens: 8_192,
  prefill_scale_down_queue_tokens: 512,
  decode_scale_up_kv_rate: 80,
  decode_scale_down_kv_rate: 40,
  no_correction: false,
  max_gpu_budget: -1,
  min_gpu_budget: -1,
  prefill_engine_num_gpu: 1,
  decode_engine_num_gpu: 1,
  min_endpoint: 1,
  prefill_min_endpoint: 1,
  decode_min_endpoint: 1,
  max_throughput_scaling_replicas: 8,
  profile_results_dir: "",
  report_interval_hours: 24,
  report_output_dir: "",
  report_filename: "planner-MODEL.html",
  max_workers: 128,
  sla_share: 0.95,
  startup_seconds: 0,
  start_timeout_seconds: 300,
  scale_down_after_seconds: 40,
  scale_to_zero_after_seconds: 0,
  role_changes: true,
  drain_seconds: 60,
};

/** Dynamo's budget where its connectors act and GPUs are counted. */
export const DYNAMO_GPU_BUDGET = 8;
