/** A planner's configuration from flags and the file that they name. */
import { type PlannerSettings, plannerFlags } from "./flags.ts";
import { parsedConfig } from "./pipeline/config-text.ts";
import { plannerConfigOf, type ReadConfig } from "./pipeline/read-config.ts";

/**
 * A flag that was given wins over the file, the file over a flag's default.
 * @param pairs some workers compute prompts for others; what a file says of `mode` wins
 * Throws PlannerConfigError.
 */
export function plannerConfig(settings: PlannerSettings, pairs: boolean): ReadConfig {
  const { given, config_text, planner, ttft_ms, itl_ms, min_workers, max_workers } = settings;
  const flagged: Record<string, unknown> = {
    ...(planner === "" ? {} : { optimization_target: planner }),
    ...(settings.advisory ? { advisory: true } : {}),
  };
  const defaults: Record<string, unknown> = { mode: pairs ? "disagg" : "agg" };
  const put = (flag: keyof typeof plannerFlags, key: string, value: number) => {
    const isGiven = given.includes(plannerFlags[flag].name);
    (isGiven ? flagged : defaults)[key] = value;
  };
  put("min_workers", "min_endpoint", min_workers);
  put("max_workers", "max_workers", max_workers);
  if (given.includes(plannerFlags.ttft_ms.name)) flagged["ttft_ms"] = ttft_ms;
  if (given.includes(plannerFlags.itl_ms.name)) flagged["itl_ms"] = itl_ms;
  return plannerConfigOf({ ...defaults, ...parsedConfig(config_text), ...flagged });
}
