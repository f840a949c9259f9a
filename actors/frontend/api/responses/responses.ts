/**
 * The dialect of POST /v1/responses. What it stores, and what is done without a client, is the
 * keeper's (actors/frontend/kept/); here a body becomes an answer, and an answer a response.
 */

import { RESPONSE_PREFIX } from "../../kept/item-ids.ts";
import type { ServedModel, TemplateVariables } from "../../models/served-model.ts";
import { type ChatAnswer, type ChatAnswerRequest, chatAnswer } from "../../prompt/chat-answer.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import { invalidValue } from "../api-error.ts";
import type { Generation, GenerationDialect, RequestScope } from "../dialect.ts";
import { responseFormat, thinkingLimit } from "../form-fields.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import type { SamplingBody } from "../request-fields.ts";
import { fitting } from "./fitting.ts";
import { conversationOf } from "./input-turns.ts";
import { keptInput } from "./kept-input.ts";
import { loadEarlier } from "./load-earlier.ts";
import { ResponseEvents } from "./response-events.ts";
import {
  type ContextBody,
  contextNested,
  LOGPROBS_INCLUDED,
  type ResponseBody,
  responseFields,
  responseShape,
} from "./response-fields.ts";
import { shellOf } from "./response-object.ts";
import { toolRequest } from "./response-tools.ts";

export const responses: GenerationDialect = {
  makes: "generation",
  name: "responses",
  path: "/v1/responses",
  page: { summary: "An answer in items, stored", schema: "ResponseRequest", streams: true },
  fields: responseFields,
  nested: [...contextNested, nvextNames],
  id_prefix: RESPONSE_PREFIX,
  limit_fields: ["max_output_tokens"],
  load: loadEarlier,
  prepare: (body, scope) => {
    const checked = scope.shaped(body, responseShape);
    const context = scope.contextOf(checked.nvext);
    return prepareResponse(checked, scope.modelOf(checked.model ?? undefined), context, scope);
  },
  chunks: (head) => new ResponseEvents(head, requestOf(head.id)),
  whole: (head) => new ResponseEvents(head, requestOf(head.id)),
  errorBody: openAiErrorBody,
};

const requestOf = (id: string): string => id.slice(RESPONSE_PREFIX.length);

function prepareResponse(
  body: ResponseBody,
  model: ServedModel,
  ctx: PrepareContext,
  { earlier }: RequestScope,
): Generation {
  const { top_logprobs, include, stream, background, store, text } = body;
  checkWishes(body);
  const logprobs = (top_logprobs ?? 0) > 0 || include?.includes(LOGPROBS_INCLUDED) === true;
  const { user: _ignored, ...asked } = body;
  const sampling: SamplingBody = { ...asked, model: model.name, stream_options: undefined };
  const { answer, parsing } = contextAnswer(body, earlier, model, ctx, {
    sampling,
    max_tokens: body.max_output_tokens ?? undefined,
    logprobs: logprobs ? (top_logprobs ?? 0) : -1,
    form: text?.format == null ? undefined : responseFormat(text.format, "text.format", false),
    thinking_limit: thinkingLimit(body),
  });
  return {
    dialect: responses,
    model,
    answers: [answer],
    shown_each: 1,
    made_each: 1,
    counted_each: 1,
    echo: undefined,
    stream: stream ?? false,
    // The last event has it.
    include_usage: true,
    logprobs,
    parsing,
    shell: shellOf(body, answer.sampling),
    ...(store === false
      ? {}
      : { keep: { background: background ?? false, input: keptInput(body, ctx.request) } }),
  };
}

/** A prompt out of what the body says and what was stored before. Throws ApiError (400). */
export function contextAnswer(
  body: ContextBody,
  earlier: RequestScope["earlier"],
  model: ServedModel,
  ctx: PrepareContext,
  more: Pick<ChatAnswerRequest, "sampling" | "max_tokens" | "logprobs" | "form" | "thinking_limit">,
): ChatAnswer {
  const effort = body.reasoning?.effort;
  const variables: TemplateVariables = effort == null ? {} : { reasoning_effort: effort };
  const request = {
    tools: toolRequest(body),
    add_generation_prompt: true,
    variables,
    thinking: { reasoning_effort: effort },
    ...more,
  };
  const conversation = conversationOf(body, earlier);
  const answerTo = (turns: typeof conversation.turns) =>
    chatAnswer({ ...request, conversation: { ...conversation, turns } }, model, ctx);
  return body.truncation === "auto"
    ? fitting(conversation.turns, answerTo)
    : answerTo(conversation.turns);
}

function checkWishes({ background, store, previous_response_id, conversation }: ResponseBody) {
  if (background === true && store === false) {
    throw invalidValue(
      "'background' needs 'store': its client asks for the response later. Leave 'store' out.",
      "background",
    );
  }
  if (previous_response_id != null && conversation != null) {
    throw invalidValue(
      "'previous_response_id' and 'conversation' exclude each other; send one of them.",
      "previous_response_id",
    );
  }
}
