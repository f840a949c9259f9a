/** The stages that a configuration asks for. */
import { predictStage } from "../predict/predict-stage.ts";
import { proposeStages } from "../propose/propose.ts";
import { tailStage } from "../propose-tail/tail-stage.ts";
import type { PlannerConfig } from "./config.ts";
import type { ProposeStage } from "./stages.ts";
import type { PlannerParts } from "./tick.ts";

/** @param loops Dynamo's, for what is not our own: given, they may know the curves of a profile */
export function plannerParts(
  config: PlannerConfig,
  loops: readonly ProposeStage<unknown>[] = proposeStages(config),
): PlannerParts {
  const own = config.optimization_target === "sla" && config.sla_planner === "tail";
  return { predict: predictStage, propose: own ? [tailStage] : loops };
}
