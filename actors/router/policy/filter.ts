/**
 * The filter engine of all modes: it selects the workers that may get a request, and the message to
 * the client if none may. The filters themselves are in filters.ts.
 */
import type { Constraints } from "./constraints.ts";

/** A worker as every mode sees it. */
export type WorkerView = {
  /** Name and incarnation: a worker that came back after a crash has another key. */
  readonly key: string;
  /** Key of the process that the worker lives in. */
  readonly process: string;
  /** The worker's name, as users write it in pins and allow-lists. */
  readonly worker: string;
  /** Labels and taints that a request may require or prefer. */
  readonly labels: readonly string[];
  /** Taints that a request must tolerate to get this worker. */
  readonly taints: readonly string[];
  /** Names of the LoRA adapters that it has; the same array for its whole life, as they change. */
  readonly adapters: readonly string[];
  /** The worker's engine failed lately: it is avoided until this time; 0: it did not fail. */
  readonly avoid_until_ms: number;
  /** The worker's last report; `waiting`: requests in its engine's queue. */
  readonly reported: { readonly waiting: number } | undefined;
};

/** Facts that hold for all workers together. */
export type PoolView = {
  /** A taint that not every request tolerates is on some worker. */
  readonly tainted: string | undefined;
  /** Until this time some worker is avoided; 0: no worker has failed. */
  readonly avoid_until_ms: number;
};

/** Inputs of every filter beside the worker. */
export type Question = {
  readonly request: Constraints;
  /** Undefined: no facts are known for all workers. */
  readonly pool?: PoolView | undefined;
  readonly now_ms: number;
};

export type RefusalCode = "no_worker" | "pinned_missing" | "overloaded" | "pinned_overloaded";

/** `W`: the worker as the filter reads it; `Q`: its other inputs. */
export type Filter<W, Q extends { readonly request: unknown }> = {
  /** What a worker that it leaves out is, for people. */
  readonly word?: string;
  /** The kind of refusal when this filter takes the last worker away. */
  readonly code: RefusalCode;
  /** The message to the client then. */
  readonly message: string;
  /** True: a preference, which is ignored where it would leave no worker. */
  readonly soft?: true;
  /** False: the filter admits every worker for this request and is not called. */
  readonly concerns: (request: Q["request"]) => boolean;
  /** True: the filter admits every worker of the pool and is not called for each. */
  readonly admitsAll?: (question: Q) => boolean;
  readonly admits: (worker: W, question: Q) => boolean;
};

/** Inputs of `admit`. */
export type FilterInput<W> = { readonly request: unknown; readonly workers: readonly W[] };

/**
 * Moves the positions of the workers that all filters admit to the front of `positions`, in order.
 * `positions` has a place for each worker.
 * @returns the number of these workers, or the filter that left none; 0 when there are no workers
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

/** The filters that have to be called for this request. */
export function concerning<W, Q extends { readonly request: unknown }>(
  filters: readonly Filter<W, Q>[],
  request: Q["request"],
): readonly Filter<W, Q>[] {
  return filters.filter((filter) => filter.concerns(request));
}

/** True: the worker passes all of these filters, which concern the request. */
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
