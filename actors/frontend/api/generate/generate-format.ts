/** The answers of POST /inference/v1/generate, streamed and whole. Shapes: vLLM's. */
import type { AnswerEnd, AnswerPiece, AnswerUsage, PieceLogprob } from "../../../stream/stream.ts";
import type { AnswerHead, ChunkFormat, ShownChoice } from "../dialect.ts";
import {
  finishMembers,
  finite,
  OpenAiStream,
  quoted,
  shownScores,
  stopReason,
  usageJson,
} from "../openai-format.ts";

export class GenerateChunks extends OpenAiStream implements ChunkFormat {
  readonly #start: string;
  readonly #with_logprobs: boolean;

  constructor(head: AnswerHead) {
    super();
    this.#start = `data: {"request_id":${quoted(head.id)},"choices":[`;
    this.#with_logprobs = head.logprobs;
  }

  piece(choice: number, piece: AnswerPiece): string {
    const logprobs = this.#with_logprobs
      ? `"logprobs":${JSON.stringify(logprobsOf(piece.logprobs ?? []))},`
      : "";
    const tokens = piece.tokens.join(",");
    return `${this.#start}{"index":${choice},${logprobs}"token_ids":[${tokens}]}]}`;
  }

  skip(): void {}

  /** Of an answer without a token. */
  text(choice: number): string {
    return `${this.#start}{"index":${choice},"token_ids":[]}]}`;
  }

  end(choice: number, end: AnswerEnd): string {
    return `${this.#start}{"index":${choice},${finishMembers(end)},"token_ids":[]}]}`;
  }

  usage(usage: AnswerUsage): string {
    return `${this.#start}],"usage":${JSON.stringify(usageJson(usage))}}`;
  }
}

export function generateBody(
  head: AnswerHead,
  choices: readonly ShownChoice[],
  usage: AnswerUsage,
) {
  return {
    request_id: head.id,
    choices: choices.map((choice, index) => ({
      index,
      logprobs: head.logprobs ? logprobsOf(choice.logprobs, head.scoring?.logprobs) : null,
      finish_reason: choice.end.reason,
      ...stopReason(choice.end),
      token_ids: choice.tokens,
    })),
    prompt_logprobs: null,
    ...shownScores(head, choices[0]?.prompt),
    kv_transfer_params: null,
    usage: usageJson(usage),
  };
}

const logprobsOf = (entries: readonly PieceLogprob[], shown?: number) => ({
  content: entries.map(({ token, logprob, bytes, top }) => ({
    token,
    logprob: finite(logprob),
    bytes,
    top_logprobs: top.slice(0, shown).map((one) => ({ ...one, logprob: finite(one.logprob) })),
  })),
});
