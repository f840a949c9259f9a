/** How an answer ended and what it took, in Anthropic's words. */
import type { AnswerEnd, AnswerUsage } from "../../../stream/stream.ts";
import type { AnswerHead } from "../dialect.ts";

/** Their `input_tokens` are those that no cache had. */
export function usageJson(usage: AnswerUsage, thinking_tokens: number | undefined) {
  const { prompt_tokens, completion_tokens, cached_tokens } = usage;
  return {
    input_tokens: prompt_tokens - cached_tokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached_tokens,
    output_tokens: completion_tokens,
    output_tokens_details: thinking_tokens === undefined ? null : { thinking_tokens },
    server_tool_use: null,
  };
}

/** What only a whole message says of its usage. */
export const USAGE_FACTS = {
  cache_creation: null,
  inference_geo: null,
  service_tier: "standard",
  speed: null,
} as const;

/** Why the answer ended. `finish_reason`: as its parser says. */
export function stopOf(
  { context_length }: AnswerHead,
  end: Pick<AnswerEnd, "reason" | "stop_reason">,
  finish_reason: string,
  usage: AnswerUsage,
) {
  const sequence = typeof end.stop_reason === "string" ? end.stop_reason : null;
  return { stop_reason: reasonOf(), stop_sequence: sequence, stop_details: null, container: null };

  function reasonOf(): string {
    if (finish_reason === "tool_calls") return "tool_use";
    if (finish_reason === "length") {
      const isFull = usage.prompt_tokens + usage.completion_tokens >= context_length;
      return isFull ? "model_context_window_exceeded" : "max_tokens";
    }
    return sequence === null ? "end_turn" : "stop_sequence";
  }
}
