/** The states of a cell, as bits: an actor may take a turn for messages when its gate is 0. */

import type { ExitReason } from "./exit-reason.ts";

/** In the scheduler's queue, or taking its turn. */
export const SCHEDULED = 1;
/** A handler's promise is pending. */
export const WAITING = 2;
export const SUSPENDED = 4;
/** `init` is not done; stays set when the actor ends before it is. */
export const STARTING = 8;
// From STOPPING on the actor takes no more messages. Larger bits come later in its life.
export const STOPPING = 16;
export const TERMINATING = 32;
export const STOPPED = 64;
/** `init` threw: there is nothing to terminate. */
export const INIT_FAILED = 128;

export type CellState = "starting" | "running" | "waiting" | "suspended" | "stopping" | "stopped";

/** The gate as one word, for people. */
export function stateOf(gate: number): CellState {
  if (gate & STOPPED) return "stopped";
  if (gate >= STOPPING) return "stopping";
  if (gate & STARTING) return "starting";
  if (gate & SUSPENDED) return "suspended";
  return gate & WAITING ? "waiting" : "running";
}

/** A supervisor's knowledge of the lives before this one. */
export type Earlier = { readonly restarts: number; readonly last_crash: ExitReason | undefined };

export const firstLife: Earlier = { restarts: 0, last_crash: undefined };
