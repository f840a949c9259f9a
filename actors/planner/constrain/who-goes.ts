/**
 * Which workers go when there are to be fewer: those that do not serve yet, then those whose cache
 * is worth least. What a cache is worth is the prompt tokens that it saved lately.
 */
import { type PlanSnapshot, requestsAt, type WorkerView } from "../pipeline/snapshot.ts";

/** By worker: prompt tokens saved, each counting less as time passes. */
export type Worth = Readonly<Record<string, number>>;

const HALF_LIFE_MS = 120_000;

/** Of the workers that there are now; the others are forgotten. */
export function worthAfter(worth: Worth, snapshot: PlanSnapshot): Worth {
  const kept = 0.5 ** (Math.max(0, snapshot.interval_ms) / HALF_LIFE_MS);
  const next: Record<string, number> = {};
  for (const { worker, state, reports, cached_tokens } of snapshot.workers) {
    if (state === "starting") continue;
    const before = kept * (worth[worker] ?? 0);
    next[worker] = Math.round(before + (reports ? Math.max(0, cached_tokens) : 0));
  }
  return next;
}

export type Leavers = {
  readonly cancel: readonly string[];
  readonly retire: readonly string[];
};

export function whoGoes(
  count: number,
  starting: readonly WorkerView[],
  serving: readonly WorkerView[],
  worth: Worth,
): Leavers {
  // The youngest start has cost least.
  const starts = [...starting].sort((a, b) => b.since_ms - a.since_ms || byName(a, b));
  const cancel = starts.slice(0, Math.max(0, count)).map(({ worker }) => worker);
  return { cancel, retire: leastWorth(count - cancel.length, serving, worth) };
}

/** Names, least worth first. One that gives no figures is thought to be worth nothing. */
export function leastWorth(
  count: number,
  serving: readonly WorkerView[],
  worth: Worth,
): readonly string[] {
  if (count <= 0) return [];
  return [...serving]
    .sort(
      (a, b) =>
        Number(a.reports) - Number(b.reports) ||
        (worth[a.worker] ?? 0) - (worth[b.worker] ?? 0) ||
        requestsAt(a) - requestsAt(b) ||
        byName(a, b),
    )
    .slice(0, count)
    .map(({ worker }) => worker);
}

function byName(a: WorkerView, b: WorkerView): number {
  return a.worker < b.worker ? -1 : 1;
}
