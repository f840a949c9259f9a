/** Pieces of an answer that is not streamed → its choices, and the best of them. */
import type {
  AnswerEnd,
  AnswerPiece,
  AnswerScores,
  PieceLogprob,
  PromptScore,
} from "../../stream/stream.ts";
import { type AnswerParsing, ChoiceFold, type ParsedChoice } from "../api/answer-parsing.ts";
import type { CollectedChoice } from "../api/dialect.ts";

/** Collects the pieces of one choice; text is joined once, at its end. */
export class ChoiceCollector {
  readonly tokens: number[] = [];
  /** Of its prompt. */
  readonly scores: PromptScore[] = [];
  readonly #texts: string[] = [];
  readonly #logprobs: PieceLogprob[] = [];
  readonly #fold: ChoiceFold | undefined;
  #end: AnswerEnd | undefined;
  #parsed: ParsedChoice | undefined;

  constructor(parsing?: AnswerParsing) {
    this.#fold = parsing && new ChoiceFold(parsing);
  }

  add(piece: AnswerPiece): void {
    switch (piece.kind) {
      case "content":
        this.#texts.push(piece.text);
        for (const token of piece.tokens) this.tokens.push(token);
    }
    this.#fold?.push(piece);
    for (const entry of piece.logprobs ?? []) this.#logprobs.push(entry);
  }

  addScores({ scores }: AnswerScores): void {
    for (const score of scores) this.scores.push(score);
  }

  finish(end: AnswerEnd): void {
    this.#end = end;
    this.#parsed = this.#fold?.end(end);
  }

  /** Undefined while the choice has not ended. */
  result(): Omit<CollectedChoice, "tokens"> | undefined {
    if (this.#end === undefined) return undefined;
    const text = this.#texts.join("");
    return { text, logprobs: this.#logprobs, end: this.#end, parsed: this.#parsed };
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
