/**
 * The dialect of POST /v1/chat/completions. Preparing is pure but for the seed drawn from `random`;
 * everything that is wrong is an ApiError (400).
 */
import type { ServedModel, TemplateVariables } from "../../models/served-model.ts";
import { chatAnswer } from "../../prompt/chat-answer.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import { scoredAnswer, scoringOf } from "../../prompt/prompt-scoring.ts";
import { checkText } from "../../prompt/prompt-text.ts";
import { invalidValue } from "../api-error.ts";
import type { Generation, GenerationDialect } from "../dialect.ts";
import { formOf, thinkingLimit } from "../form-fields.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { type ChatBody, chatFields, chatShape, messageFields } from "./chat-fields.ts";
import { ChatChunks, chatBody } from "./chat-format.ts";
import { toolRequest } from "./chat-tools.ts";
import { conversationOf } from "./chat-turns.ts";
import { ParsedChatChunks } from "./parsed-chat-format.ts";

export const chat: GenerationDialect = {
  makes: "generation",
  name: "chat_completions",
  path: "/v1/chat/completions",
  page: { summary: "A chat answer", schema: "ChatRequest", streams: true },
  fields: chatFields,
  nested: [
    // Conversations hold answers of other servers, with fields of their own.
    { name: "messages", fields: messageFields, is_list: true, ignores_unknown: true },
    nvextNames,
  ],
  id_prefix: "chatcmpl-",
  limit_fields: ["max_completion_tokens", "max_tokens"],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, chatShape);
    const context = scope.contextOf(checked.nvext);
    return prepareChat(checked, scope.modelOf(checked.model), context);
  },
  // Two classes, so that an answer without a parser pays for none.
  chunks: (head) =>
    head.parsing === undefined ? new ChatChunks(head) : new ParsedChatChunks(head, head.parsing),
  body: chatBody,
  errorBody: openAiErrorBody,
};

export function prepareChat(body: ChatBody, model: ServedModel, ctx: PrepareContext): Generation {
  if (body.top_logprobs != null && body.top_logprobs > 0 && body.logprobs !== true) {
    throw invalidValue("'top_logprobs' needs 'logprobs': true.", "top_logprobs");
  }
  const { answer, parsing } = chatAnswer(
    {
      conversation: conversationOf(body.messages),
      tools: toolRequest(body),
      add_generation_prompt: body.add_generation_prompt ?? true,
      variables: templateVariables(body),
      thinking: body,
      sampling: body,
      max_tokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
      logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : -1,
      form: formOf(body),
      thinking_limit: thinkingLimit(body),
      predicted: predictedText(body),
    },
    model,
    ctx,
  );
  const n = body.n ?? 1;
  const stream = body.stream ?? false;
  const scoring = scoringOf(model, [{ tokens: answer.prompt, text: undefined }], {
    logprobs: answer.logprobs,
    echoed: false,
    prompt_logprobs: body.prompt_logprobs ?? -1,
    stream,
  });
  return {
    dialect: chat,
    model,
    answers: [scoredAnswer(answer, scoring, 1)],
    shown_each: n,
    made_each: answer.choices,
    counted_each: n,
    echo: undefined,
    stream,
    include_usage: body.stream_options?.include_usage ?? false,
    logprobs: body.logprobs === true,
    parsing,
    scoring,
  };
}

function predictedText({ prediction }: ChatBody): string | undefined {
  if (prediction == null) return undefined;
  const { content } = prediction;
  if (typeof content === "string") return checkText(content, "prediction.content");
  const texts = content.map(({ text }, i) => checkText(text, `prediction.content[${i}].text`));
  return texts.join("");
}

/** Variables that the server itself gives to the template. */
const ownVariables = [
  ...["messages", "add_generation_prompt", "bos_token", "eos_token"],
  ...["tools", "strftime_now"],
] as const;

function templateVariables(body: ChatBody): TemplateVariables {
  const given = body.chat_template_kwargs ?? {};
  for (const name of ownVariables) {
    if (!Object.hasOwn(given, name)) continue;
    throw invalidValue(
      `'chat_template_kwargs.${name}' cannot be set: the server hands '${name}' to the template. ` +
        (name === "messages" || name === "add_generation_prompt" || name === "tools"
          ? `Use the field '${name}' of the request.`
          : "Remove it."),
      `chat_template_kwargs.${name}`,
    );
  }
  return body.reasoning_effort == null
    ? given
    : { ...given, reasoning_effort: body.reasoning_effort };
}
