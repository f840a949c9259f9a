/** How long a worker takes to start, learned from those that were seen to start. */
import type { PlannerConfig } from "./config.ts";
import { changingNames } from "./head-count.ts";
import type { PlannerState } from "./planner-state.ts";
import type { PlanSnapshot } from "./snapshot.ts";

type Seen = Pick<PlannerState, "starting" | "startup_ms" | "failed_starts">;

/** What the next start adds to what is known. */
const WEIGHT = 0.3;

/** A role of which a worker came to serve has no failed starts any more. */
export function startsSeen(
  state: PlannerState,
  snapshot: PlanSnapshot,
  config: PlannerConfig,
): Seen {
  const starting: Record<string, number> = {};
  const failed_starts = { ...state.failed_starts };
  let learned_ms = state.startup_ms;
  // A worker that changes its role comes and goes as well, and that is no start.
  const changing = changingNames(state.pending);
  for (const worker of snapshot.workers) {
    if (changing.has(worker.worker)) continue;
    if (worker.state === "starting") starting[worker.worker] = worker.since_ms;
    const since_ms = state.starting[worker.worker];
    if (since_ms === undefined || worker.state !== "serving") continue;
    delete failed_starts[worker.role];
    const took_ms = Math.max(0, worker.since_ms - since_ms);
    learned_ms = learned_ms === undefined ? took_ms : learned_ms + WEIGHT * (took_ms - learned_ms);
  }
  const given_ms = 1_000 * config.startup_seconds;
  const startup_ms = given_ms > 0 ? given_ms : learned_ms;
  return { starting, startup_ms, failed_starts };
}
