/**
 * Decides whether an answer makes its workers crash. A prompt that crashes an engine would crash
 * the next one too, and the one after that, so an answer is not passed on for ever. Pure; decision
 * 014 says why the rule is this one.
 *
 *   a worker had taken it, crashed, and had made no token of it ──▶ counts against it
 *   a token of it came from another worker                      ──▶ the count is 0 again
 *   QUARANTINED_AT of them                                      ──▶ it ends, with a clear error
 *
 * A worker that was killed did not crash. A stream cannot see how a lost process ended; the root
 * that started it can, and says so a moment later. Until then such a death is `unexplained`.
 */
import type { ExitReason } from "../../runtime/kernel/exit-reason.ts";

export type Suspicion = {
  /** Workers that are known to have crashed on the answer. */
  crashes: number;
  /** Deaths that may have been crashes. */
  unexplained: readonly UnexplainedDeath[];
};

export type UnexplainedDeath = {
  readonly worker: string;
  /** When the stream heard of the death, on the clock's scale. */
  readonly at_ms: number;
};

/** How a worker ended. `crash`: by its own fault; `killed`: from outside. */
export type Death = "crash" | "unknown" | "killed";

/** A broken connection does not tell how the process behind it ended. */
export function deathBy({ kind }: ExitReason): Death {
  return kind === "crash" ? "crash" : kind === "noconnection" ? "unknown" : "killed";
}

/** Two: one may be a coincidence. */
export const QUARANTINED_AT = 2;

export const noSuspicion = (): Suspicion => ({ crashes: 0, unexplained: [] });

/** The worker ended after it took this answer and before it made a token of it. */
export function addDeath(suspicion: Suspicion, death: Death, worker: string, at_ms: number): void {
  if (death === "crash") suspicion.crashes++;
  else if (death === "unknown")
    suspicion.unexplained = [...suspicion.unexplained, { worker, at_ms }];
}

/** A worker has made a token of the answer and lives, so the answer is harmless. */
export function clearSuspicion(suspicion: Suspicion): void {
  if (suspicion.crashes === 0 && suspicion.unexplained.length === 0) return;
  suspicion.crashes = 0;
  suspicion.unexplained = [];
}

/** `crashes`: how many of the unexplained deaths were crashes; the others are forgotten. */
export function explainDeaths(suspicion: Suspicion, crashes: number): void {
  suspicion.crashes += crashes;
  suspicion.unexplained = [];
}

/** True: its last worker may have crashed because of it. */
export const isSuspect = ({ crashes, unexplained }: Suspicion): boolean =>
  crashes + unexplained.length > 0;

export function decide({ crashes, unexplained }: Suspicion): "free" | "ask" | "quarantined" {
  if (crashes >= QUARANTINED_AT) return "quarantined";
  return crashes + unexplained.length >= QUARANTINED_AT ? "ask" : "free";
}

export const quarantineMessage =
  "Two workers in a row crashed as they began with this request, so it is not given to a third. " +
  "Sent again it would crash them again. Change the request, or tell whoever runs this server: " +
  "the log has both crashes.";
