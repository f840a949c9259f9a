/** Lines of output and error files, in the form of OpenAI's batch guide. Pure. */
import { type BatchUsage, type LineError, noUsage } from "./batch-record.ts";

/** What the frontend answered to one line. */
export type LineAnswer = {
  readonly status: number;
  readonly request_id: string;
  /** JSON text. */
  readonly body: string;
};

/** `id`: of the line's request in this batch. */
export function answerLine(id: string, custom_id: string, answer: LineAnswer): string {
  const { status, request_id, body } = answer;
  return (
    `{"id":${JSON.stringify(id)},"custom_id":${JSON.stringify(custom_id)},"response":` +
    `{"status_code":${status},"request_id":${JSON.stringify(request_id)},"body":${oneLine(body)}},` +
    `"error":null}`
  );
}

export function errorLine(
  id: string,
  custom_id: string | null,
  error: Omit<LineError, "line"> & { readonly line?: number | null },
): string {
  return JSON.stringify({ id, custom_id, response: null, error });
}

export const expiredError = (number: number): LineError => ({
  code: "batch_expired",
  message: "This request could not be executed before the completion window expired.",
  param: null,
  line: number,
});

/** JSON allows line ends between its values alone, where a blank means the same. */
const oneLine = (json: string): string =>
  /[\r\n\t]/.test(json) ? json.replace(/[\r\n\t]+/g, " ").trim() : json;

/** What an answer used: OpenAI's `usage` of chats, completions, embeddings or responses. */
export function usageIn(body: unknown): {
  readonly usage: BatchUsage;
  readonly model: string | null;
} {
  const { usage, model } = (body ?? {}) as { usage?: Record<string, unknown>; model?: unknown };
  const name = typeof model === "string" ? model : null;
  if (typeof usage !== "object" || usage === null) return { usage: noUsage, model: name };
  const read = (value: unknown): number => (typeof value === "number" ? value : 0);
  const detail = (...names: string[]) => {
    const details = names.map((each) => usage[each]).find((each) => typeof each === "object");
    return (details ?? {}) as Record<string, unknown>;
  };
  const input = detail("prompt_tokens_details", "input_tokens_details");
  const output = detail("completion_tokens_details", "output_tokens_details");
  return {
    usage: {
      input_tokens: read(usage["prompt_tokens"] ?? usage["input_tokens"]),
      cached_tokens: read(input["cached_tokens"]),
      output_tokens: read(usage["completion_tokens"] ?? usage["output_tokens"]),
      reasoning_tokens: read(output["reasoning_tokens"]),
    },
    model: name,
  };
}

export const usageSum = (a: BatchUsage, b: BatchUsage): BatchUsage => ({
  input_tokens: a.input_tokens + b.input_tokens,
  cached_tokens: a.cached_tokens + b.cached_tokens,
  output_tokens: a.output_tokens + b.output_tokens,
  reasoning_tokens: a.reasoning_tokens + b.reasoning_tokens,
});
