/** The object of a response, in OpenAI's form and order, from its begin to its end. */
import type { AnswerUsage } from "../../../stream/stream.ts";
import type { AnswerHead } from "../dialect.ts";
import type { ResponseBody } from "./response-fields.ts";

export type ResponseStatus =
  | "queued"
  | "in_progress"
  | "completed"
  | "incomplete"
  | "failed"
  | "cancelled";

/** What a response repeats of its request. It travels with the answer, as JSON. */
export type ResponseShell = Readonly<Record<string, unknown>>;

export type ResponseError = { readonly code: string; readonly message: string };

export type ResponseState = {
  readonly status: ResponseStatus;
  readonly completed_at?: number | undefined;
  readonly error?: ResponseError | undefined;
  readonly output?: readonly object[];
  readonly usage?: object | undefined;
};

/** Fields of the request that were checked, with what the server takes where they say nothing. */
export function shellOf(
  body: ResponseBody,
  { temperature, top_p }: { readonly temperature: number; readonly top_p: number },
): ResponseShell {
  const { conversation } = body;
  const id = typeof conversation === "string" ? conversation : conversation?.id;
  return {
    background: body.background ?? false,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: textless(body, "max_tool_calls"),
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    ...(id === undefined ? {} : { conversation: { id } }),
    prompt_cache_key: textless(body, "prompt_cache_key"),
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    safety_identifier: textless(body, "safety_identifier"),
    service_tier: "default",
    store: body.store ?? true,
    temperature,
    text: { format: body.text?.format ?? { type: "text" }, verbosity: "medium" },
    tool_choice: body.tool_choice ?? "auto",
    tools: (body.tools ?? []).map(({ type, name, description, parameters, strict }) => ({
      ...{ type, name, description: description ?? null },
      ...{ parameters: parameters ?? null, strict: strict ?? false },
    })),
    top_logprobs: body.top_logprobs ?? 0,
    top_p,
    truncation: body.truncation ?? "disabled",
    user: textless(body, "user"),
    metadata: body.metadata ?? {},
  };
}

/** A field that is accepted without a look at it, and given back. */
function textless(body: object, name: string): unknown {
  return (body as Readonly<Record<string, unknown>>)[name] ?? null;
}

export function responseObject(
  head: Pick<AnswerHead, "id" | "created_s" | "model">,
  shell: ResponseShell,
  state: ResponseState,
) {
  const { status, completed_at, error, output = [], usage } = state;
  return {
    id: head.id,
    object: "response",
    created_at: head.created_s,
    status,
    ...(completed_at === undefined ? {} : { completed_at }),
    error: error ?? null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    model: head.model,
    output,
    ...shell,
    usage: usage ?? null,
  };
}

export function responseUsage(usage: AnswerUsage, reasoning_tokens: number) {
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.cached_tokens, cache_write_tokens: 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens },
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
  };
}
