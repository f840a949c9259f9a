/** Why an actor ended, as its monitors and its supervisor are told. */

export type ExitReason =
  | { readonly kind: "normal" }
  | { readonly kind: "shutdown"; readonly detail?: string }
  | { readonly kind: "crash"; readonly error: string; readonly stack?: string }
  | { readonly kind: "killed" }
  /** There was no such actor when it was asked about. */
  | { readonly kind: "noproc" }
  /** The connection to its node is gone; it may still live there. */
  | { readonly kind: "noconnection" };

export const normal: ExitReason = Object.freeze({ kind: "normal" });
export const shutdown: ExitReason = Object.freeze({ kind: "shutdown" });
export const killed: ExitReason = Object.freeze({ kind: "killed" });
export const noproc: ExitReason = Object.freeze({ kind: "noproc" });
export const noconnection: ExitReason = Object.freeze({ kind: "noconnection" });

/** Anything can be thrown; a reason is always text. */
export function crashOf(thrown: unknown): ExitReason {
  if (thrown instanceof Error) {
    const error = `${thrown.name}: ${thrown.message}`;
    return thrown.stack === undefined
      ? { kind: "crash", error }
      : { kind: "crash", error, stack: thrown.stack };
  }
  return { kind: "crash", error: String(thrown) };
}

/** OTP's rule for transient children: these ends are wanted, all others are failures. */
export function endedWell(reason: ExitReason): boolean {
  return reason.kind === "normal" || reason.kind === "shutdown";
}

/** One line, for logs and people. */
export function describeExit(reason: ExitReason): string {
  switch (reason.kind) {
    case "crash":
      return `crash: ${reason.error}`;
    case "shutdown":
      return reason.detail === undefined ? "shutdown" : `shutdown: ${reason.detail}`;
    default:
      return reason.kind;
  }
}
