/** What a request that finds no worker can hope for: that one is on its way, or will be. Pure. */
import type { PlannerConfig } from "./config.ts";
import { comingOf } from "./head-count.ts";
import type { PlannerState } from "./planner-state.ts";
import { rolesOf } from "./roles.ts";

/**
 * How long a request may wait for the first worker that answers, in ms. Undefined: none is being
 * started, and none would be because somebody asks.
 */
export function firstWorkerMs(
  { last, pending, failed_starts }: Pick<PlannerState, "last" | "pending" | "failed_starts">,
  config: PlannerConfig,
): number | undefined {
  const role = rolesOf(config).find((each) => each !== "prefill");
  const report = last?.roles.find((each) => each.role === role);
  if (role === undefined || last === undefined || report === undefined) return undefined;
  const start_ms = 1_000 * config.start_timeout_seconds;
  const comes = pending.some(({ action, cancelled = 0 }) => comingOf(action, role) > cancelled);
  // One that ended and is tried again may be dead for good.
  if (comes) return start_ms;
  const held = last.at_ms < (failed_starts[role]?.until_ms ?? 0);
  if (report.reason !== "scale_to_zero" || last.advisory || held) return undefined;
  // The next decision starts one, if somebody has asked until then.
  return 1_000 * config.load_adjustment_interval_seconds + start_ms;
}
