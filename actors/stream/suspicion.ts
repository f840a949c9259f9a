/**
 * Whether an answer is what its workers die of. A prompt that crashes an engine would crash the
 * next one too, and the one after that, so an answer is not passed on for ever. Pure; decision
 * 014 says why the rule is this one.
 *
 *   a worker had taken it, crashed, and had made no token of it ──▶ counts against it
 *   a token of it came from another worker                      ──▶ the count is 0 again
 *   QUARANTINED_AT of them                                      ──▶ it ends, with a clear error
 *
 * Who was killed did not crash. Of a process that is gone nobody here knows how it ended; whoever
 * started it does, and says so a moment later. So such a death is `unexplained` until it matters.
 */
export type Suspicion = {
  /** Workers that crashed on it, as far as anybody knows. */
  crashes: number;
  /** Of those that may have. */
  unexplained: readonly UnexplainedDeath[];
};

export type UnexplainedDeath = {
  readonly worker: string;
  /** When its stream heard of it, on the clock's scale. */
  readonly at_ms: number;
};

/** How the worker of an answer ended. `crash`: by its own fault, `killed`: not by that. */
export type Death = "crash" | "unknown" | "killed";

/** Two: one may be a coincidence. */
export const QUARANTINED_AT = 2;

export const noSuspicion = (): Suspicion => ({ crashes: 0, unexplained: [] });

/** Its worker has ended after it took this answer and before it made a token of it. */
export function addDeath(suspicion: Suspicion, death: Death, worker: string, at_ms: number): void {
  if (death === "crash") suspicion.crashes++;
  else if (death === "unknown")
    suspicion.unexplained = [...suspicion.unexplained, { worker, at_ms }];
}

/** It goes on: a worker has made a token of it and lives. */
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

/** It is one of those that its last worker may have died of. */
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
