/**
 * Who carries out what a planner decides. A change has a name that is never used for another one:
 * asked again, after a crash of either side, it is joined and not done twice.
 */
import type { PlanRole, WorkerState } from "../pipeline/snapshot.ts";

/** Workers of one role, as many as `--max-workers` goes to: who tells of more is not believed. */
export const WORKERS_MOST = 4_096;

export type PoolView = {
  readonly workers: readonly {
    readonly worker: string;
    readonly machine: string;
    readonly role: PlanRole;
    readonly state: WorkerState;
  }[];
};

export type Change = {
  readonly change: string;
  /** Of who decides: a planner that was replaced is refused. */
  readonly epoch: number;
  readonly model: string;
  /** When it was asked first, on the wall clock; absent: now. */
  readonly asked_ms?: number;
};

export type Added = { readonly kind: "added"; readonly workers: readonly string[] };
export type Gone = {
  readonly kind: "gone";
  readonly workers: readonly string[];
  /** Answers that went on elsewhere at the end of the drain; undefined: nobody counts them. */
  readonly unfinished?: number;
};
/** `failed`: in part; `workers` are done. `refused`: nothing was begun. */
export type ChangeFailure = {
  readonly kind: "failed" | "refused";
  readonly workers: readonly string[];
  readonly why: string;
};

export interface Connector {
  /**
   * From here on changes of lower epochs are refused, those on their way too. Rejects when that
   * cannot be said to everybody. Absent: the first change says it.
   */
  lead?(model: string, epoch: number): Promise<void>;
  /** Undefined: nobody could be asked; that is not an empty pool. */
  view(model: string): Promise<PoolView | undefined>;
  /** Resolves when each serves or was given up. */
  add(change: Change, role: PlanRole, count: number): Promise<Added | ChangeFailure>;
  /** Drains them first. Also those that are still starting, which are ended at once. */
  retire(change: Change, workers: readonly string[]): Promise<Gone | ChangeFailure>;
  /** Drains them into another role. */
  changeRole(
    change: Change,
    workers: readonly string[],
    to: PlanRole,
  ): Promise<Added | ChangeFailure>;
}
