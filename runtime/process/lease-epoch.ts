/**
 * Epochs: numbers for the lives of a node that its supervisor restarts. A node that knows a higher
 * epoch refuses a lower one (`superseded`), so a life that was taken for dead and wakes up is
 * refused everywhere.
 */
import type { ActorSystem } from "../kernel/system.ts";

/** Environment: the epoch of this process. */
export const EPOCH_VARIABLE = "TROUPE_EPOCH";

const last = new WeakMap<ActorSystem, number>();

/** Always rises in one process. It begins from seconds, so it rises after a restart too. */
export function nextEpoch(system: ActorSystem): number {
  const now_s = Math.floor(system.capabilities.clock.wall_ms() / 1_000);
  const epoch = Math.max(now_s, (last.get(system) ?? 0) + 1);
  last.set(system, epoch);
  return epoch;
}

/** 0: none was given. */
export function epochOf(env: Readonly<Record<string, string | undefined>>): number {
  const epoch = Number(env[EPOCH_VARIABLE] ?? 0);
  return Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 0;
}
