/** The kernel's errors: one class per kind, each with a stable `code`. */

import { describeExit, type ExitReason } from "./exit-reason.ts";

export type AskErrorCode = "deadline" | "down" | "mailbox_full" | "refused";

/** An ask that got no answer. `code` says why; the message names the question and the actor. */
export class AskError extends Error {
  override readonly name = "AskError";
  readonly code: AskErrorCode;

  constructor(code: AskErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** An actor whose `init` threw, or that was stopped before it was ready. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly code = "start_failed";
  readonly reason: ExitReason;

  constructor(path: string, reason: ExitReason) {
    super(`${path} did not start: ${describeExit(reason)}`);
    this.reason = reason;
  }
}

/** `spawn` was called with something that can never work: a bug of the caller, so it throws. */
export class SpawnRefused extends Error {
  override readonly name = "SpawnRefused";
  readonly code: "name_taken" | "bad_name" | "parent_stopped" | "bad_mailbox";

  constructor(code: SpawnRefused["code"], detail: string) {
    super(detail);
    this.code = code;
  }
}

/** A supervisor specification that contradicts itself. */
export class BadSupervisorSpec extends Error {
  override readonly name = "BadSupervisorSpec";
  readonly code = "bad_supervisor_spec";
}
