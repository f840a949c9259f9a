/**
 * When the load loop must not act on a role, and what its step becomes under the floor of the
 * throughput loop (Dynamo 1.x, `core/load_scaling.py`).
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Proposal, ReasonName } from "../pipeline/decision.ts";
import { leastOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import { countRole, type RoleCount } from "./count-role.ts";

/** What the loop found for one role, before guards and floors. */
export type Signal =
  | { readonly step: -1 | 0 | 1; readonly why: string }
  | { readonly step: undefined; readonly reason: ReasonName; readonly why: string };

/** Signals that fewer are enough, in a row, before a role shrinks whose worker cannot start. */
export const DOWN_SIGNALS = 3;

/** Undefined: the role may be looked at. */
export function guardOf(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  role: PlanRole,
): { readonly reason: ReasonName; readonly why: string } | undefined {
  const count = countRole(snapshot, role);
  if (count.retiring > 0 || (count.starting.length > 0 && !stuck(config, snapshot, count))) {
    const why = `${count.starting.length} start and ${count.retiring} retire: first these.`;
    return { reason: "scaling_in_progress", why };
  }
  const reporting = count.serving.filter(({ reports }) => reports).length;
  if (reporting === 0) return { reason: "no_fpm_data", why: `No ${role} worker reports.` };
  if (reporting < count.serving.length) {
    const why = `${reporting} of ${count.serving.length} ${role} workers report.`;
    return { reason: "worker_count_mismatch", why };
  }
  return undefined;
}

/** Every worker that starts has been at it for longer than a start takes. */
export function stuck(config: PlannerConfig, snapshot: PlanSnapshot, count: RoleCount): boolean {
  const usual_s =
    config.startup_seconds > 0 ? config.startup_seconds : config.start_timeout_seconds;
  return (
    count.starting.length > 0 &&
    count.starting.every(({ since_ms }) => snapshot.at_ms - since_ms > usual_s * 1_000)
  );
}

/**
 * @param floor of the throughput loop; 0: it is off
 * @param downs signals for fewer workers in a row, this one counted
 */
export function loadProposal(
  config: PlannerConfig,
  snapshot: PlanSnapshot,
  role: PlanRole,
  signal: Signal,
  floor: number,
  downs: number,
): Proposal {
  const of = (wanted: number | undefined, reason: ReasonName, why: string): Proposal => ({
    loop: "load",
    role,
    wanted,
    floor: false,
    reason,
    why,
  });
  if (signal.step === undefined) return of(undefined, signal.reason, signal.why);
  const count = countRole(snapshot, role);
  const now = count.serving.length;
  if (count.starting.length > 0 && !(signal.step < 0 && downs >= DOWN_SIGNALS)) {
    return of(undefined, "scaling_in_progress", "A worker does not start: none is added to it.");
  }
  const minimum = leastOf(config, role);
  const asked = signal.step < 0 ? Math.max(now - 1, Math.min(now, minimum)) : now + signal.step;
  const wanted = Math.max(asked, floor);
  if (wanted > now) return of(wanted, "scale_up", signal.why);
  if (wanted > asked) {
    const why = `${signal.why} The throughput loop wants ${floor}.`;
    return of(wanted, "scale_down_capped_by_throughput", why);
  }
  if (wanted < now) return of(wanted, "scale_down", signal.why);
  return of(wanted, "no_change", signal.why);
}
