/**
 * The dialect of POST /v1/messages. Preparing is pure but for the seed drawn from `random`;
 * everything that is wrong is an ApiError (400).
 */
import type { ServedModel, TemplateVariables } from "../../models/served-model.ts";
import { type ChatAnswer, chatAnswer } from "../../prompt/chat-answer.ts";
import type { FormRequest, ThinkingLimit } from "../../prompt/constraint.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import type { Generation, GenerationDialect } from "../dialect.ts";
import { responseFormat } from "../form-fields.ts";
import { nvextNames } from "../nvext-fields.ts";
import { messageErrorBody } from "./message-errors.ts";
import { toolRequest } from "./message-tools.ts";
import { readMessages } from "./message-turns.ts";
import {
  type CountBody,
  type MessagesBody,
  messagesFields,
  messagesShape,
} from "./messages-fields.ts";
import { MESSAGE_PREFIX, MessageChunks, messageBody } from "./messages-format.ts";

export const messages: GenerationDialect = {
  makes: "generation",
  name: "messages",
  path: "/v1/messages",
  page: { summary: "A message of Anthropic's form", schema: "MessagesRequest", streams: true },
  fields: messagesFields,
  nested: [nvextNames],
  id_prefix: MESSAGE_PREFIX,
  limit_fields: ["max_tokens"],
  id_header: "request-id",
  client_header: "anthropic-version",
  elsewhere: {
    batches:
      "Batches of messages are not here; POST /v1/batches takes a file of chats, completions or embeddings.",
  },
  prepare: (body, scope) => {
    const checked = scope.shaped(body, messagesShape);
    const context = scope.contextOf(checked.nvext);
    return prepareMessages(checked, scope.modelOf(checked.model), context);
  },
  chunks: (head) => new MessageChunks(head),
  body: messageBody,
  errorBody: messageErrorBody,
};

export function prepareMessages(
  body: MessagesBody,
  model: ServedModel,
  ctx: PrepareContext,
): Generation {
  const { answer, parsing } = messageAnswer(body, body, model, ctx);
  return {
    dialect: messages,
    model,
    answers: [answer],
    ...{ shown_each: 1, made_each: 1, counted_each: 1, echo: undefined, logprobs: false },
    stream: body.stream ?? false,
    // The last events of a stream say it, asked or not.
    include_usage: true,
    parsing,
  };
}

/** How the answer is made, beside what the prompt consists of. */
type Making = Pick<
  MessagesBody,
  "max_tokens" | "temperature" | "top_p" | "top_k" | "stop_sequences" | "seed"
>;

export function messageAnswer(
  body: CountBody,
  making: Making,
  model: ServedModel,
  ctx: PrepareContext,
): ChatAnswer {
  const { conversation, continues } = readMessages(body);
  const variables = templateVariables(body);
  const { temperature, top_p, top_k, seed, stop_sequences } = making;
  return chatAnswer(
    {
      ...{ conversation, continues, variables, cut_to_context: true },
      tools: toolRequest(body),
      add_generation_prompt: !continues,
      thinking: { chat_template_kwargs: variables },
      sampling: { model: body.model, temperature, top_p, top_k, seed, stop: stop_sequences },
      max_tokens: making.max_tokens,
      logprobs: -1,
      form: formOf(body),
      thinking_limit: thinkingLimit(body, model),
    },
    model,
    ctx,
  );
}

/** Throws ApiError (400). */
function templateVariables({ thinking, output_config }: CountBody): TemplateVariables {
  const effort = output_config?.effort;
  return {
    ...thinkingVariables(thinking),
    ...(effort == null ? {} : { reasoning_effort: EFFORTS[effort] }),
  };
}

/** Their newer field, or the beta's; undefined: any text. Throws ApiError (400). */
function formOf({ output_config, output_format }: CountBody): FormRequest | undefined {
  const format = output_config?.format;
  if (format != null)
    return responseFormat({ ...format, ...STRICT }, "output_config.format", false);
  if (output_format == null) return undefined;
  return responseFormat({ ...output_format, ...STRICT }, "output_format", false);
}

/** What cannot be held is a 400. */
const STRICT = { strict: true };

/** A budget is a limit where the engine can hold one, and else what the model makes of it. */
function thinkingLimit({ thinking }: CountBody, { card }: ServedModel): ThinkingLimit | undefined {
  if (thinking?.type !== "enabled" || thinking.budget_tokens == null) return undefined;
  if (card.capabilities?.constrains !== true) return undefined;
  return { max_tokens: thinking.budget_tokens, param: "thinking.budget_tokens" };
}

/** Templates go by one name or the other. */
function thinkingVariables(thinking: CountBody["thinking"]): TemplateVariables {
  if (thinking?.type === "enabled") return { enable_thinking: true, thinking: true };
  if (thinking?.type === "disabled") return { enable_thinking: false, thinking: false };
  return {};
}

/** Templates know three. */
const EFFORTS = { low: "low", medium: "medium", high: "high", xhigh: "high", max: "high" } as const;
