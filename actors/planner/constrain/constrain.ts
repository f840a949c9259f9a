/**
 * From what is wanted to what is done. In this order: none at all when nobody asks for anything,
 * least and most numbers, the largest step, fewer only after a while, the GPU budget; then who
 * goes, who changes its role, and how many are added.
 */

import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanAction } from "../pipeline/decision.ts";
import { type HeadCount, headCount } from "../pipeline/head-count.ts";
import type { FailedStarts, PendingChange } from "../pipeline/planner-state.ts";
import { rolesOf } from "../pipeline/roles.ts";
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import type { Constrained, RoleTarget } from "../pipeline/stages.ts";
import { bounded } from "./bounds.ts";
import { budgeted } from "./budgeted.ts";
import { steady, type Wishes, withWish } from "./hysteresis.ts";
import { type Idleness, idlenessAfter, whenEmpty } from "./idleness.ts";
import { roleChanges } from "./role-changes.ts";
import { type Worth, whoGoes, worthAfter } from "./who-goes.ts";

export type ConstrainMemory = {
  readonly wishes: Readonly<Partial<Record<PlanRole, Wishes>>>;
  readonly worth: Worth;
  readonly idle: Idleness;
};

export const constrainStart: ConstrainMemory = { wishes: {}, worth: {}, idle: {} };

export type ConstrainInput = {
  readonly config: PlannerConfig;
  readonly snapshot: PlanSnapshot;
  readonly memory: ConstrainMemory;
  /** One a role. */
  readonly roles: readonly RoleTarget[];
  readonly pending: readonly PendingChange[];
  readonly failed_starts: Readonly<Partial<Record<PlanRole, FailedStarts>>>;
  readonly startup_ms: number | undefined;
};

export type ConstrainResult = Constrained & {
  readonly memory: ConstrainMemory;
  /** Roles with workers that did not serve in time and are given up now. */
  readonly gave_up: readonly PlanRole[];
};

export function constrained(input: ConstrainInput): ConstrainResult {
  const { config, snapshot, memory, pending } = input;
  const idle = idlenessAfter(memory.idle, snapshot, config);
  const worth = worthAfter(memory.worth, snapshot);
  const late = lateStarters(input);
  const counts = new Map<PlanRole, HeadCount>();
  for (const role of rolesOf(config)) counts.set(role, headCount(snapshot, pending, role));
  const wishes: Partial<Record<PlanRole, Wishes>> = {};
  const limited = input.roles.map((wanted) => {
    const { role } = wanted;
    const present = counts.get(role)?.expected ?? 0;
    const { target, empty } = whenEmpty(wanted, idle, snapshot, present, config);
    const within = bounded(target, config, present, empty);
    const window_ms = 1_000 * config.scale_down_after_seconds;
    const lasting = Math.max(0, within.wanted - (within.passing ?? 0));
    wishes[role] = withWish(memory.wishes[role], lasting, snapshot.at_ms, window_ms);
    return empty ? within : slow(within, wishes[role], present, snapshot.at_ms, window_ms);
  });
  const roles = budgeted(limited, config).map((target) => heldBack(target, input, counts));
  const plan = planned(roles, counts, late, input, worth);
  const targets = Object.fromEntries(roles.map(({ role, wanted }) => [role, wanted]));
  return {
    ...{ targets, roles, actions: plan },
    memory: { wishes, worth, idle },
    gave_up: [...late.keys()],
  };
}

function slow(
  target: RoleTarget,
  wishes: Wishes,
  present: number,
  at_ms: number,
  window_ms: number,
): RoleTarget {
  const lasting = steady(wishes, present, at_ms, window_ms);
  const wanted = Math.max(lasting, target.wanted);
  if (wanted === target.wanted) return target;
  const seconds = `${window_ms / 1_000} s`;
  if (wanted === present) {
    const why = `${target.why} ${present} stay until fewer were wanted for ${seconds}.`;
    return { ...target, wanted, reason: "hysteresis", why };
  }
  const why = `${target.why} It goes to ${wanted}, the most that was wanted in ${seconds}.`;
  return { ...target, wanted, reason: "scale_down", why };
}

/** By role: workers that have been starting for too long. */
function lateStarters({ config, snapshot, pending }: ConstrainInput): Map<PlanRole, string[]> {
  const late = new Map<PlanRole, string[]>();
  for (const role of rolesOf(config)) {
    const names = headCount(snapshot, pending, role)
      .starting.filter(
        ({ since_ms }) => snapshot.at_ms - since_ms > 1_000 * config.start_timeout_seconds,
      )
      .map(({ worker }) => worker);
    if (names.length > 0) late.set(role, names);
  }
  return late;
}

/** After a failed start none is added for a while; fewer, and other roles, are not held up. */
function heldBack(
  target: RoleTarget,
  { failed_starts, snapshot }: ConstrainInput,
  counts: ReadonlyMap<PlanRole, HeadCount>,
): RoleTarget {
  const failed = failed_starts[target.role];
  const present = counts.get(target.role)?.expected ?? 0;
  if (failed === undefined || snapshot.at_ms >= failed.until_ms) return target;
  if (target.wanted <= present) return target;
  const seconds = Math.ceil((failed.until_ms - snapshot.at_ms) / 1_000);
  const why =
    `${target.why} But the last ${failed.count === 1 ? "start" : `${failed.count} starts`} ` +
    `failed (${failed.why}): the next try is in ${seconds} s.`;
  return { ...target, wanted: present, reason: "cannot_start", why };
}

function planned(
  roles: readonly RoleTarget[],
  counts: ReadonlyMap<PlanRole, HeadCount>,
  late: ReadonlyMap<PlanRole, readonly string[]>,
  input: ConstrainInput,
  worth: Worth,
): readonly PlanAction[] {
  const cancels: PlanAction[] = [];
  const lacks = new Map<PlanRole, number>();
  const leavers = new Map<PlanRole, readonly string[]>();
  for (const { role, wanted } of roles) {
    const count = counts.get(role);
    if (count === undefined) continue;
    const lost = late.get(role) ?? [];
    const starting = count.starting.filter(({ worker }) => !lost.includes(worker));
    // Those that are given up are not replaced before the next tick has seen what is left.
    const surplus = count.expected - lost.length - wanted;
    const goes = whoGoes(surplus, starting, count.serving, worth);
    const cancel = [...lost, ...goes.cancel];
    if (cancel.length > 0) cancels.push({ kind: "cancel", role, workers: cancel });
    leavers.set(role, goes.retire);
    lacks.set(role, lost.length > 0 ? 0 : Math.max(0, -surplus));
  }
  const moves = roleChanges(lacks, leavers, counts, input.config, input.startup_ms);
  const retires: PlanAction[] = [];
  for (const [role, workers] of moves.leavers) {
    if (workers.length > 0) retires.push({ kind: "retire", role, workers });
  }
  const adds: PlanAction[] = [];
  for (const [role, count] of moves.lacks) if (count > 0) adds.push({ kind: "add", role, count });
  return [...cancels, ...moves.actions, ...adds, ...retires];
}
