/**
 * Where one role shrinks while the other grows, workers change their role in place of one process
 * that ends and another that starts, if that is faster: a worker without requests can do it at
 * once, another one has to drain first. Where the budget has no room for a worker beside the one
 * that goes, a start would have to wait for the same drain.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanAction } from "../pipeline/decision.ts";
import type { HeadCount } from "../pipeline/head-count.ts";
import { gpusOf } from "../pipeline/roles.ts";
import { type PlanRole, requestsAt } from "../pipeline/snapshot.ts";

export type Moves = {
  readonly actions: readonly PlanAction[];
  /** What is still to be added and to be retired. */
  readonly lacks: ReadonlyMap<PlanRole, number>;
  readonly leavers: ReadonlyMap<PlanRole, readonly string[]>;
};

type Counts = ReadonlyMap<PlanRole, HeadCount>;

/** @param startup_ms undefined: nobody knows how long a start takes */
export function roleChanges(
  lacks: ReadonlyMap<PlanRole, number>,
  leavers: ReadonlyMap<PlanRole, readonly string[]>,
  counts: Counts,
  config: PlannerConfig,
  startup_ms: number | undefined,
): Moves {
  if (!changeable(config)) return { actions: [], lacks, leavers };
  const actions: PlanAction[] = [];
  const [lacks_left, leavers_left] = [new Map(lacks), new Map(leavers)];
  const pairs = [
    ["prefill", "decode"],
    ["decode", "prefill"],
  ] as const;
  for (const [from, to] of pairs) {
    const lack = lacks.get(to) ?? 0;
    const is_tight = roomLeft(config, counts) < lack;
    const able = (leavers.get(from) ?? []).filter((name) =>
      changesFaster(name, counts.get(from), config, startup_ms, is_tight),
    );
    const workers = able.slice(0, lack);
    if (workers.length === 0) continue;
    actions.push({ kind: "change_role", from, to, workers });
    lacks_left.set(to, lack - workers.length);
    const rest = (leavers.get(from) ?? []).filter((name) => !workers.includes(name));
    leavers_left.set(from, rest);
  }
  return { actions, lacks: lacks_left, leavers: leavers_left };
}

/** Somebody else's launchers know numbers alone, and a worker keeps the GPUs that it has. */
function changeable(config: PlannerConfig): boolean {
  const { role_changes, mode, environment } = config;
  const same_size = gpusOf(config, "prefill") === gpusOf(config, "decode");
  return role_changes && mode === "disagg" && environment === "local" && same_size;
}

/** Workers that the budget allows beside those that are there, also those on their way out. */
function roomLeft(config: PlannerConfig, counts: Counts): number {
  if (config.max_gpu_budget < 0) return Number.POSITIVE_INFINITY;
  let gpus = 0;
  for (const [role, { expected, leaving }] of counts) {
    gpus += (expected + leaving) * gpusOf(config, role);
  }
  return Math.floor((config.max_gpu_budget - gpus) / gpusOf(config, "decode"));
}

function changesFaster(
  name: string,
  count: HeadCount | undefined,
  { drain_seconds }: PlannerConfig,
  startup_ms: number | undefined,
  is_tight: boolean,
): boolean {
  const worker = count?.serving.find((each) => each.worker === name);
  if (worker === undefined) return false;
  const idle = worker.reports && requestsAt(worker) === 0;
  return idle || is_tight || (startup_ms !== undefined && 1_000 * drain_seconds < startup_ms);
}
