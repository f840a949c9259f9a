/** A route decision as a table: every worker, what it would have cost, and of what that is made. */
import type { Route, RouteWorker } from "./request-row.ts";

export type RouteTable = {
  /** Names of the parts of a cost that any worker has. */
  readonly parts: readonly string[];
  /** The chosen one first, then by cost; those that were left out at the end. */
  readonly workers: readonly RouteWorker[];
  readonly highest_cost: number;
};

export function routeTable({ workers, chosen }: Route): RouteTable {
  const parts = [...new Set(workers.flatMap((each) => Object.keys(each.parts ?? {})))];
  const rank = (each: RouteWorker) =>
    each.worker === chosen ? 0 : each.left_out === undefined ? 1 : 2;
  const cost = (each: RouteWorker) => each.cost ?? Number.POSITIVE_INFINITY;
  const ordered = workers.toSorted((a, b) => {
    const by_rank = rank(a) - rank(b);
    if (by_rank !== 0) return by_rank;
    // Two that have none differ by nothing; infinity less infinity is no number.
    const by_cost = cost(a) === cost(b) ? 0 : cost(a) - cost(b);
    return by_cost || (a.worker < b.worker ? -1 : 1);
  });
  const costs = workers.flatMap((each) => (each.cost === null ? [] : [Math.abs(each.cost)]));
  return { parts, workers: ordered, highest_cost: Math.max(0, ...costs) };
}
