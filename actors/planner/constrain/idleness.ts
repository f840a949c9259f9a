/**
 * No worker at all while nobody asks for anything, and the first one as soon as somebody does. That
 * there are no requests is a figure; that there are no figures is not, and changes nothing here.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import { rolesOf, zeroAfterSeconds } from "../pipeline/roles.ts";
import { type PlanSnapshot, requestsAt } from "../pipeline/snapshot.ts";
import type { RoleTarget } from "../pipeline/stages.ts";

/** `since_ms`: nobody has asked for anything since then; absent: somebody does. */
export type Idleness = { readonly since_ms?: number };

export function idlenessAfter(
  idle: Idleness,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
): Idleness {
  const { traffic } = snapshot;
  if (rolesOf(config).every((role) => zeroAfterSeconds(config, role) === 0)) return {};
  if (traffic === undefined) return idle;
  if (asked(snapshot)) return {};
  return { since_ms: idle.since_ms ?? snapshot.at_ms - snapshot.interval_ms };
}

function asked({ traffic, workers }: PlanSnapshot): boolean {
  if (traffic === undefined) return false;
  const { started, queued, unaware = 0 } = traffic;
  // A frontend that came when there was no worker knows nothing of the model before one serves.
  if (started > 0 || queued > 0 || unaware > 0) return true;
  return workers.some((worker) => worker.reports && requestsAt(worker) > 0);
}

/** `empty`: no worker is to be there. */
export function whenEmpty(
  target: RoleTarget,
  idle: Idleness,
  snapshot: PlanSnapshot,
  present: number,
  config: PlannerConfig,
): { readonly target: RoleTarget; readonly empty: boolean } {
  const after_ms = 1_000 * zeroAfterSeconds(config, target.role);
  if (after_ms > 0 && idle.since_ms !== undefined) {
    const idle_ms = snapshot.at_ms - idle.since_ms;
    const long = idle_ms >= after_ms;
    // Also those that went earlier do not come back before somebody asks.
    if (long || present === 0) {
      const why = `Nobody has asked for anything for ${Math.round(idle_ms / 1_000)} s.`;
      return { target: { ...target, wanted: 0, reason: "scale_to_zero", why }, empty: true };
    }
  }
  if (present === 0 && asked(snapshot)) {
    const { started = 0, queued = 0, unaware = 0 } = snapshot.traffic ?? {};
    const wanted = Math.max(1, target.wanted);
    const why =
      started + queued === 0 && unaware > 0
        ? `${unaware} frontends came when there was no worker, and learn of the model from one.`
        : `Requests came (${started}) or wait (${queued}) and there is no worker.`;
    return { target: { ...target, wanted, reason: "from_zero", why }, empty: false };
  }
  return { target, empty: false };
}
