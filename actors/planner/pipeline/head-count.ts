/**
 * How many workers of a role there are, with those that were asked for and do not show yet and
 * without those that were told to go: so that no action is taken twice while it is under way.
 */
import type { PlanAction } from "./decision.ts";
import type { PendingChange } from "./planner-state.ts";
import type { PlanRole, PlanSnapshot, WorkerView } from "./snapshot.ts";

export type HeadCount = {
  readonly serving: readonly WorkerView[];
  readonly starting: readonly WorkerView[];
  /** Of any state, that were told to go or drain already. */
  readonly leaving: number;
  /** Asked for, and not in the pool's view yet. */
  readonly unseen: number;
  /** What there will be when all that is under way is done. */
  readonly expected: number;
};

export function headCount(
  snapshot: PlanSnapshot,
  pending: readonly PendingChange[],
  role: PlanRole,
): HeadCount {
  const told = leavingNames(pending, role);
  const serving: WorkerView[] = [];
  const starting: WorkerView[] = [];
  let leaving = 0;
  for (const worker of snapshot.workers) {
    if (worker.role !== role) continue;
    if (worker.state === "retiring" || told.has(worker.worker)) leaving++;
    else if (worker.state === "serving") serving.push(worker);
    else starting.push(worker);
  }
  const unseen = unseenOf(snapshot, pending, role);
  const expected = serving.length + starting.length + unseen;
  return { serving, starting, leaving, unseen, expected };
}

/** Workers that a pending change takes from the role. */
function leavingNames(pending: readonly PendingChange[], role: PlanRole): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { action } of pending) {
    if (action.kind === "add") continue;
    // Who has the new role already does not leave it.
    if (action.kind === "change_role" && action.from !== role) continue;
    for (const worker of action.workers) names.add(worker);
  }
  return names;
}

/** Workers that a pending change is still bringing into another role than they have. */
export function changingNames(pending: readonly PendingChange[]): ReadonlySet<string> {
  return new Set(
    pending.flatMap(({ action }) => (action.kind === "change_role" ? action.workers : [])),
  );
}

/**
 * Of the workers asked for since a change, those that came into their state after it was asked
 * have appeared. A worker of an earlier change that began to serve meanwhile also looks like that,
 * so the changes are taken together from each one on, and the largest lack counts. A worker that
 * changes its role is known by its name where the pool shows it under that.
 */
function unseenOf(
  snapshot: PlanSnapshot,
  pending: readonly PendingChange[],
  role: PlanRole,
): number {
  const moved = movedNames(snapshot, pending, role);
  let [asked, most] = [0, 0];
  for (let i = pending.length - 1; i >= 0; i--) {
    const { action, asked_ms, cancelled = 0 } = pending[i]!;
    const shown =
      action.kind === "change_role" && action.to === role
        ? action.workers.filter((name) => moved.has(name)).length
        : 0;
    const comes = comingOf(action, role) - cancelled - shown;
    if (comes <= 0) continue;
    asked += comes;
    most = Math.max(most, asked - appeared(snapshot, role, asked_ms, moved));
  }
  return most;
}

/** Workers that were asked to take the role, and have it. */
function movedNames(
  snapshot: PlanSnapshot,
  pending: readonly PendingChange[],
  role: PlanRole,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { action } of pending) {
    if (action.kind !== "change_role" || action.to !== role) continue;
    for (const worker of snapshot.workers) {
      if (worker.role === role && action.workers.includes(worker.worker)) names.add(worker.worker);
    }
  }
  return names;
}

/** Workers that an action brings to a role. */
export function comingOf(action: PendingChange["action"], role: PlanRole): number {
  if (action.kind === "add" && action.role === role) return action.count;
  return action.kind === "change_role" && action.to === role ? action.workers.length : 0;
}

function appeared(
  snapshot: PlanSnapshot,
  role: PlanRole,
  since_ms: number,
  moved: ReadonlySet<string>,
): number {
  let count = 0;
  for (const worker of snapshot.workers) {
    if (worker.role !== role || worker.state === "retiring" || moved.has(worker.worker)) continue;
    if (worker.since_ms >= since_ms) count++;
  }
  return count;
}

/**
 * With starts that are cancelled now taken from the changes that asked for them, the last first.
 */
export function withCancels(
  pending: readonly PendingChange[],
  actions: readonly PlanAction[],
): readonly PendingChange[] {
  let changes = pending;
  for (const action of actions) {
    if (action.kind !== "cancel") continue;
    let left = action.workers.length;
    changes = changes
      .toReversed()
      .map((each) => {
        if (each.action.kind !== "add" || each.action.role !== action.role) return each;
        const { cancelled = 0 } = each;
        const taken = Math.min(left, each.action.count - cancelled);
        left -= taken;
        return taken > 0 ? { ...each, cancelled: cancelled + taken } : each;
      })
      .toReversed();
  }
  return changes;
}

/** The changes that are still under way, by what the snapshot shows. */
export function stillPending(
  snapshot: PlanSnapshot,
  pending: readonly PendingChange[],
  give_up_ms: number,
): readonly PendingChange[] {
  if (pending.length === 0) return pending;
  const states = new Map(snapshot.workers.map((worker) => [worker.worker, worker]));
  return pending.filter(({ action, asked_ms, cancelled = 0 }) => {
    if (snapshot.at_ms - asked_ms > give_up_ms) return false;
    switch (action.kind) {
      case "add":
        return servingSince(snapshot, action.role, asked_ms) < action.count - cancelled;
      case "change_role":
        return (
          action.workers.some((name) => states.get(name)?.role === action.from) ||
          arrived(snapshot, action, asked_ms) < action.workers.length
        );
      default:
        return action.workers.some((name) => states.has(name));
    }
  });
}

/** By their names, or by their number where somebody else gives them others. */
function arrived(
  snapshot: PlanSnapshot,
  { workers, to }: Extract<PlanAction, { readonly kind: "change_role" }>,
  asked_ms: number,
): number {
  const named = snapshot.workers.filter(
    ({ worker, role, state }) => role === to && state === "serving" && workers.includes(worker),
  );
  return Math.max(named.length, servingSince(snapshot, to, asked_ms));
}

function servingSince(snapshot: PlanSnapshot, role: PlanRole, since_ms: number): number {
  let count = 0;
  for (const worker of snapshot.workers) {
    if (worker.role !== role || worker.state !== "serving") continue;
    if (worker.since_ms >= since_ms) count++;
  }
  return count;
}
