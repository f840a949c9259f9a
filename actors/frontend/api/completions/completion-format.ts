/** The answers of POST /v1/completions, streamed and whole. Shapes: OpenAI's API reference. */
import type {
  AnswerEnd,
  AnswerPiece,
  AnswerUsage,
  ContentPiece,
  PieceLogprob,
} from "../../../stream/stream.ts";
import type { AnswerHead, ChunkFormat, ShownChoice, ShownPrompt } from "../dialect.ts";
import {
  chunkEnd,
  chunkStart,
  finishMembers,
  finite,
  OpenAiStream,
  quoted,
  shownScores,
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
    const logprobs = completionLogprobs(piece.logprobs ?? [], offset, undefined);
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

  prompt(choice: number, echo: string, prompt: ShownPrompt): string {
    this.#offsets[choice] = echo.length;
    return this.#line(choice, echo, JSON.stringify(promptLogprobs(prompt)), NOT_FINISHED);
  }

  end(choice: number, end: AnswerEnd): string {
    const shown = this.#with_logprobs && end.logprob !== undefined;
    const entries = shown ? [end.logprob] : [];
    const logprobs = shown
      ? JSON.stringify(completionLogprobs(entries, this.#offsets[choice] ?? 0, undefined))
      : "null";
    return this.#line(choice, "", logprobs, finishMembers(end));
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
      logprobs: head.logprobs ? choiceLogprobs(head, choice) : null,
      ...shownScores(head, choice.prompt),
      finish_reason: choice.end.reason,
      ...stopReason(choice.end),
    })),
    usage: usageJson(usage),
  };
}

type Entry = Pick<PieceLogprob, "token" | "logprob"> & {
  readonly top: readonly Pick<PieceLogprob, "token" | "logprob">[];
};

type LegacyLogprobs = {
  readonly tokens: string[];
  /** Null: of the first token of a prompt. */
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
};

function choiceLogprobs({ scoring }: AnswerHead, choice: ShownChoice): LegacyLogprobs {
  const { end, echo } = choice;
  // The drawn end token is no text, but it was drawn like the others.
  const entries = end.logprob === undefined ? choice.logprobs : [...choice.logprobs, end.logprob];
  const own = completionLogprobs(entries, echo.length, scoring?.logprobs);
  if (choice.prompt === undefined || choice.prompt.offsets.length === 0) return own;
  const prompt = promptLogprobs(choice.prompt, scoring?.logprobs);
  return {
    tokens: [...prompt.tokens, ...own.tokens],
    token_logprobs: [...prompt.token_logprobs, ...own.token_logprobs],
    top_logprobs: [...prompt.top_logprobs, ...own.top_logprobs],
    text_offset: [...prompt.text_offset, ...own.text_offset],
  };
}

function promptLogprobs({ first, scores, offsets }: ShownPrompt, top?: number): LegacyLogprobs {
  const rest = completionLogprobs(scores, 0, top);
  return {
    tokens: [first, ...rest.tokens],
    token_logprobs: [null, ...rest.token_logprobs],
    top_logprobs: [null, ...rest.top_logprobs],
    text_offset: [...offsets],
  };
}

/**
 * `text_offset` counts from `offset`, in UTF-16 units of the choice's own text.
 * @param top how many of the likeliest are shown; undefined: all that are there
 */
function completionLogprobs(
  entries: readonly Entry[],
  offset: number,
  top: number | undefined,
): LegacyLogprobs {
  const text_offset: number[] = [];
  let at = offset;
  for (const entry of entries) {
    text_offset.push(at);
    at += entry.token.length;
  }
  return {
    tokens: entries.map((entry) => entry.token),
    token_logprobs: entries.map((entry) => finite(entry.logprob)),
    top_logprobs: entries.map((entry) => topLogprobs(entry, top)),
    text_offset,
  };
}

/** The likeliest, and the token itself: one more entry where it is not among them, as OpenAI. */
function topLogprobs(entry: Entry, top: number | undefined): Record<string, number> {
  const shown: Record<string, number> = {};
  for (const { token, logprob } of entry.top.slice(0, top)) shown[token] ??= finite(logprob);
  shown[entry.token] ??= finite(entry.logprob);
  return shown;
}
