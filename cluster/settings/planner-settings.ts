/** Whether there is a planner, and what it is told. */
import {
  type PlannerFlagSettings,
  type PlannerSettings,
  plannerFlags,
} from "../../actors/planner/flags.ts";
import type { RootRole } from "./cluster-flags.ts";
import { SettingsError } from "./settings-error.ts";

/**
 * Undefined: there is none.
 * @param isGiven whether somebody gave the flag of this name
 * @param config_text of --planner-config
 * Throws SettingsError.
 */
export function plannerSettings(
  settings: PlannerFlagSettings,
  role: RootRole,
  isGiven: (flag: string) => boolean,
  config_text: string,
): PlannerSettings | undefined {
  const { planner, config, advisory, ttft_ms, itl_ms, ...rest } = plannerFlags;
  const limits = { ttft_ms, itl_ms, min_workers: rest.min_workers, max_workers: rest.max_workers };
  const given = Object.values(plannerFlags).flatMap(({ name }) => (isGiven(name) ? [name] : []));
  const wanted = settings.planner !== "" || settings.config !== "";
  if (!wanted) {
    const useless = [...Object.values(limits), advisory].find(({ name }) => given.includes(name));
    if (useless !== undefined) {
      throw new SettingsError(
        `--${useless.name} is for a planner: give --${planner.name} sla too, or leave it out`,
      );
    }
    if (role !== "planner") return undefined;
    throw new SettingsError(
      `--role planner needs --${planner.name} with its goal, or --${config.name} with a file that ` +
        "says it",
    );
  }
  if (role !== "all" && role !== "planner") {
    const flag = settings.planner !== "" ? planner : config;
    throw new SettingsError(
      `--${flag.name} does nothing on a machine with --role ${role}: give it to the machine that ` +
        "starts the cluster, or to one with --role planner",
    );
  }
  // One alone is compared with what the file says, by the planner's process.
  const both = [limits.min_workers, limits.max_workers].every(({ name }) => given.includes(name));
  const { min_workers, max_workers } = settings;
  if (both && min_workers > max_workers) {
    throw new SettingsError(
      `--${limits.min_workers.name} ${min_workers} is above --${limits.max_workers.name} ` +
        `${max_workers}: swap them`,
    );
  }
  return { ...settings, config_text, given };
}
