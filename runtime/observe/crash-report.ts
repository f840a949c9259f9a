/** A failure as a record, in the shape of OTP's supervisor reports. */

import type { ExitReason } from "../kernel/exit-reason.ts";

export type CrashContext =
  /** A child did not start. */
  | "start_error"
  /** A running child ended when it should not have. */
  | "child_terminated"
  /** A child did not stop as told: it crashed or had to be killed. */
  | "shutdown_error"
  /** The supervisor gives up. */
  | "shutdown";

export type CrashReport = {
  /** Path of the parent. */
  readonly supervisor: string;
  readonly context: CrashContext;
  readonly reason: ExitReason;
  readonly offender: {
    readonly id: string;
    readonly path: string;
    readonly role?: string;
    readonly restart?: string;
    readonly restarts: number;
  };
  readonly wall_ms: number;
};

const KEPT = 256;

export class CrashReports {
  readonly #kept: CrashReport[] = [];
  readonly #listeners = new Set<(report: CrashReport) => void>();

  add(report: CrashReport): void {
    this.#kept.push(report);
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const listener of this.#listeners) listener(report);
  }

  all(): readonly CrashReport[] {
    return [...this.#kept];
  }

  /** Returns a function that removes the listener. */
  listen(listener: (report: CrashReport) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
