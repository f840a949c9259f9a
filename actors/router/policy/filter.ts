/**
 * The filter engine of all modes: which workers may get a request, and what its client is told when
 * none may. The filters themselves stand in filters.ts.
 */
import type { Constraints } from "./constraints.ts";

/** What every mode knows of a worker. */
export type WorkerView = {
  /** Name and incarnation: a worker that came back after a crash has another key. */
  readonly key: string;
  /** As users write it in pins and allow-lists. */
  readonly worker: string;
  /** What a request may require or prefer: its labels, and its taints too. */
  readonly labels: readonly string[];
  /** What a request must tolerate to get it. */
  readonly taints: readonly string[];
  /** Its engine failed lately: until then others are asked first; 0 = it did not. */
  readonly avoid_until_ms: number;
  /** Its last report; `waiting` are the requests in its engine's queue. */
  readonly reported: { readonly waiting: number } | undefined;
};

/** What holds of all workers together. */
export type PoolView = {
  /** A taint that not every request tolerates is on some worker. */
  readonly tainted: string | undefined;
  /** Until then the engine's failures of some worker count; 0 = no worker has failed. */
  readonly avoid_until_ms: number;
};

/** What every filter may ask beside the worker. */
export type Question = {
  readonly request: Constraints;
  /** Undefined: nothing is known of all workers together. */
  readonly pool?: PoolView | undefined;
  readonly now_ms: number;
};

export type RefusalCode = "no_worker" | "pinned_missing" | "overloaded" | "pinned_overloaded";

/** `W`, `Q`: what it reads of a worker, and beside it. */
export type Filter<W, Q extends { readonly request: unknown }> = {
  /** The kind of refusal when this filter takes the last worker away. */
  readonly code: RefusalCode;
  /** What the client is told then. */
  readonly message: string;
  /** A preference: it does not count where it would leave no worker. */
  readonly soft?: true;
  /** False: it admits every worker for this request, and need not be asked. */
  readonly concerns: (request: Q["request"]) => boolean;
  /** True: it admits every worker of the pool, and need not be asked for each. */
  readonly admitsAll?: (question: Q) => boolean;
  readonly admits: (worker: W, question: Q) => boolean;
};

/** What the filters are asked about. */
export type FilterInput<W> = { readonly request: unknown; readonly workers: readonly W[] };

/**
 * Moves the positions of those workers that all filters admit to the front of `positions`, in
 * order. It is as long as there are workers, at least.
 * @returns how many they are, or the filter that left none; 0 when there are no workers
 */
export function admit<W, Q extends FilterInput<W>>(
  filters: readonly Filter<W, Q>[],
  question: Q,
  positions: Int32Array,
): number | Filter<W, Q> {
  let count = question.workers.length;
  for (let at = 0; at < count; at++) positions[at] = at;
  if (count === 0) return 0;
  for (const filter of filters) {
    if (!filter.concerns(question.request) || filter.admitsAll?.(question) === true) continue;
    const kept = keep(filter, question, positions, count);
    // Kept positions move to the front. When none is kept, all are where they were.
    if (kept > 0) count = kept;
    else if (!filter.soft) return filter;
  }
  return count;
}

function keep<W, Q extends FilterInput<W>>(
  filter: Filter<W, Q>,
  question: Q,
  positions: Int32Array,
  count: number,
): number {
  const { workers } = question;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const at = positions[i]!;
    if (filter.admits(workers[at]!, question)) positions[kept++] = at;
  }
  return kept;
}

/** Those that have to be asked for this request. */
export function concerning<W, Q extends { readonly request: unknown }>(
  filters: readonly Filter<W, Q>[],
  request: Q["request"],
): readonly Filter<W, Q>[] {
  return filters.filter((filter) => filter.concerns(request));
}

/** Whether one worker passes all of these filters, which concern the request. */
export function passes<W, Q extends { readonly request: unknown }>(
  filters: readonly Filter<W, Q>[],
  worker: W,
  question: Q,
): boolean {
  for (let i = 0; i < filters.length; i++) {
    if (!filters[i]!.admits(worker, question)) return false;
  }
  return true;
}
