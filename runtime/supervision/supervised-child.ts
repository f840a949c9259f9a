/** A child as its supervisor keeps it: its specification and its state. */

import type { Timer } from "../capabilities.ts";
import type { Cell } from "../kernel/cell.ts";
import { describeExit, type ExitReason } from "../kernel/exit-reason.ts";
import type { Message } from "../kernel/message.ts";
import type { Ref, ReplyPort } from "../kernel/ref.ts";
import type { CrashLoop, FullChildSpec } from "./child-spec.ts";
import type { PolicyChild } from "./restart-policy.ts";

export type ChildInfo = {
  readonly id: string;
  readonly status: ChildStatus;
  readonly ref: Ref<Message> | undefined;
  readonly restarts: number;
};

/** backing_off: ended, and to be started again. stopped: ended, and not to be. */
type ChildStatus = "starting" | "running" | "stopping" | "backing_off" | "stopped";

export type Child = {
  readonly spec: FullChildSpec;
  status: ChildStatus;
  cell: Cell | undefined;
  restarts: number;
  last_crash: ExitReason | undefined;
  /** Restarts in a row; see `Backoff`. */
  streak: number;
  /** How many of these were at the pace of the crash loop; 0: the child is in none. */
  loops: number;
  started_at_ms: number;
  /** Runs at the end of a back-off, or when a child that looped has lived for long enough. */
  timer: Timer | undefined;
  /** The child never ran: if its start fails, the ask is refused and it is not tried again. */
  fresh: boolean;
  /** Asks that wait until the child runs. */
  starting: readonly ReplyPort[];
  /** Asks that wait until the child has ended. */
  ending: readonly ReplyPort[];
  /** The child is started again after the stop that is under way. */
  again: boolean;
  /** The group restart that leaves this child out, as it was terminated on request meanwhile. */
  not_in: object | undefined;
};

/** One empty list for all children without waiting asks; there may be very many. */
export const nobody: readonly ReplyPort[] = [];

/** Not started yet. */
export function newChild(spec: FullChildSpec): Child {
  return {
    spec,
    status: "stopped",
    cell: undefined,
    restarts: 0,
    last_crash: undefined,
    streak: 0,
    loops: 0,
    started_at_ms: 0,
    timer: undefined,
    fresh: true,
    starting: nobody,
    ending: nobody,
    again: false,
    not_in: undefined,
  };
}

/** Counts one more restart at the pace of the crash loop. */
export function enterLoop(
  child: Child,
  crash_loop: CrashLoop | undefined,
  reason: ExitReason,
): void {
  child.loops++;
  if (child.loops === 1) crash_loop?.changed?.({ id: child.spec.id, loops: true, reason });
}

/** Of the first child that waits for its next start: a branch without it says why. */
export function whyAway(children: Iterable<Child>): string | undefined {
  for (const { status, last_crash, spec } of children) {
    if (status !== "backing_off" || last_crash === undefined) continue;
    return `${spec.id} is away: ${describeExit(last_crash)}`;
  }
  return undefined;
}

/** The child's crash loop is over, or it is not tried any more. */
export function leaveLoop(child: Child, crash_loop: CrashLoop | undefined): void {
  if (child.loops === 0) return;
  child.loops = 0;
  const reason = child.last_crash ?? { kind: "shutdown" };
  crash_loop?.changed?.({ id: child.spec.id, loops: false, reason });
}

/** The child in the answer of `which_children`. */
export function infoOf(child: Child): ChildInfo {
  const { spec, status, cell, restarts } = child;
  return { id: spec.id, status, ref: cell, restarts };
}

/** The child as the restart policy sees it. */
export function policyChild(child: Child): PolicyChild {
  const { id, restart, significant } = child.spec;
  return { id, restart, significant, active: child.status !== "stopped" };
}

/** Asks for its start fail with AskError `refused`. */
export function refuseStart(child: Child, detail: string): void {
  const { starting } = child;
  child.starting = nobody;
  for (const port of starting) port.fail("refused", detail);
}
