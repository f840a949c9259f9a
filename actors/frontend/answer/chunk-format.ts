/**
 * The JSON of streamed chunks. All that stays the same through an answer is made once, so that a
 * token costs one escape of its text and one concatenation.
 */
import type { AnswerEnd, AnswerPiece, AnswerUsage, PieceLogprob } from "../../stream/stream.ts";

export interface ChunkFormat {
  piece(choice: number, piece: AnswerPiece, first: boolean): string;
  /** The client has this one already. */
  skip(choice: number, piece: AnswerPiece): void;
  /** Text that is no token of the answer: the echoed prompt. */
  text(choice: number, text: string): string;
  end(choice: number, end: AnswerEnd): string;
  usage(usage: AnswerUsage): string;
}

export type ChunkHead = {
  /** The whole id: `chatcmpl-…` or `cmpl-…`. */
  readonly id: string;
  readonly created_s: number;
  readonly model: string;
  /** OpenAI writes `"usage":null` into every chunk when the last one will carry usage. */
  readonly include_usage: boolean;
};

export function chatChunks(head: ChunkHead, with_logprobs: boolean): ChunkFormat {
  const start = opening(head, "chat.completion.chunk");
  const close = head.include_usage ? '}],"usage":null}' : "}]}";
  const plain = `},"logprobs":null,"finish_reason":null${close}`;
  const deltas: string[] = [];
  const delta = (choice: number): string => {
    deltas[choice] ??= `${start}"choices":[{"index":${choice},"delta":{`;
    return deltas[choice];
  };
  const piece = (choice: number, piece: AnswerPiece, first: boolean): string => {
    const role = first ? '"role":"assistant","content":' : '"content":';
    const body = delta(choice) + role + quoted(piece.text);
    if (!with_logprobs) return body + plain;
    const content = JSON.stringify((piece.logprobs ?? []).map(chatLogprob));
    return `${body}},"logprobs":{"content":${content},"refusal":null},"finish_reason":null${close}`;
  };
  return {
    piece,
    skip: () => {},
    text: (choice, text) => piece(choice, { choice, text, tokens: [], delivered: 0 }, true),
    end: (choice, end) =>
      `${start}"choices":[{"index":${choice},"delta":{},"logprobs":null,${finish(end)}${close}`,
    usage: (usage) => `${start}"choices":[],"usage":${JSON.stringify(usageJson(usage))}}`,
  };
}

export function completionChunks(head: ChunkHead, with_logprobs: boolean): ChunkFormat {
  const start = opening(head, "text_completion");
  const close = head.include_usage ? '}],"usage":null}' : "}]}";
  const offsets = new Map<number, number>();
  const line = (choice: number, text: string, logprobs: string, ending: string): string =>
    `${start}"choices":[{"index":${choice},"text":${quoted(text)},"logprobs":${logprobs},` +
    ending +
    close;
  return {
    piece: (choice, piece) => {
      if (!with_logprobs) return line(choice, piece.text, "null", '"finish_reason":null');
      const offset = offsets.get(choice) ?? 0;
      offsets.set(choice, offset + piece.text.length);
      const logprobs = completionLogprobs(piece.logprobs ?? [], offset);
      return line(choice, piece.text, JSON.stringify(logprobs), '"finish_reason":null');
    },
    skip: (choice, piece) => {
      offsets.set(choice, (offsets.get(choice) ?? 0) + piece.text.length);
    },
    text: (choice, text) => line(choice, text, "null", '"finish_reason":null'),
    end: (choice, end) => line(choice, "", "null", finish(end)),
    usage: (usage) => `${start}"choices":[],"usage":${JSON.stringify(usageJson(usage))}}`,
  };
}

function opening(head: ChunkHead, object: string): string {
  return (
    `{"id":${quoted(head.id)},"object":"${object}","created":${head.created_s},` +
    `"model":${quoted(head.model)},`
  );
}

const PLAIN_TEXT = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** JSON.stringify also escapes lone surrogates, so a chunk is always valid UTF-8. */
export const quoted = (text: string): string =>
  PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text);

function finish(end: AnswerEnd): string {
  const reason = `"finish_reason":"${end.reason}"`;
  if (end.stop_reason === undefined) return reason;
  return `${reason},"stop_reason":${JSON.stringify(end.stop_reason)}`;
}

export function usageJson(usage: AnswerUsage) {
  return {
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
    prompt_tokens_details: { cached_tokens: usage.cached_tokens },
  };
}

/** JSON has no -Infinity; OpenAI writes this number for a token that cannot be drawn. */
const IMPOSSIBLE = -9999;

const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : IMPOSSIBLE);

export function chatLogprob(entry: PieceLogprob) {
  return {
    token: entry.token,
    logprob: finite(entry.logprob),
    bytes: entry.bytes,
    top_logprobs: entry.top.map((top) => ({
      token: top.token,
      logprob: finite(top.logprob),
      bytes: top.bytes,
    })),
  };
}

/** `text_offset` counts from `offset`, in UTF-16 units of the choice's own text. */
export function completionLogprobs(entries: readonly PieceLogprob[], offset: number) {
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
