/** A request for an answer, and a sink that keeps all that it is given of one. */
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerPiece,
  AnswerRequest,
  AnswerScores,
  AnswerSink,
  AnswerUsage,
} from "../../../actors/stream/stream.ts";
import { MODEL } from "./fake-registry.ts";

export function answerRequest(
  request: string,
  changes: Partial<AnswerRequest> = {},
): AnswerRequest {
  return {
    request,
    model: MODEL,
    prompt: Uint32Array.of(1, 2, 3),
    sampling: {
      temperature: 0,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      typical_p: 1,
      repetition_penalty: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: [],
      seed: new Uint8Array(8),
    },
    choices: 1,
    max_tokens: 16,
    min_tokens: 0,
    stop_tokens: [],
    stop_strings: [],
    include_stop: false,
    ignore_eos: false,
    logprobs: -1,
    deadline_ms: 30_000,
    pin: "",
    ...changes,
  };
}

/** Keeps what it is given; `full_after` pieces it says that it is full, until it is emptied. */
export class RecordingSink implements AnswerSink {
  readonly pieces: AnswerPiece[] = [];
  readonly scores_told: AnswerScores[] = [];
  readonly ends: AnswerEnd[] = [];
  readonly usages: AnswerUsage[] = [];
  readonly failures: AnswerFailure[] = [];
  onFull: () => void = () => {};
  readonly #full_after: number;

  constructor(full_after = Number.POSITIVE_INFINITY) {
    this.#full_after = full_after;
  }

  /** `done` and `failed` together: has to be 1 in the end. */
  get outcomes(): number {
    return this.usages.length + this.failures.length;
  }

  text(choice = 0): string {
    return this.pieces.filter((each) => each.choice === choice).reduce((t, p) => t + p.text, "");
  }

  tokens(choice = 0): number[] {
    return this.pieces.filter((each) => each.choice === choice).flatMap((p) => [...p.tokens]);
  }

  piece(piece: AnswerPiece): boolean {
    this.pieces.push(piece);
    if (this.pieces.length % this.#full_after !== 0) return true;
    this.onFull();
    return false;
  }

  scores(scores: AnswerScores): void {
    this.scores_told.push(scores);
  }

  end(end: AnswerEnd): void {
    this.ends.push(end);
  }

  done(usage: AnswerUsage): void {
    this.usages.push(usage);
  }

  failed(failure: AnswerFailure): void {
    this.failures.push(failure);
  }
}
