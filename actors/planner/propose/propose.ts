/** Which loops of NVIDIA Dynamo's planner propose under a configuration. */
import type { Curves } from "../model/curves.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { ProposeStage } from "../pipeline/stages.ts";
import { classicStage } from "./classic.ts";
import { currentStage } from "./current.ts";

/**
 * None for an SLA that is planned by tails, which is a stage of its own.
 *
 * @param curves of `profile_results_dir`; undefined: none were profiled
 */
export function proposeStages(
  config: PlannerConfig,
  curves?: Curves,
): readonly ProposeStage<unknown>[] {
  const sla = config.optimization_target === "sla";
  if (sla && config.sla_planner === "tail") return [];
  if (sla && config.sla_planner === "classic") return [classicStage(curves)];
  return [currentStage(config, curves)];
}
