/**
 * The workers of a replay that come and go: what each is doing, since when, and how long it has
 * cost. A worker is paid for from the moment it is asked for until it is gone.
 *
 *   begin ──▶ starting ──▶ serving ──▶ retiring ──▶ gone
 *                └──────────── given up ─────────────▲
 */
import type { PlanRole, WorkerState } from "../../../../actors/planner/pipeline/snapshot.ts";

export type WorkerLife = {
  readonly number: number;
  readonly role: PlanRole;
  state: WorkerState | "gone";
  /** When it came into this state, in ms of virtual time. */
  since_ms: number;
  /** It is paid for from then on; NaN while it waits for the worker that it follows. */
  begun_ms: number;
  /** When it came to serve; NaN: it has not. */
  served_ms: number;
  /** NaN until it is gone. */
  gone_ms: number;
};

/** Workers of one role at one moment. */
export type RoleCount = Readonly<Record<WorkerState, number>>;

export const workerName = (number: number): string => `worker-${String(number).padStart(5, "0")}`;

export function workerNumber(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1));
}

export class Fleet {
  readonly lives: WorkerLife[] = [];
  /** How many were started, beside those that were there from the beginning. */
  started = 0;

  /** @param paid false: it waits for another worker, and is not paid for before that one is gone */
  add(role: PlanRole, state: "starting" | "serving", now_ms: number, paid = true): WorkerLife {
    const life: WorkerLife = {
      number: this.lives.length,
      role,
      state,
      since_ms: now_ms,
      begun_ms: paid ? now_ms : Number.NaN,
      served_ms: state === "serving" ? now_ms : Number.NaN,
      gone_ms: Number.NaN,
    };
    this.lives.push(life);
    if (state === "starting" && paid) this.started++;
    return life;
  }

  set(life: WorkerLife, state: WorkerLife["state"], now_ms: number): void {
    life.state = state;
    life.since_ms = now_ms;
    if (state === "serving") life.served_ms = now_ms;
    if (state === "gone") life.gone_ms = now_ms;
  }

  present(): readonly WorkerLife[] {
    return this.lives.filter(({ state }) => state !== "gone");
  }

  /** By role; a role without workers is left out. */
  counts(): Readonly<Partial<Record<PlanRole, RoleCount>>> {
    const counts: Partial<Record<PlanRole, Record<WorkerState, number>>> = {};
    for (const { role, state } of this.lives) {
      if (state === "gone") continue;
      counts[role] ??= { starting: 0, serving: 0, retiring: 0 };
      counts[role][state]++;
    }
    return counts;
  }
}

/** Of all workers between two moments, in hours. */
export function workerHours(
  lives: readonly WorkerLife[],
  start_ms: number,
  end_ms: number,
): number {
  let sum_ms = 0;
  for (const { begun_ms, gone_ms } of lives) {
    if (Number.isNaN(begun_ms)) continue;
    const until_ms = Number.isNaN(gone_ms) ? end_ms : Math.min(end_ms, gone_ms);
    sum_ms += Math.max(0, until_ms - Math.max(start_ms, begun_ms));
  }
  return sum_ms / 3_600_000;
}
