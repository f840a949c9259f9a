/** An answer as one JSON body. */
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerPiece,
  AnswerScores,
  AnswerUsage,
} from "../../stream/stream.ts";
import { type ApiError, clientGone } from "../api/api-error.ts";
import type {
  AnswerHead,
  CollectedChoice,
  Generation,
  ShownChoice,
  ShownPrompt,
} from "../api/dialect.ts";
import { ChoiceCollector, pickBest } from "./choice-collector.ts";
import type { AnswerOutput } from "./request-run.ts";
import { failureError } from "./streamed-output.ts";

export class CollectedOutput implements AnswerOutput {
  /** The body's JSON. Rejects with ApiError when an answer failed or the client left. */
  readonly json: Promise<string>;
  readonly #generation: Generation;
  readonly #head: AnswerHead;
  /** Per prompt, of the choices that come here. */
  readonly #each: number;
  readonly #choices: readonly ChoiceCollector[];
  #resolve: (json: string) => void = () => {};
  #reject: (error: ApiError) => void = () => {};

  constructor(generation: Generation, head: AnswerHead) {
    this.#generation = generation;
    this.#head = head;
    this.#each = Math.max(generation.made_each, generation.shown_each);
    const made = generation.answers.length * this.#each;
    this.#choices = Array.from({ length: made }, () => new ChoiceCollector(generation.parsing));
    this.json = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  piece(choice: number, piece: AnswerPiece): boolean {
    this.#choices[choice]?.add(piece);
    // Bounded by max_tokens of every choice, so there is nothing to hold back.
    return true;
  }

  scores(choice: number, scores: AnswerScores): void {
    this.#choices[choice]?.addScores(scores);
  }

  end(choice: number, end: AnswerEnd): void {
    this.#choices[choice]?.finish(end);
  }

  done(usage: AnswerUsage): void {
    const { dialect, answers, echo } = this.#generation;
    const picked: ShownChoice[] = [];
    answers.forEach((_, index) => {
      const prompt = this.#prompt(index);
      for (const choice of this.#best(index)) {
        picked.push({ ...choice, echo: echo?.[index] ?? "", prompt });
      }
    });
    // Dialects that have none come to a FormattedOutput.
    const body = dialect.body?.(this.#head, picked, usage);
    this.#resolve(JSON.stringify(body));
  }

  failed(failure: AnswerFailure): void {
    this.#reject(failureError(failure));
  }

  abandoned(): void {
    this.#reject(clientGone());
  }

  /** A prompt is scored once, for its first choice. */
  #prompt(index: number): ShownPrompt | undefined {
    const known = this.#generation.scoring?.prompts[index];
    return known && { ...known, scores: this.#choices[index * this.#each]!.scores };
  }

  #best(prompt: number): readonly CollectedChoice[] {
    const { shown_each } = this.#generation;
    const made: CollectedChoice[] = [];
    for (let i = 0; i < this.#each; i += 1) {
      const collector = this.#choices[prompt * this.#each + i]!;
      const result = collector.result();
      if (result !== undefined) made.push({ ...result, tokens: collector.tokens });
    }
    return pickBest(made, shown_each);
  }
}
