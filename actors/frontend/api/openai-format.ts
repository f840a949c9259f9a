/** Common parts of answers in OpenAI's dialects: ids and usage, errors, JSON by hand. */
import type { AnswerEnd, AnswerUsage, PromptScore } from "../../stream/stream.ts";
import type { ErrorFacts } from "./api-error.ts";
import type { AnswerHead, ShownPrompt } from "./dialect.ts";

export type OpenAiErrorBody = {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly code: string;
    readonly param: string | null;
    /** Where the rest of the answer can be had. */
    readonly resume?: string;
  };
};

export function openAiErrorBody(error: ErrorFacts, resume_path?: string): OpenAiErrorBody {
  const { status, code, message, param = null } = error;
  const body = { message, type: errorType(status), code, param };
  return { error: resume_path === undefined ? body : { ...body, resume: resume_path } };
}

/** OpenAI's `type`; clients tell retryable errors by status, so few words do. */
function errorType(status: number): string {
  if (status === 429 || status === 529) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** The begin of every chunk of an answer; `object` is the chunk's type. */
export function chunkStart(head: AnswerHead, object: string): string {
  return (
    `data: {"id":${quoted(head.id)},"object":"${object}","created":${head.created_s},` +
    `"model":${quoted(head.model)},`
  );
}

/** The end of every chunk: with `"usage":null` if the last chunk carries usage. */
export const chunkEnd = (head: AnswerHead): string =>
  head.include_usage ? '}],"usage":null}' : "}]}";

export const usageChunk = (start: string, usage: AnswerUsage, reasoning_tokens?: number): string =>
  `${start}"choices":[],"usage":${JSON.stringify(usageJson(usage, reasoning_tokens))}}`;

const DONE_EVENT = "data: [DONE]";

/** How streams of OpenAI's older routes end. */
export abstract class OpenAiStream {
  done(): string {
    return DONE_EVENT;
  }

  failed(error: ErrorFacts, resume_path: string | undefined): string {
    return errorEvent(error, resume_path);
  }
}

const errorEvent = (error: ErrorFacts, resume_path: string | undefined): string =>
  `data: ${JSON.stringify(openAiErrorBody(error, resume_path))}`;

const PLAIN_TEXT = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** JSON.stringify also escapes lone surrogates, so a chunk is always valid UTF-8. */
export const quoted = (text: string): string =>
  PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text);

/** The members of a chunk that say why a choice ended. */
export function finishMembers(end: AnswerEnd, finish_reason: string = end.reason): string {
  const reason = `"finish_reason":"${finish_reason}"`;
  if (end.stop_reason === undefined) return reason;
  return `${reason},"stop_reason":${JSON.stringify(end.stop_reason)}`;
}

export const stopReason = (end: AnswerEnd) =>
  end.stop_reason === undefined ? {} : { stop_reason: end.stop_reason };

/** @param reasoning_tokens undefined: reasoning is not told apart */
export function usageJson(usage: AnswerUsage, reasoning_tokens?: number) {
  const { drafts } = usage;
  const details = {
    ...(reasoning_tokens === undefined ? {} : { reasoning_tokens }),
    ...(drafts === undefined
      ? {}
      : { accepted_prediction_tokens: drafts.right, rejected_prediction_tokens: drafts.wrong }),
  };
  return {
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
    prompt_tokens_details: {
      cached_tokens: usage.cached_tokens,
      ...(usage.cached_by_tier === undefined
        ? {}
        : { cached_tokens_by_tier: usage.cached_by_tier }),
    },
    ...(Object.keys(details).length === 0 ? {} : { completion_tokens_details: details }),
  };
}

/** JSON has no -Infinity; OpenAI writes this number for a token that cannot be drawn. */
const IMPOSSIBLE = -9999;

export const finite = (logprob: number): number =>
  Number.isFinite(logprob) ? logprob : IMPOSSIBLE;

/** `prompt_logprobs` as vLLM writes it, where it is asked for. */
export function shownScores({ scoring }: AnswerHead, prompt: ShownPrompt | undefined) {
  if (scoring === undefined || scoring.prompt_logprobs < 0 || prompt === undefined) return {};
  const prompt_logprobs: (Record<string, ShownScore> | null)[] = [null];
  for (const score of prompt.scores) {
    prompt_logprobs.push(scoreEntries(score, scoring.prompt_logprobs));
  }
  return { prompt_logprobs };
}

type ShownScore = {
  readonly logprob: number;
  readonly rank: number;
  readonly decoded_token: string;
};

/** By token id: the likeliest, and the token itself. */
function scoreEntries({ top, ...own }: PromptScore, count: number): Record<string, ShownScore> {
  const entries: Record<string, ShownScore> = {};
  for (const [i, { id, token, logprob }] of top.slice(0, count).entries()) {
    entries[id] = { logprob: finite(logprob), rank: i + 1, decoded_token: token };
  }
  const { id, token, logprob, rank } = own;
  entries[id] = { logprob: finite(logprob), rank, decoded_token: token };
  return entries;
}
