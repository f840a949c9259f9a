/** What the names of reasons and of standings mean, for people who see the name alone. */
import type { ReasonName } from "../pipeline/decision.ts";
import type { PlanStanding } from "./plan-page.ts";

export const reasonWords: Readonly<Record<ReasonName, string>> = {
  disabled: "This loop is off",
  no_fpm_data: "No worker has reported what its passes took",
  insufficient_data: "Too few intervals have been seen (load_min_observations)",
  scaling_in_progress: "The role is being changed",
  worker_count_mismatch: "Not as many workers report as there are",
  scale_up: "More are wanted",
  scale_down: "Fewer are wanted",
  scale: "Another number is wanted",
  scale_down_capped_by_throughput: "The load loop wants fewer than the throughput loop's floor",
  set_lower_bound: "The throughput loop sets the floor of the load loop",
  no_change: "The number is right",
  model_not_ready: "What a pass takes is not known yet",
  predict_failed: "The predictor has no value",
  no_traffic_data: "Nobody who counts requests answered: the number is held",
  no_traffic: "Nobody asks for anything: fewer are enough",
  backlog: "What waits needs more than the load alone",
  sla_tail: "The share within the limits needs them",
  hysteresis: "Fewer are wanted, but not for scale_down_after_seconds yet",
  cannot_start: "Workers did not start in time and were given up",
  scale_to_zero: "Nobody asks: the last one goes",
  from_zero: "The first one comes for requests that wait",
  budget: "The GPU budget holds the number",
  min_endpoint: "The least number holds it",
  max_workers: "The largest number holds it",
  step_limit: "One decision changes max_throughput_scaling_replicas at most",
};

export const standingWords: Readonly<Record<PlanStanding, string>> = {
  starts: "It asks for the model's name and reads its journal, then it decides",
  decides: "It starts and retires workers",
  advises: "It says what it would do, and changes nothing",
  waits:
    "The planner that was here before still has the model's name: this one decides when its lease " +
    "has run out, 10 s after its end at most",
  stands_by: "Another planner decides; this one does when that is gone",
  no_figures: "Nobody said how the model does: the workers are held",
};
