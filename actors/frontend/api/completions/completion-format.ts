/** The answers of POST /v1/completions, streamed and whole. Shapes: OpenAI's API reference. */
import type {
  AnswerEnd,
  AnswerPiece,
  AnswerUsage,
  ContentPiece,
  PieceLogprob,
} from "../../../stream/stream.ts";
import type { AnswerHead, ChunkFormat, ShownChoice } from "../dialect.ts";
import {
  chunkEnd,
  chunkStart,
  finishMembers,
  finite,
  OpenAiStream,
  quoted,
  stopReason,
  usageChunk,
  usageJson,
} from "../openai-format.ts";

const NOT_FINISHED = '"finish_reason":null';

export class CompletionChunks extends OpenAiStream implements ChunkFormat {
  readonly #start: string;
  readonly #close: string;
  readonly #with_logprobs: boolean;
  /** UTF-16 units of the text so far, by choice; kept where log probabilities are shown. */
  readonly #offsets: number[] = [];

  constructor(head: AnswerHead) {
    super();
    this.#start = chunkStart(head, "text_completion");
    this.#close = chunkEnd(head);
    this.#with_logprobs = head.logprobs;
  }

  piece(choice: number, piece: AnswerPiece): string {
    switch (piece.kind) {
      case "content":
        return this.#content(choice, piece);
    }
  }

  #content(choice: number, piece: ContentPiece): string {
    if (!this.#with_logprobs) return this.#line(choice, piece.text, "null", NOT_FINISHED);
    const offset = this.#offsets[choice] ?? 0;
    this.#offsets[choice] = offset + piece.text.length;
    const logprobs = completionLogprobs(piece.logprobs ?? [], offset);
    return this.#line(choice, piece.text, JSON.stringify(logprobs), NOT_FINISHED);
  }

  skip(choice: number, piece: AnswerPiece): void {
    switch (piece.kind) {
      case "content":
        this.#offsets[choice] = (this.#offsets[choice] ?? 0) + piece.text.length;
    }
  }

  text(choice: number, text: string): string {
    return this.#line(choice, text, "null", NOT_FINISHED);
  }

  end(choice: number, end: AnswerEnd): string {
    return this.#line(choice, "", "null", finishMembers(end));
  }

  usage(usage: AnswerUsage): string {
    return usageChunk(this.#start, usage);
  }

  #line(choice: number, text: string, logprobs: string, ending: string): string {
    return (
      `${this.#start}"choices":[{"index":${choice},"text":${quoted(text)},` +
      `"logprobs":${logprobs},${ending}${this.#close}`
    );
  }
}

export function completionBody(
  head: AnswerHead,
  choices: readonly ShownChoice[],
  usage: AnswerUsage,
) {
  return {
    id: head.id,
    object: "text_completion",
    created: head.created_s,
    model: head.model,
    choices: choices.map((choice, index) => ({
      index,
      text: choice.echo + choice.text,
      logprobs: head.logprobs ? completionLogprobs(choice.logprobs, choice.echo.length) : null,
      finish_reason: choice.end.reason,
      ...stopReason(choice.end),
    })),
    usage: usageJson(usage),
  };
}

/** `text_offset` counts from `offset`, in UTF-16 units of the choice's own text. */
function completionLogprobs(entries: readonly PieceLogprob[], offset: number) {
  const text_offset: number[] = [];
  let at = offset;
  for (const entry of entries) {
    text_offset.push(at);
    at += entry.token.length;
  }
  return {
    tokens: entries.map((entry) => entry.token),
    token_logprobs: entries.map((entry) => finite(entry.logprob)),
    top_logprobs: entries.map((entry) =>
      Object.fromEntries(entry.top.map((top) => [top.token, finite(top.logprob)])),
    ),
    text_offset,
  };
}
