/** Every field of POST /v1/responses and of the objects inside it. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { thinkingFields } from "../form-fields.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  emptyList,
  type Fields,
  ignored,
  jsonObject,
  just,
  objectOf,
  parallelCallsField,
  refused,
  samplingFields,
  used,
} from "../request-fields.ts";
import { conversationField, metadataField } from "./kept-fields.ts";

export const inputShape = z.union([z.string(), z.array(jsonObject)], {
  error: "expected a string or an array of items",
});

export const toolFields = {
  type: used(z.string(), "`function`. Hosted tools and custom tools are a 400 that names them."),
  name: used(
    z
      .string()
      .regex(/^[a-zA-Z0-9_-]{1,64}$/, {
        error: "a function's name has 1 to 64 letters (a–z), digits, _ and -",
      })
      .nullish(),
    "1 to 64 letters (a–z), digits, `_` and `-`; each name once.",
  ),
  description: used(z.string().nullish(), "Shown to the model."),
  parameters: used(jsonObject.nullish(), "JSON schema of the arguments, shown to the model."),
  strict: used(
    z.boolean().nullish(),
    "`true` holds the arguments of calls to their schema (see *Forms of answers*). Default false.",
  ),
  allowed_callers: ignored("The model itself calls."),
  defer_loading: ignored("All functions are shown at once."),
  output_schema: ignored("Results go to the chat template as they are."),
  async: refused("Results of calls are not waited for by this server.", just(false)),
} as const satisfies Fields;

const namedTool = z.object({ type: z.string(), name: z.string().min(1).nullish() });

const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.object({
      type: z.literal("allowed_tools"),
      mode: z.enum(["auto", "required"]),
      tools: z.array(namedTool),
    }),
    namedTool,
  ],
  { error: 'expected "none", "auto", "required", a function or allowed tools' },
);
export type AskedToolChoice = z.infer<typeof toolChoice>;

export const reasoningFields = {
  effort: used(
    z.string().nullish(),
    "Handed to the chat template as `reasoning_effort`; `none` turns thinking off where the template can.",
  ),
  summary: ignored("Reasoning is given whole, as `reasoning_text`."),
  generate_summary: ignored("Reasoning is given whole, as `reasoning_text`."),
  context: ignored("The chat template decides which reasoning it shows."),
  mode: ignored("There is one mode."),
} as const satisfies Fields;

export const textFields = {
  format: used(
    jsonObject.nullish(),
    "`type`: `text`, `json_object`, or `json_schema` with `name`, `schema` and `strict` beside it. See " +
      "*Forms of answers*.",
  ),
  verbosity: ignored("Only a hint."),
} as const satisfies Fields;

const INCLUDABLE = [
  "file_search_call.results",
  "web_search_call.results",
  "web_search_call.action.sources",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs",
  "reasoning.encrypted_content",
  "message.output_text.logprobs",
] as const;

export const LOGPROBS_INCLUDED = "message.output_text.logprobs";

/** What a conversation with a model consists of, beside what is stored. */
export const contextFields = {
  input: used(
    inputShape.nullish(),
    `A text, or up to ${requestLimits.messages} items: messages of text, \`function_call\`, ` +
      "`function_call_output`, `reasoning`, `item_reference`. Other items, images, files and audio are a 400.",
    requestLimits.messages,
  ),
  instructions: used(z.string().nullish(), "A system message before all others; not carried over."),
  previous_response_id: used(
    z.string().min(1).nullish(),
    "A stored response: what went into it and came out of it goes before `input`. Not beside `conversation`.",
  ),
  conversation: conversationField,
  tools: used(
    z.array(objectOf(toolFields)).nullish(),
    `Up to ${requestLimits.tools} functions; see *tools* below. The chat template shows them to the model.`,
    requestLimits.tools,
  ),
  tool_choice: used(
    toolChoice.nullish(),
    '`"none"`, `"auto"` (default), `"required"`, a function by name, or `allowed_tools` with mode ' +
      "`auto` or `required`, which shows the model these alone.",
  ),
  parallel_tool_calls: parallelCallsField,
  reasoning: used(objectOf(reasoningFields).nullish(), "See *reasoning* below."),
  text: used(objectOf(textFields).nullish(), "See *text* below."),
  truncation: used(
    z.enum(["auto", "disabled"]).nullish(),
    "`auto`: the oldest turns are left out where the context is too short. `disabled` (default): a 400.",
  ),
} as const satisfies Fields;

const { temperature, top_p, top_k, min_p, typical_p, repetition_penalty } = samplingFields;
const { frequency_penalty, presence_penalty, logit_bias, seed, stop } = samplingFields;
const { stop_token_ids, include_stop_str_in_output, min_tokens, ignore_eos } = samplingFields;

export const responseFields = {
  model: used(
    z.string().min(1).nullish(),
    "Served name of the model; `/v1/models` lists them. May be left out while there is one.",
  ),
  ...contextFields,
  max_output_tokens: used(
    count(1).nullish(),
    "Most tokens of the answer, reasoning included. Default: what is left of the context, at most 16384.",
  ),
  stream: samplingFields.stream,
  stream_options: ignored("`include_obfuscation`: nothing is obfuscated."),
  store: used(
    z.boolean().nullish(),
    "Default true: it can be read, continued, resumed and deleted, by the key that made it. `false`: nothing is kept.",
  ),
  background: used(
    z.boolean().nullish(),
    "The answer goes on without its client, who asks for it by `GET /v1/responses/ID`. Needs `store`.",
  ),
  metadata: metadataField,
  include: used(
    z.array(z.enum(INCLUDABLE)).nullish(),
    "`message.output_text.logprobs` is used. `reasoning.encrypted_content` adds nothing, as reasoning " +
      "is given as text; the others are of tools that there are not.",
    64,
  ),
  top_logprobs: used(
    count(0, requestLimits.top_logprobs).nullish(),
    `0–${requestLimits.top_logprobs} likeliest tokens beside each one. More than 0 includes the log probabilities.`,
  ),
  ...{ temperature, top_p, top_k, min_p, typical_p, repetition_penalty },
  ...{ frequency_penalty, presence_penalty, logit_bias, seed, stop },
  ...{ stop_token_ids, include_stop_str_in_output, min_tokens, ignore_eos },
  ...thinkingFields,
  nvext: nvextField,
  user: ignored("Nothing is done by it."),
  safety_identifier: ignored("Nothing is done by it."),
  service_tier: ignored("There is one tier."),
  max_tool_calls: ignored("It limits calls of hosted tools, and there are none."),
  prompt_cache_key: ignored("Prefixes are found by their content."),
  prompt_cache_options: ignored("Prefixes are found by their content."),
  prompt_cache_retention: ignored("Prefixes stay as long as there is room."),
  access_programs: ignored("There are none."),
  image: ignored("Images are not read."),
  context_management: refused("Contexts are not compacted.", emptyList),
  moderation: refused("This server does not moderate what is written."),
  prompt: refused("There are no stored prompts."),
} as const satisfies Fields;

export const responseShape = objectOf(responseFields);
export type ResponseBody = z.infer<typeof responseShape>;

const contextShape = objectOf(contextFields);
/** The part of a body that says what the model reads. */
export type ContextBody = z.infer<typeof contextShape>;

export const contextNested = [
  // Tools that this server does not have, with fields of their own, are told by their type.
  { name: "tools", fields: toolFields, is_list: true, ignores_unknown: true },
  { name: "reasoning", fields: reasoningFields, is_list: false, ignores_unknown: false },
  { name: "text", fields: textFields, is_list: false, ignores_unknown: false },
] as const;
