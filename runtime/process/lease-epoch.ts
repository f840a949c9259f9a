/**
 * Numbers for the lives of a node that its supervisor starts again and again: whoever knows a
 * higher one refuses the lower (`superseded`), so a life that was taken for dead and wakes up
 * finds nobody who listens.
 */
import type { ActorSystem } from "../kernel/system.ts";

/** Environment: the epoch of this process. */
export const EPOCH_VARIABLE = "TROUPE_EPOCH";

const last = new WeakMap<ActorSystem, number>();

/** Rises in one process whatever the clock does; from seconds, so also after a restart of it. */
export function nextEpoch(system: ActorSystem): number {
  const now_s = Math.floor(system.capabilities.clock.wall_ms() / 1_000);
  const epoch = Math.max(now_s, (last.get(system) ?? 0) + 1);
  last.set(system, epoch);
  return epoch;
}

/** 0 where nobody gave one. */
export function epochOf(env: Readonly<Record<string, string | undefined>>): number {
  const epoch = Number(env[EPOCH_VARIABLE] ?? 0);
  return Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 0;
}
