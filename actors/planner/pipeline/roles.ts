/** What a configuration says of each role of workers. */
import type { PlannerConfig } from "./config.ts";
import type { PlanRole } from "./snapshot.ts";

/** Roles that this mode scales. */
export function rolesOf({ mode }: Pick<PlannerConfig, "mode">): readonly PlanRole[] {
  if (mode === "agg") return ["aggregated"];
  if (mode === "disagg") return ["prefill", "decode"];
  return mode === "prefill" ? ["prefill"] : ["decode"];
}

/** Workers that it has at least. */
export function leastOf(config: PlannerConfig, role: PlanRole): number {
  if (role === "aggregated") return config.min_endpoint;
  return role === "prefill" ? config.prefill_min_endpoint : config.decode_min_endpoint;
}

/** How long an idle model keeps the last worker of a role whose least number is 0. */
const TO_ZERO_SECONDS = 60;

/** Nobody has asked for so long: the last worker of the role goes; 0: it stays. */
export function zeroAfterSeconds(config: PlannerConfig, role: PlanRole): number {
  const { scale_to_zero_after_seconds: said } = config;
  return said > 0 || leastOf(config, role) > 0 ? said : TO_ZERO_SECONDS;
}

/** An aggregated worker is counted as one that decodes, as Dynamo does. */
export function gpusOf(config: PlannerConfig, role: PlanRole): number {
  return role === "prefill" ? config.prefill_engine_num_gpu : config.decode_engine_num_gpu;
}
