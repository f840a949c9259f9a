/**
 * What waits and what will before more workers serve, as time of one worker, and how many workers
 * make it go once they do.
 */
import type { PlanRole, PlanSnapshot } from "../pipeline/snapshot.ts";
import type { Work } from "./work.ts";

export type Backlog = {
  /** Time of one worker, beyond what is always under way. */
  readonly work_ms: number;
  /** That do what comes and what waits; 0: those that serve will be through with it. */
  readonly workers: number;
};

/** Of an interval of all workers: less than this is no backlog. */
const NORMAL_SHARE = 0.2;

/** @param comes_per_s requests, on average until more workers serve; `work` has those after that */
export function backlogOf(
  snapshot: PlanSnapshot,
  role: PlanRole,
  work: Work | undefined,
  comes_per_s: number,
  startup_ms: number,
): Backlog {
  const own = snapshot.workers.filter((each) => each.role === role && each.state !== "retiring");
  const serving = own.filter(({ state }) => state === "serving").length;
  if (work === undefined) return { work_ms: waitingOf(snapshot, role), workers: 0 };
  const each_ms = work.prefill + work.decode;
  const work_ms = waitingMs(snapshot, role, work, serving);
  // What comes until more serve, less what those that serve can do until then.
  const starting = own.filter(({ state }) => state === "starting");
  const oldest_ms = starting.reduce(
    (least, { since_ms }) => Math.min(least, since_ms),
    snapshot.at_ms,
  );
  const left_ms = Math.max(0, startup_ms - (snapshot.at_ms - oldest_ms));
  const offered = (work.requests_per_s * each_ms) / 1_000;
  const comes = (comes_per_s * each_ms) / 1_000;
  const grows = serving > 0 ? (comes - serving) * left_ms : 0;
  const all_ms = Math.max(0, work_ms + grows);
  const workers = all_ms > 0 ? Math.ceil(offered + all_ms / snapshot.interval_ms) : 0;
  return { work_ms: Math.max(work_ms, all_ms), workers };
}

/** Whether more waits than chance makes. */
export function isBehind(
  snapshot: PlanSnapshot,
  role: PlanRole,
  work: Work,
  serving: number,
): boolean {
  return waitingMs(snapshot, role, work, serving) > 0;
}

/** Requests in routers, and in workers of the role, that no pass has begun. */
function waitingOf({ traffic, workers }: PlanSnapshot, role: PlanRole): number {
  let count = traffic?.queued ?? 0;
  for (const each of workers) {
    if (each.role === role && each.state !== "retiring") count += each.waiting;
  }
  return count;
}

/** Their work, beyond what is always under way. */
function waitingMs(snapshot: PlanSnapshot, role: PlanRole, work: Work, serving: number): number {
  const normal_ms = NORMAL_SHARE * snapshot.interval_ms * Math.max(1, serving);
  return Math.max(0, waitingOf(snapshot, role) * (work.prefill + work.decode) - normal_ms);
}
