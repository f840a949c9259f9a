/** Pieces of an answer that is not streamed → its choices, and the best of them. */
import type { AnswerEnd, AnswerPiece, PieceLogprob } from "../../stream/stream.ts";
import type { CollectedChoice } from "../api/dialect.ts";

/** Collects the pieces of one choice; text is joined once, at its end. */
export class ChoiceCollector {
  readonly #texts: string[] = [];
  readonly #logprobs: PieceLogprob[] = [];
  #end: AnswerEnd | undefined;

  add(piece: AnswerPiece): void {
    switch (piece.kind) {
      case "content":
        this.#texts.push(piece.text);
    }
    for (const entry of piece.logprobs ?? []) this.#logprobs.push(entry);
  }

  finish(end: AnswerEnd): void {
    this.#end = end;
  }

  /** Undefined while the choice has not ended. */
  result(): CollectedChoice | undefined {
    if (this.#end === undefined) return undefined;
    return { text: this.#texts.join(""), logprobs: this.#logprobs, end: this.#end };
  }
}

/** The `count` answers with the highest mean log probability, best first. */
export function pickBest(
  choices: readonly CollectedChoice[],
  count: number,
): readonly CollectedChoice[] {
  if (choices.length <= count) return choices;
  return choices
    .map((choice) => ({ choice, score: meanLogprob(choice.logprobs) }))
    .sort((a, b) => (a.score === b.score ? 0 : b.score - a.score))
    .slice(0, count)
    .map((scored) => scored.choice);
}

/** An answer without tokens is no answer, so it comes last. */
export function meanLogprob(logprobs: readonly PieceLogprob[]): number {
  if (logprobs.length === 0) return Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const entry of logprobs) sum += entry.logprob;
  return sum / logprobs.length;
}
