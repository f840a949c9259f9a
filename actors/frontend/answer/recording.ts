/** Who stores an answer is told of its end, before its client is. */
import type { AnswerFailure } from "../../stream/stream.ts";
import { localFailures } from "./local-failures.ts";

export interface Recording {
  /** `cancel` ends it from elsewhere. */
  started(cancel: () => void): void;
  /** Resolves when it is written, or cannot be. `deltas`: see `WholeFormat`. */
  whole(body: object, deltas: readonly number[]): Promise<void>;
  failed(failure: AnswerFailure): void;
  /** The client got an error in the place of an answer. */
  refused(): void;
  /** Its client left, and nobody goes on with it. */
  left(): void;
  /** This server alone gives it up: whoever finds it at its worker goes on with it. */
  lost(): void;
}

export function tellRecording(
  recording: Pick<Recording, "failed" | "refused" | "lost"> | undefined,
  failure: AnswerFailure,
  isRefused: boolean,
): void {
  if (recording === undefined) return;
  if (localFailures.includes(failure.code)) recording.lost();
  else if (isRefused) recording.refused();
  else recording.failed(failure);
}
