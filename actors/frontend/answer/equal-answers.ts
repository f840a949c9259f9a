/**
 * Greedy answers to one prompt (temperature 0) are equal. So one is made, and it is copied to as
 * many choices as the client asked for. Usage counts every copy, as OpenAI's does; metrics count
 * what was made.
 */
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerPiece,
  AnswerScores,
  AnswerUsage,
} from "../../stream/stream.ts";
import type { Generation } from "../api/dialect.ts";
import type { AnswerOutput } from "./request-run.ts";

type Counts = Pick<Generation, "made_each" | "shown_each" | "counted_each">;

/** How often each answer that is made is shown; 1 when all shown ones are made. */
export const copiesOf = ({ made_each, shown_each }: Counts): number =>
  Math.max(1, Math.floor(shown_each / made_each));

/** Puts the copying in front of `output`, or gives `output` itself when nothing is copied. */
export function withCopies<O extends AnswerOutput>(counts: Counts, output: O): AnswerOutput {
  const copies = copiesOf(counts);
  const factor = counts.counted_each / counts.made_each;
  return copies === 1 && factor === 1 ? output : new EqualAnswers(output, copies, factor);
}

/** Tokens that a client has of each made choice: the most that it has of any copy. */
export function madeCounts(counts: Counts, shown: readonly number[]): readonly number[] {
  const copies = copiesOf(counts);
  if (copies === 1) return shown;
  const made: number[] = [];
  for (let at = 0; at < shown.length; at += copies) {
    made.push(Math.max(...shown.slice(at, at + copies)));
  }
  return made;
}

class EqualAnswers implements AnswerOutput {
  readonly #output: AnswerOutput;
  readonly #copies: number;
  readonly #factor: number;

  constructor(output: AnswerOutput, copies: number, factor: number) {
    this.#output = output;
    this.#copies = copies;
    this.#factor = factor;
  }

  placed(prompt: number, worker: string, attempt: number): void {
    this.#output.placed?.(prompt, worker, attempt);
  }

  piece(choice: number, piece: AnswerPiece): boolean {
    let takes_more = true;
    for (let copy = 0; copy < this.#copies; copy += 1) {
      if (!this.#output.piece(choice * this.#copies + copy, piece)) takes_more = false;
    }
    return takes_more;
  }

  scores(choice: number, scores: AnswerScores): void {
    for (let copy = 0; copy < this.#copies; copy += 1) {
      this.#output.scores?.(choice * this.#copies + copy, scores);
    }
  }

  end(choice: number, end: AnswerEnd): void {
    for (let copy = 0; copy < this.#copies; copy += 1) {
      this.#output.end(choice * this.#copies + copy, end);
    }
  }

  done(usage: AnswerUsage): void {
    const completion_tokens = usage.completion_tokens * this.#factor;
    this.#output.done({ ...usage, completion_tokens });
  }

  failed(failure: AnswerFailure): void {
    this.#output.failed(failure);
  }

  abandoned(): void {
    this.#output.abandoned();
  }
}
