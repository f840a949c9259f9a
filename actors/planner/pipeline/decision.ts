/** What a planner decides, as values. Names of reasons are NVIDIA Dynamo's where it has one. */
import type { PlanRole } from "./snapshot.ts";

/** Dynamo's `load_scaling_decision` and `throughput_scaling_decision`, and below our own. */
export const reasonNames = [
  ...["disabled", "no_fpm_data", "insufficient_data", "scaling_in_progress"],
  ...["worker_count_mismatch", "scale_up", "scale_down", "scale_down_capped_by_throughput"],
  ...["no_change", "set_lower_bound", "scale", "model_not_ready", "predict_failed"],
  "no_traffic_data",
  // Dynamo has no name for these.
  ...["no_traffic", "backlog", "sla_tail", "hysteresis", "cannot_start", "scale_to_zero"],
  ...["from_zero", "budget", "min_endpoint", "max_workers", "step_limit"],
] as const satisfies readonly string[];
export type ReasonName = (typeof reasonNames)[number] & string;

/** How many workers one loop wants of one role; undefined: it wants nothing of it now. */
export type Proposal = {
  readonly loop: "throughput" | "load" | "sla";
  readonly role: PlanRole;
  readonly wanted: number | undefined;
  /** Of these, those that are wanted for what waits now: without it they go at once. */
  readonly passing?: number;
  /** True: fewer than this is not allowed, more is another loop's matter. */
  readonly floor: boolean;
  readonly reason: ReasonName;
  /** A sentence for people, with the figures that made it. */
  readonly why: string;
  /** The load that this is for, where the loop does not plan by the predictor's. */
  readonly foreseen?: Prediction;
  /** With the workers that serve now, where the loop can say. */
  readonly estimated_ttft_ms?: number;
  readonly estimated_itl_ms?: number;
};

/** Next interval's load; undefined fields: too little is known. */
export type Prediction = {
  readonly requests: number | undefined;
  readonly isl: number | undefined;
  readonly osl: number | undefined;
  /** What the requests are counted over. */
  readonly interval_ms: number;
  /** The same for the intervals to come, the next one first, as far as a new worker needs. */
  readonly steps?: readonly PredictedStep[];
  /** The last valid ones; before any, 0 and 1. */
  readonly kv_hit_rate?: number;
  readonly accept_length?: number;
  /** Why the fields are undefined although values are there. */
  readonly failure?: { readonly code: "predict_failed"; readonly why: string };
};

export type PredictedStep = Pick<Prediction, "requests" | "isl" | "osl">;

export type Targets = Readonly<Partial<Record<PlanRole, number>>>;

export type PlanAction =
  | { readonly kind: "add"; readonly role: PlanRole; readonly count: number }
  | { readonly kind: "retire"; readonly role: PlanRole; readonly workers: readonly string[] }
  /** They do not start in time, or are wanted no more before they serve. */
  | { readonly kind: "cancel"; readonly role: PlanRole; readonly workers: readonly string[] }
  | {
      readonly kind: "change_role";
      readonly from: PlanRole;
      readonly to: PlanRole;
      readonly workers: readonly string[];
    };

export type RoleReport = {
  readonly role: PlanRole;
  readonly serving: number;
  readonly starting: number;
  readonly retiring: number;
  readonly target: number;
  readonly throughput_reason: ReasonName;
  readonly load_reason: ReasonName;
  /** What decided in the end, and why in a sentence. */
  readonly reason: ReasonName;
  readonly why: string;
};

export type Decision = {
  /** From 1 on, one more with each that changes something; those that change nothing repeat it. */
  readonly id: number;
  readonly model: string;
  readonly at_ms: number;
  readonly interval_ms: number;
  readonly roles: readonly RoleReport[];
  readonly targets: Targets;
  /** Empty: nothing changes, or the planner only advises. */
  readonly actions: readonly PlanAction[];
  readonly advisory: boolean;
  /** What an advisory planner would have done. */
  readonly advised?: readonly PlanAction[];
  readonly observed: ObservedLoad;
  readonly predicted: Prediction;
  /** With the workers that serve now; undefined: the performance model is not ready. */
  readonly estimated: {
    readonly ttft_ms: number | undefined;
    readonly itl_ms: number | undefined;
  };
};

export type ObservedLoad = {
  readonly requests_per_s: number | undefined;
  readonly isl: number | undefined;
  readonly osl: number | undefined;
  readonly ttft_p50_ms: number | undefined;
  readonly ttft_p95_ms: number | undefined;
  readonly itl_p50_ms: number | undefined;
  readonly itl_p95_ms: number | undefined;
  readonly queue_p95_ms: number | undefined;
  readonly queued: number | undefined;
  readonly attainment: number | undefined;
};
