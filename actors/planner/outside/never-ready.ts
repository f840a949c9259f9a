/**
 * Configurations of which a planner never learns how many workers a load needs: it keeps least
 * numbers and budgets, and proposes nothing, however long it runs.
 */
import { type Curves, regressionsOf } from "../model/curves.ts";
import { regressionModel } from "../model/regression.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import { rolesOf } from "../pipeline/roles.ts";

/**
 * One line that says why, and what to do; undefined: it can learn it.
 * @param curves of `profile_results_dir`; undefined: it names none
 */
export function neverReady(config: PlannerConfig, curves: Curves | undefined): string | undefined {
  const why = lackOf(config, curves);
  return why && `planner: it will hold least numbers and budgets alone: ${why}`;
}

const BY_TRAFFIC =
  "optimization_target: sla with sla_planner: current (enable_throughput_scaling: true) or classic, " +
  "and profile_results_dir";

function lackOf(config: PlannerConfig, curves: Curves | undefined): string | undefined {
  const { environment, sla_planner, optimization_target: goal } = config;
  if (goal === "sla" && sla_planner === "classic") return classicLacks(curves);
  if (environment === "local") return undefined;
  const by_traffic =
    goal === "sla" && sla_planner === "current" && config.enable_throughput_scaling;
  if (by_traffic) return currentLacks(config, curves);
  const loop =
    goal !== "sla"
      ? `optimization_target ${goal}`
      : sla_planner === "tail"
        ? "sla_planner tail"
        : "the load loop of sla_planner current";
  return (
    `${loop} needs figures of single workers, and environment ${environment} knows none; ` +
    `set ${BY_TRAFFIC}`
  );
}

function classicLacks(curves: Curves | undefined): string | undefined {
  if (curves === undefined) return "sla_planner classic needs profile_results_dir; set it";
  const { prefill, decode } = curves;
  if (prefill.length > 0 && decode.length > 0) return undefined;
  const kind = prefill.length === 0 ? "prefill" : "decode";
  return `the profile has no ${kind} points; run \`bun run profile\` again`;
}

function currentLacks(config: PlannerConfig, curves: Curves | undefined): string | undefined {
  const { environment, load_min_observations: least, profile_results_dir: folder } = config;
  const only = `environment ${environment} learns from the profile alone`;
  if (curves === undefined) return `${only}, and profile_results_dir names none; set it`;
  const known = regressionsOf(curves, rolesOf(config));
  for (const role of rolesOf(config)) {
    if (regressionModel(known[role], role, least) !== undefined) continue;
    const points = known[role]?.samples.length ?? 0;
    const of = role === "aggregated" ? "points" : `${role} points`;
    if (points < least) {
      return (
        `${only}, and ${folder} has ${points} ${of} where load_min_observations asks for ` +
        `${least}; profile more, or lower it to ${Math.max(1, points)}`
      );
    }
    return `${only}, and the ${points} ${of} of ${folder} fit no line that rises; profile anew`;
  }
  return undefined;
}
