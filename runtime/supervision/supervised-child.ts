/** A child as its supervisor keeps it: its specification and what became of it so far. */

import type { Timer } from "../capabilities.ts";
import type { Cell } from "../kernel/cell.ts";
import type { ExitReason } from "../kernel/exit-reason.ts";
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
  /** Those of them at the pace of the crash loop; 0 = it is in none. */
  loops: number;
  started_at_ms: number;
  /** Runs at the end of a back-off, or when a child that looped has lived for long enough. */
  timer: Timer | undefined;
  /** Never ran: a failing start is refused to whoever asked, not tried again. */
  fresh: boolean;
  /** Who waits for it to run. */
  starting: readonly ReplyPort[];
  /** Who waits for it to be gone. */
  ending: readonly ReplyPort[];
  /** After the stop that is under way it is started again. */
  again: boolean;
  /** The group restart that leaves it out: it was terminated on request meanwhile. */
  not_in: object | undefined;
};

/** One empty list for all: there may be very many children for whom nobody waits. */
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

/** It is restarted once more at the pace of the crash loop. */
export function enterLoop(
  child: Child,
  crash_loop: CrashLoop | undefined,
  reason: ExitReason,
): void {
  child.loops++;
  if (child.loops === 1) crash_loop?.changed?.({ id: child.spec.id, loops: true, reason });
}

/** It is over its crash loop, or not tried any more. */
export function leaveLoop(child: Child, crash_loop: CrashLoop | undefined): void {
  if (child.loops === 0) return;
  child.loops = 0;
  const reason = child.last_crash ?? { kind: "shutdown" };
  crash_loop?.changed?.({ id: child.spec.id, loops: false, reason });
}

/** What `which_children` answers of it. */
export function infoOf(child: Child): ChildInfo {
  const { spec, status, cell, restarts } = child;
  return { id: spec.id, status, ref: cell, restarts };
}

/** What the restart policy needs of it. */
export function policyChild(child: Child): PolicyChild {
  const { id, restart, significant } = child.spec;
  return { id, restart, significant, active: child.status !== "stopped" };
}

/** Whoever asked for its start gets AskError `refused`. */
export function refuseStart(child: Child, detail: string): void {
  const { starting } = child;
  child.starting = nobody;
  for (const port of starting) port.fail("refused", detail);
}
