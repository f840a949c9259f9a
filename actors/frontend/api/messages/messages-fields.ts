/**
 * Every field of POST /v1/messages and of the messages in it, with Anthropic's names. Those that
 * its beta alone has are here too: clients send them with `?beta=true`.
 */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  emptyList,
  type Fields,
  ignored,
  jsonObject,
  objectOf,
  refused,
  samplingFields,
  used,
} from "../request-fields.ts";

export const textBlock = z.object({ type: z.literal("text"), text: z.string() });

/** Content that some models read. What is missing in its source is of no use to any of them. */
const mediaBlock = z.object({
  type: z.enum(["image", "document", "audio"]),
  source: z
    .object({
      type: z.string(),
      data: z.string().nullish(),
      media_type: z.string().nullish(),
      url: z.string().nullish(),
      file_id: z.string().nullish(),
    })
    .nullish(),
});
export type MediaBlock = z.infer<typeof mediaBlock>;

/** One of a type without a shape is refused when its place is known. */
function anyBlock(shape: (type: string) => z.ZodType | undefined) {
  return z.looseObject({ type: z.string() }).check((given) => {
    const checked = shape(given.value.type)?.safeParse(given.value);
    for (const issue of checked?.error?.issues ?? []) {
      given.issues.push({ ...issue, input: given.value } as (typeof given.issues)[number]);
    }
  });
}

const resultBlock = anyBlock(shapeInResult);
function shapeInResult(type: string): z.ZodType | undefined {
  if (type === "text") return textBlock;
  return type === "image" || type === "document" ? mediaBlock : undefined;
}
const resultContent = z.union([z.string(), z.array(resultBlock).max(requestLimits.content_parts)], {
  error: "expected a string or an array of text blocks",
});

const thinkingBlock = z.object({ type: z.literal("thinking"), thinking: z.string() });
const redactedBlock = z.object({ type: z.literal("redacted_thinking") });
const toolUseBlock = z.object({
  type: z.literal("tool_use"),
  id: z.string().min(1).max(256),
  name: z.string().min(1).max(256),
  input: jsonObject,
});
const toolResultBlock = z.object({
  type: z.literal("tool_result"),
  tool_use_id: z.string().min(1).max(256),
  content: resultContent.nullish(),
  is_error: z.boolean().nullish(),
});

const blockShapes = {
  text: textBlock,
  thinking: thinkingBlock,
  redacted_thinking: redactedBlock,
  tool_use: toolUseBlock,
  tool_result: toolResultBlock,
  image: mediaBlock,
  document: mediaBlock,
  audio: mediaBlock,
} as const;
export type ReadBlock = z.infer<(typeof blockShapes)[keyof typeof blockShapes]>;
export type ToolResultBlock = z.infer<typeof toolResultBlock>;

const shapeOf = (type: string): z.ZodType | undefined =>
  Object.hasOwn(blockShapes, type) ? blockShapes[type as keyof typeof blockShapes] : undefined;

const block = anyBlock(shapeOf);

/** Undefined: it is of a type that is not read here. */
export const asRead = (given: { readonly type: string }): ReadBlock | undefined =>
  shapeOf(given.type) === undefined ? undefined : (given as ReadBlock);

const contentList = z.array(block).max(requestLimits.content_parts);
const content = z.union([z.string(), contentList], {
  error: "expected a string or an array of content blocks",
});

const message = z.object({ role: z.enum(["user", "assistant", "system"]), content });
export type Message = z.infer<typeof message>;

/** Of a tool that has a type of its own nothing else is looked at. */
const tool = z.object({
  type: z.string().nullish(),
  name: z.string().nullish(),
  description: z.string().nullish(),
  input_schema: jsonObject.nullish(),
  strict: z.boolean().nullish(),
});
export type MessageTool = z.infer<typeof tool>;

const one = { disable_parallel_tool_use: z.boolean().nullish() };
const toolChoice = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("auto"), ...one }),
    z.object({ type: z.literal("any"), ...one }),
    z.object({ type: z.literal("tool"), name: z.string().min(1), ...one }),
    z.object({ type: z.literal("none") }),
  ],
  { error: "expected auto, any, tool or none" },
);
export type MessageToolChoice = z.infer<typeof toolChoice>;

const thinking = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("enabled"), budget_tokens: count(1).nullish() }),
    z.object({ type: z.literal("adaptive") }),
    z.object({ type: z.literal("between_tools") }),
    z.object({ type: z.literal("disabled") }),
  ],
  { error: "expected enabled, adaptive, between_tools or disabled" },
);
export type MessageThinking = z.infer<typeof thinking>;

const outputConfig = z.object({
  effort: z.enum(["low", "medium", "high", "xhigh", "max"]).nullish(),
  format: jsonObject.nullish(),
});

/** What POST /v1/messages/count_tokens knows too. */
export const promptFields = {
  model: used(z.string().min(1), "Served name of the model; `/v1/models` lists them."),
  messages: used(
    z.array(message).min(1),
    `1–${requestLimits.messages}. Neighbours of one role are one turn. When the last one is the ` +
      "assistant's, the answer goes on with its text: see [Prefill](#prefill).",
    requestLimits.messages,
  ),
  system: used(
    z
      .union([z.string(), z.array(textBlock).max(requestLimits.content_parts)], {
        error: "expected a string or an array of text blocks",
      })
      .nullish(),
    "A string, or text blocks, which are joined by line breaks. The first turn.",
  ),
  tools: used(
    z.array(tool).nullish(),
    `Up to ${requestLimits.tools} tools with \`input_schema\`, each name once, ` +
      `${requestLimits.tools_chars} characters and ${requestLimits.json_values} values together. ` +
      `Tools that Anthropic runs or knows by their ` +
      "type are a 400. `strict: true` holds the input of calls to their schema (see *Forms of answers*).",
    requestLimits.tools,
  ),
  tool_choice: used(
    toolChoice.nullish(),
    "`auto` (default), `any`, `tool` with a `name`, or `none`. `disable_parallel_tool_use`: at most " +
      "one call.",
  ),
  thinking: used(
    thinking.nullish(),
    "`enabled` and `disabled` are handed to the chat template as `enable_thinking`; `adaptive`, " +
      "`between_tools` and nothing leave it to the model. `budget_tokens` ends the thinking, where the " +
      "engine can hold it. `display` is ignored: thinking is shown.",
  ),
  output_config: used(
    outputConfig.nullish(),
    "`effort` is handed to the chat template as `reasoning_effort` (`xhigh` and `max` as `high`). " +
      "`format` is a JSON schema to which the text is held (see *Forms of answers*).",
  ),
  cache_control: ignored("Prefixes are found by their content."),
  context_management: ignored("Conversations are taken as they are sent."),
  compaction: ignored("Conversations are taken as they are sent."),
  speed: ignored("There is one speed."),
  billing_policy: ignored("Nothing is billed."),
  user_profile_id: ignored("Nothing is stored."),
  workspace_id: ignored("There are no workspaces."),
  betas: ignored("What a beta brings is here or is refused by its own field."),
  mcp_servers: refused("This server calls no other servers.", emptyList),
  output_format: used(jsonObject.nullish(), "The beta's name of `output_config.format`."),
} as const satisfies Fields;

export const messagesFields = {
  ...promptFields,
  max_tokens: used(
    count(1),
    "Most tokens of the answer. What the context has no room for is left out, and an answer that " +
      "fills it ends with `model_context_window_exceeded`.",
  ),
  stream: used(z.boolean().nullish(), "Server-sent events instead of one JSON body."),
  stop_sequences: used(
    z.array(z.string().max(requestLimits.stop_chars)).nullish(),
    `Up to ${requestLimits.stop} strings of at most ${requestLimits.stop_chars} characters. Not part ` +
      "of the answer. Empty ones are ignored.",
    requestLimits.stop,
  ),
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  top_k: samplingFields.top_k,
  seed: used(
    samplingFields.seed.shape,
    "Not Anthropic's: the same seed gives the same draws, as in chats.",
  ),
  nvext: nvextField,
  metadata: ignored("Nothing is stored."),
  service_tier: ignored("There is one tier."),
  diagnostics: ignored("Nothing is stored."),
  inference_geo: ignored("Answers are made where the workers are."),
  fallbacks: ignored("The named model answers."),
  fallback_credit_token: ignored("Nothing is billed."),
  container: refused("Nothing is run here."),
  thread: refused(
    "Conversations are not stored; send all of it. Anthropic's clients do so by themselves.",
  ),
} as const satisfies Fields;

export const countShape = objectOf(promptFields);
export type CountBody = z.infer<typeof countShape>;
export const messagesShape = objectOf(messagesFields);
export type MessagesBody = z.infer<typeof messagesShape>;
