/** POST /tokenize: a text or a conversation → token ids. Shapes: vLLM's. */
import type { ServedModel } from "../../models/served-model.ts";
import { checkText, encodeText } from "../../prompt/prompt-text.ts";
import { ApiError, invalidValue } from "../api-error.ts";
import { chat } from "../chat/chat.ts";
import { type JsonRoute, jsonTextAnswer, type RouteScope } from "../json-route.ts";
import { TOKENS_MAX, type TokenizeBody, tokenizeFields, tokenizeShape } from "./tokenize-fields.ts";

export const tokenize: JsonRoute = {
  makes: "json",
  method: "POST",
  path: "/tokenize",
  access: "key",
  counted: "tokenize",
  page: { summary: "Text or a conversation to token ids", schema: "TokenizeRequest" },
  body: {
    fields: tokenizeFields,
    nested: chat.nested.filter(({ name }) => Object.hasOwn(tokenizeFields, name)),
  },
  handle: async (scope) => {
    const body = scope.shaped(scope.body, tokenizeShape);
    checkForm(body);
    const served = scope.modelWith(body.model, TOKENS_MAX);
    const tokens = tokensOf(scope, served, body);
    const { context_length } = scope.models.get(served.name)?.card ?? served.card;
    const strs = body.return_token_strs === true ? await textsJson(scope, served, tokens) : "null";
    const ids = await idsJson(scope, tokens);
    return jsonTextAnswer(
      `{"count":${tokens.length},"max_model_len":${context_length},` +
        `"tokens":${ids},"token_strs":${strs}}`,
    );
  },
};

/** Fields that mean something with `messages` alone. */
const chatOnly = ["add_generation_prompt", "chat_template_kwargs", "tools"] as const;

function checkForm(body: TokenizeBody): void {
  const { prompt, messages } = body;
  if (prompt == null && messages == null) {
    throw new ApiError(
      400,
      "missing_required_parameter",
      "Missing required parameter: 'prompt', or 'messages' for a conversation.",
      "prompt",
    );
  }
  if (prompt != null && messages != null) {
    throw invalidValue("'prompt' and 'messages' exclude each other; send one of them.", "prompt");
  }
  if (messages != null && body.add_special_tokens === true) {
    throw invalidValue(
      "'add_special_tokens' is for 'prompt'; in a conversation the chat template decides. Leave it " +
        "out.",
      "add_special_tokens",
    );
  }
  const stray = prompt == null ? undefined : chatOnly.find((name) => body[name] != null);
  if (stray !== undefined) {
    throw invalidValue(`'${stray}' is for 'messages'; leave it out beside 'prompt'.`, stray);
  }
}

/** Throws ApiError (400). */
function tokensOf(scope: RouteScope, served: ServedModel, body: TokenizeBody): Uint32Array {
  const { prompt } = body;
  try {
    if (prompt == null) return chatTokens(scope, served);
    const add_special = body.add_special_tokens ?? true;
    return encodeText(
      served,
      checkText(prompt, "prompt"),
      { add_special, parse_special: true },
      "prompt",
    );
  } catch (error) {
    if (error instanceof ApiError && error.code === "context_length_exceeded") throw tooMany(error);
    throw error;
  }
}

/** The prompt of a chat answer to the same conversation. */
function chatTokens(scope: RouteScope, served: ServedModel): Uint32Array {
  const { messages, add_generation_prompt, chat_template_kwargs, tools } = scope.body as Readonly<
    Record<string, unknown>
  >;
  const asked = { messages, add_generation_prompt, chat_template_kwargs, tools };
  const { answers } = chat.prepare(
    { ...asked, model: served.name, temperature: 0, max_tokens: 1 },
    { contextOf: scope.contextOf, shaped: scope.shaped, modelOf: () => served },
  );
  return answers[0]!.prompt;
}

const tooMany = ({ param }: ApiError) =>
  invalidValue(
    `'${param}' has more than ${TOKENS_MAX} tokens, too many for one answer; send it in parts.`,
    param,
  );

/** Items that are written in one go, which takes about a millisecond. */
const SLICE = 16_384;

async function idsJson(scope: RouteScope, tokens: Uint32Array): Promise<string> {
  const parts: string[] = [];
  for (let from = 0; from < tokens.length; from += SLICE) {
    if (from > 0) await scope.pause();
    parts.push(tokens.subarray(from, from + SLICE).join(","));
  }
  return `[${parts.join(",")}]`;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

async function textsJson(
  scope: RouteScope,
  { tokenizer }: ServedModel,
  tokens: Uint32Array,
): Promise<string> {
  const parts: string[] = [];
  for (let from = 0; from < tokens.length; from += SLICE) {
    if (from > 0) await scope.pause();
    const texts: string[] = [];
    for (const token of tokens.subarray(from, from + SLICE)) {
      texts.push(tokenizer.asciiText(token) ?? decoder.decode(tokenizer.tokenBytes(token)));
    }
    parts.push(JSON.stringify(texts).slice(1, -1));
  }
  return `[${parts.join(",")}]`;
}
