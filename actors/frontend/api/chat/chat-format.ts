/** The answers of POST /v1/chat/completions, streamed and whole. Shapes: OpenAI's API reference. */
import { NO_PARSER } from "../../../../llm/parsers/names.ts";
import type {
  AnswerEnd,
  AnswerPiece,
  AnswerUsage,
  ContentPiece,
  PieceLogprob,
} from "../../../stream/stream.ts";
import { callId, type ParsedChoice } from "../answer-parsing.ts";
import type { AnswerHead, ChunkFormat, ShownChoice } from "../dialect.ts";
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

/** A token costs one escape of its text and one concatenation. */
export class ChatChunks extends OpenAiStream implements ChunkFormat {
  readonly #start: string;
  /** Ends a chunk, without log probabilities and with them. */
  readonly #plain: string;
  readonly #close: string;
  readonly #with_logprobs: boolean;
  /** The begin of a chunk, by choice. */
  readonly #deltas: string[] = [];

  constructor(head: AnswerHead) {
    super();
    this.#start = chunkStart(head, "chat.completion.chunk");
    this.#close = chunkEnd(head);
    this.#plain = `},${NO_LOGPROBS}"finish_reason":null${this.#close}`;
    this.#with_logprobs = head.logprobs;
  }

  piece(choice: number, piece: AnswerPiece, first: boolean): string {
    switch (piece.kind) {
      case "content":
        return this.#content(choice, piece, first);
    }
  }

  /** The first chunk of a choice names the role. */
  #content(choice: number, piece: ContentPiece, first: boolean): string {
    const role = first ? '"role":"assistant","content":' : '"content":';
    const body = this.#delta(choice) + role + quoted(piece.text);
    if (!this.#with_logprobs) return body + this.#plain;
    return `${body}},${logprobsOf(piece)}"finish_reason":null${this.#close}`;
  }

  skip(): void {}

  text(choice: number, text: string): string {
    const piece = { kind: "content", choice, text, tokens: [], delivered: 0 } as const;
    return this.#content(choice, piece, true);
  }

  end(choice: number, end: AnswerEnd): string {
    const delta = `"choices":[{"index":${choice},"delta":{},${NO_LOGPROBS}`;
    return this.#start + delta + finishMembers(end) + this.#close;
  }

  usage(usage: AnswerUsage): string {
    return usageChunk(this.#start, usage);
  }

  #delta(choice: number): string {
    this.#deltas[choice] ??= `${this.#start}"choices":[{"index":${choice},"delta":{`;
    return this.#deltas[choice];
  }
}

export function chatBody(head: AnswerHead, choices: readonly ShownChoice[], usage: AnswerUsage) {
  return {
    id: head.id,
    object: "chat.completion",
    created: head.created_s,
    model: head.model,
    choices: choices.map((choice, index) => ({
      index,
      message:
        choice.parsed === undefined
          ? { role: "assistant", content: choice.text, refusal: null }
          : parsedMessage(head, choice.parsed, index),
      logprobs: head.logprobs
        ? {
            content: choice.logprobs.map((entry) => chatLogprob(entry, head.scoring?.logprobs)),
            refusal: null,
          }
        : null,
      finish_reason: choice.parsed?.finish_reason ?? choice.end.reason,
      ...stopReason(choice.end),
    })),
    ...shownScores(head, choices[0]?.prompt),
    usage: usageJson(usage, reasoningTokens(head, choices)),
  };
}

/** Content is null only where there is something else. */
function parsedMessage({ id, parsing }: AnswerHead, parsed: ParsedChoice, choice: number) {
  const { content, reasoning, calls } = parsed;
  const { reasoning_field = "", tool = "" } = parsing ?? {};
  const isElse = reasoning !== "" || calls.length > 0;
  return {
    role: "assistant",
    content: content === "" && isElse ? null : content,
    refusal: null,
    ...(reasoning === "" ? {} : { [reasoning_field]: reasoning }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map((call) => ({
            id: call.id ?? callId(id, choice, call.index, tool),
            type: "function",
            function: { name: call.name, arguments: call.arguments },
          })),
        }),
  };
}

/** Undefined where no reasoning is told apart. */
function reasoningTokens(
  { parsing }: AnswerHead,
  choices: readonly ShownChoice[],
): number | undefined {
  if (parsing === undefined || parsing.reasoning === NO_PARSER) return undefined;
  let tokens = 0;
  for (const { parsed } of choices) tokens += parsed?.reasoning_tokens ?? 0;
  return tokens;
}

/** The member of a chunk for its log probabilities: none were asked for, or these. */
export const NO_LOGPROBS = '"logprobs":null,';

export const logprobsOf = (piece: AnswerPiece): string =>
  `"logprobs":{"content":${JSON.stringify((piece.logprobs ?? []).map((entry) => chatLogprob(entry)))},"refusal":null},`;

/** @param top how many of the likeliest are shown; undefined: all that are there */
export function chatLogprob(entry: PieceLogprob, top?: number) {
  return {
    token: entry.token,
    logprob: finite(entry.logprob),
    bytes: entry.bytes,
    top_logprobs: entry.top.slice(0, top).map((one) => ({
      token: one.token,
      logprob: finite(one.logprob),
      bytes: one.bytes,
    })),
  };
}
