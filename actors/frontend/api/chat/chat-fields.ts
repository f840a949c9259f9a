/** Every field of POST /v1/chat/completions and of its messages. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  emptyList,
  type Fields,
  type Harmless,
  ignored,
  just,
  objectOf,
  plainText,
  refused,
  samplingFields,
  used,
} from "../request-fields.ts";

const textPart = z.object({
  type: z.literal("text", { error: "only parts of type 'text' are read here" }),
  text: z.string(),
});
const refusalPart = z.object({ type: z.literal("refusal"), refusal: z.string() });

const noneOrAuto: Harmless = { is: (v) => v === "none" || v === "auto", as: '"none"' };

const templateValue = z.union([z.string(), z.number(), z.boolean(), z.null()], {
  error: "expected a string, a number, a boolean or null",
});

/** Every field of one message. */
export const messageFields = {
  role: used(
    z.enum(["system", "developer", "user", "assistant"]),
    "`system`, `developer` (rendered as `system`), `user` or `assistant`.",
  ),
  content: used(
    z
      .union([z.string(), z.array(z.union([textPart, refusalPart]))], {
        error: "expected a string or an array of text parts",
      })
      .nullish(),
    `Text, or up to ${requestLimits.content_parts} parts of type \`text\`, joined by line breaks. ` +
      "Null only from the assistant.",
    requestLimits.content_parts,
  ),
  name: used(z.string().nullish(), "Handed to the chat template."),
  reasoning_content: used(z.string().nullish(), "Handed to the chat template."),
  refusal: ignored("What an answer of OpenAI carries."),
  annotations: ignored("What an answer of OpenAI carries."),
  audio: refused("Audio is neither read nor made."),
  tool_calls: refused("This server does not call tools.", emptyList),
  tool_call_id: refused("This server does not call tools."),
  function_call: refused("This server does not call functions."),
} as const satisfies Fields;

export const messageShape = objectOf(messageFields);
export type ChatMessage = z.infer<typeof messageShape>;

export const chatFields = {
  ...samplingFields,
  nvext: nvextField,
  messages: used(
    z.array(messageShape).min(1),
    `1–${requestLimits.messages}. The chat template of the model renders them.`,
    requestLimits.messages,
  ),
  max_completion_tokens: used(
    count(1).nullish(),
    "Most tokens of one answer. Default: what is left of the context, at most 16384.",
  ),
  max_tokens: used(count(1).nullish(), "Older name of `max_completion_tokens`, which wins."),
  logprobs: used(z.boolean().nullish(), "Log probability of every answer token."),
  top_logprobs: used(
    count(0, requestLimits.top_logprobs).nullish(),
    `0–${requestLimits.top_logprobs} likeliest tokens. Needs \`logprobs\`.`,
  ),
  add_generation_prompt: used(
    z.boolean().nullish(),
    "Handed to the chat template. Default true: the assistant's turn begins.",
  ),
  chat_template_kwargs: used(
    z.record(z.string(), templateValue).nullish(),
    `Up to ${requestLimits.template_variables} variables for the chat template; ` +
      "strings, numbers, booleans. The server's own (`messages`, `add_generation_prompt`, " +
      "`bos_token`, `eos_token`, `tools`, `strftime_now`) are a 400.",
    requestLimits.template_variables,
  ),
  reasoning_effort: used(z.string().nullish(), "Handed to the chat template."),
  modalities: refused("Only text is made.", {
    is: (value) => Array.isArray(value) && value.length === 1 && value[0] === "text",
    as: '["text"]',
  }),
  response_format: refused(
    "Answers are free text; a message may say which form they should have.",
    plainText,
  ),
  tools: refused("This server does not call tools.", emptyList),
  tool_choice: refused("This server does not call tools.", noneOrAuto),
  functions: refused("This server does not call functions.", emptyList),
  function_call: refused("This server does not call functions.", noneOrAuto),
  audio: refused("Audio is neither read nor made."),
  web_search_options: refused("This server does not search the web."),
  moderation: refused("This server does not moderate what is written."),
  chat_template: refused(
    "The model's own template is used; `chat_template_kwargs` sets its variables.",
  ),
  continue_final_message: refused(
    "A new turn is always begun; `/v1/completions` goes on with a text.",
    just(false),
  ),
  best_of: refused("Only text completions choose the best; `n` makes several answers.", just(1)),
  echo: refused("Only text completions repeat their prompt.", just(false)),
  metadata: ignored("Nothing is stored."),
  parallel_tool_calls: ignored("There are no tools to call."),
  prediction: ignored("Only ever a hint to answer faster."),
  prompt_cache_key: ignored("Prefixes are found by their content."),
  prompt_cache_options: ignored("Prefixes are found by their content."),
  prompt_cache_retention: ignored("Prefixes stay as long as there is room."),
  safety_identifier: ignored("Nothing is stored."),
  service_tier: ignored("There is one tier."),
  store: ignored("Nothing is stored."),
  verbosity: ignored("Only a hint."),
} as const satisfies Fields;

export const chatShape = objectOf(chatFields);
export type ChatBody = z.infer<typeof chatShape>;
