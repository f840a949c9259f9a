/** Every field of POST /v1/chat/completions and of its messages. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { formFields, thinkingFields } from "../form-fields.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  emptyList,
  type Fields,
  type Harmless,
  ignored,
  jsonObject,
  just,
  objectOf,
  parallelCallsField,
  refused,
  samplingFields,
  used,
} from "../request-fields.ts";
import { chatContent } from "./chat-content.ts";

const functionName = z.object({ name: z.string().min(1) });

const functionTool = z.object({
  type: z.literal("function", { error: "only tools of type 'function' are taken here" }),
  function: z.object({
    name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, {
      error: "a function's name has 1 to 64 letters (a–z), digits, _ and -",
    }),
    description: z.string().nullish(),
    parameters: jsonObject.nullish(),
    strict: z.boolean().nullish(),
  }),
});

const namedTool = z.object({ type: z.literal("function"), function: functionName });

const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.discriminatedUnion("type", [
      namedTool,
      z.object({
        type: z.literal("allowed_tools"),
        allowed_tools: z.object({ mode: z.enum(["auto", "required"]), tools: z.array(namedTool) }),
      }),
    ]),
  ],
  { error: 'expected "none", "auto", "required", a function or allowed tools' },
);
export type ToolChoice = z.infer<typeof toolChoice>;

const toolCall = z.object({
  id: z.string().min(1).max(256),
  type: z.literal("function", { error: "only calls of type 'function' are taken here" }).nullish(),
  function: z.object({ name: z.string().min(1).max(256), arguments: z.string() }),
});

const noneOrAuto: Harmless = { is: (v) => v === "none" || v === "auto", as: '"none"' };

const templateValue = z.union([z.string(), z.number(), z.boolean(), z.null()], {
  error: "expected a string, a number, a boolean or null",
});

/** Every field of one message. */
export const messageFields = {
  role: used(
    z.enum(["system", "developer", "user", "assistant", "tool"]),
    "`system`, `developer` (rendered as `system`), `user`, `assistant` or `tool`.",
  ),
  content: used(
    chatContent.nullish(),
    `Text, or up to ${requestLimits.content_parts} parts of type \`text\`, joined by line breaks. ` +
      "Null only from the assistant. Pictures, audio, videos and files are a 400.",
    requestLimits.content_parts,
  ),
  name: used(z.string().nullish(), "Handed to the chat template."),
  reasoning_content: used(z.string().nullish(), "Handed to the chat template."),
  reasoning: used(z.string().nullish(), "The same under another name; `reasoning_content` wins."),
  refusal: ignored("What an answer of OpenAI carries."),
  annotations: ignored("What an answer of OpenAI carries."),
  audio: refused("Audio is neither read nor made."),
  tool_calls: used(
    z.array(toolCall).nullish(),
    `Up to ${requestLimits.tool_calls} calls of functions, only from the assistant. An id that is ` +
      "not answered yet is taken once. `arguments` is JSON as text. All calls together have at " +
      `most ${requestLimits.json_values} values in their arguments, and 64 levels.`,
    requestLimits.tool_calls,
  ),
  tool_call_id: used(
    z.string().max(256).nullish(),
    "Of a message with the role `tool`, which needs it: which call of an earlier message it answers.",
  ),
  function_call: refused("Its successor is 'tool_calls'."),
} as const satisfies Fields;

export const messageShape = objectOf(messageFields);
export type ChatMessage = z.infer<typeof messageShape>;

const prediction = z.object({
  type: z.literal("content"),
  content: z.union([
    z.string(),
    z
      .array(z.object({ type: z.literal("text"), text: z.string() }))
      .max(requestLimits.content_parts),
  ]),
});

export const chatFields = {
  ...samplingFields,
  ...formFields,
  ...thinkingFields,
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
  tools: used(
    z.array(functionTool).nullish(),
    `Up to ${requestLimits.tools} functions, each name once, ${requestLimits.tools_chars} characters ` +
      `and ${requestLimits.json_values} values together. ` +
      "The chat template shows them to the model. `strict: true` holds the arguments of " +
      "calls to their schema (see *Forms of answers*).",
    requestLimits.tools,
  ),
  tool_choice: used(
    toolChoice.nullish(),
    '`"none"`, `"auto"` (default), `"required"`, a function by name, or `allowed_tools` with mode ' +
      "`auto` or `required`, which shows the model these alone.",
  ),
  parallel_tool_calls: parallelCallsField,
  prediction: used(
    prediction.nullish(),
    "What most of the answer is likely to be, such as the text that it changes. Workers with " +
      "`--speculate ngram` compute what comes as it is predicted in fewer steps; the answer is the " +
      "same. `usage.completion_tokens_details` counts the guesses that were right and wrong.",
  ),
  functions: refused("Its successor is 'tools'.", emptyList),
  function_call: refused("Its successor is 'tool_choice'.", noneOrAuto),
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
