/** How often a planner looks. */
import type { PlannerConfig } from "./config.ts";

type Intervals = Pick<
  PlannerConfig,
  "load_adjustment_interval_seconds" | "throughput_adjustment_interval_seconds"
>;

/** Seconds from one tick to the next: the longest that both intervals are a multiple of. */
export function tickSeconds(config: Intervals): number {
  let a = Math.round(1_000 * config.load_adjustment_interval_seconds);
  let b = Math.round(1_000 * config.throughput_adjustment_interval_seconds);
  while (b > 0) [a, b] = [b, a % b];
  return a / 1_000;
}
