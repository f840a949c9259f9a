/** From what a client wrote to token ids: every check that text and ids of a prompt need. */
import { ChatTemplateError } from "../../../llm/template/chat-template.ts";
import type { Rendered } from "../../../llm/template/guarded-render.ts";
import { detokenize } from "../../../llm/tokens/detokenizer.ts";
import { hasLongPiece } from "../../../llm/tokens/slices.ts";
import type { EncodeOptions } from "../../../llm/tokens/tokenizer.ts";
import { ApiError, clip, contextOverflow, halfPair, invalidValue } from "../api/api-error.ts";
import { isTokenIds, type PromptInput } from "../api/request-fields.ts";
import type { RenderOptions, ServedModel } from "../models/served-model.ts";
import { upToMark, withMark } from "./continued.ts";
import type { TimedStage } from "./prepare-context.ts";
import { LONG_TEXT } from "./tokens-ahead.ts";
import { type Conversation, templateMessages, textTurns } from "./turns.ts";

/** No vocabulary has longer tokens, so a longer text cannot fit and is not tokenized at all. */
const TOKEN_CHARS_LIMIT = 256;

/** Throws ApiError (400) for half a surrogate pair, which no encoding can carry. */
export function checkText(text: string, param: string): string {
  if (text.isWellFormed()) return text;
  throw halfPair(param);
}

/**
 * The most UTF-16 units that are tokenized in one go, which takes about 0.1 s at worst: of one
 * piece of a text that can be cut, and of a whole text where the tokenizer cannot cut.
 */
export const UNBROKEN_MAX = 262_144;
export const UNSLICEABLE_MAX = 1_048_576;

/** Throws ApiError (400) for a text that cannot fit into the context, or takes too long. */
export function encodeText(
  model: ServedModel,
  text: string,
  mode: EncodeOptions,
  param: string,
): Uint32Array {
  const context = model.card.context_length;
  const least = Math.ceil(text.length / TOKEN_CHARS_LIMIT);
  if (least > context) throw contextOverflow(context, least, 1, param, "at least ");
  if (text.length > UNBROKEN_MAX) checkUnbroken(model, text, param);
  const tokens = model.tokenizer.encode(text, mode);
  // For a long text these may be the tokens of its beginning only.
  if (tokens.length > context && text.length >= LONG_TEXT) {
    throw contextOverflow(context, tokens.length, 1, param, "at least ");
  }
  return tokens;
}

function checkUnbroken(model: ServedModel, text: string, param: string): void {
  const sliceable = model.tokenizer.sliceable === true;
  if (sliceable ? !hasLongPiece(text, UNBROKEN_MAX) : text.length <= UNSLICEABLE_MAX) return;
  const problem = sliceable
    ? `'${param}' has more than ${UNBROKEN_MAX} characters in a row without a single space ` +
      "between two letters (a–z), which take too long to tokenize. Put spaces between words"
    : `'${param}' is a text of ${text.length} characters; of '${model.name}' no more than ` +
      `${UNSLICEABLE_MAX} can be tokenized at once. Send less`;
  throw new ApiError(
    400,
    "text_unbroken",
    `${problem}, or send token ids to /v1/completions.`,
    param,
  );
}

/** Throws ApiError (400) for ids beyond the vocabulary. */
export function checkTokenIds(
  model: ServedModel,
  ids: readonly number[],
  param: string,
): Uint32Array {
  const vocabulary = model.tokenizer.vocab_size;
  for (let i = 0; i < ids.length; i += 1) {
    const id = ids[i] ?? 0;
    if (id >= vocabulary) {
      throw invalidValue(
        `'${param}[${i}]' is token ${id}, but the vocabulary ends at ${vocabulary - 1}.`,
        `${param}[${i}]`,
      );
    }
  }
  return Uint32Array.from(ids);
}

export type Prompt = {
  readonly param: string;
  readonly tokens: Uint32Array;
  /** As the client wrote it; undefined when it came as token ids. */
  readonly text: string | undefined;
};

/**
 * Meaning of an empty prompt: the begin of a text for completions, an error for embeddings, nothing
 * within a longer prompt, which also gets no tokens put around it.
 */
export type EmptyPrompt = "begins" | "refused" | "within";

/** One prompt or several, text or ids. Throws ApiError (400). */
export function readPrompts(
  model: ServedModel,
  input: PromptInput,
  param: string,
  prompts_max: number,
  empty: EmptyPrompt,
): readonly Prompt[] {
  const read = (item: string | readonly number[], path: string): Prompt => {
    if (item.length === 0 && empty !== "within") return emptyPrompt(model, item, path, empty);
    if (typeof item === "string") return textPrompt(model, item, path, empty !== "within");
    return { param: path, tokens: checkTokenIds(model, item, path), text: undefined };
  };
  if (typeof input === "string" || isTokenIds(input)) return [read(input, param)];
  if (input.length > prompts_max) {
    throw invalidValue(
      `'${param}' has ${input.length} items; at most ${prompts_max} go into one request.`,
      param,
    );
  }
  return input.map((item, i) => read(item, `${param}[${i}]`));
}

/** The begin token, as at OpenAI: without a prompt the model begins a new text. */
function emptyPrompt(
  model: ServedModel,
  item: string | readonly number[],
  param: string,
  empty: EmptyPrompt,
): Prompt {
  if (empty === "refused") {
    throw invalidValue(`'${param}' is empty; send at least one character or token id.`, param);
  }
  const { bos } = model.tokenizer.special;
  if (bos === undefined) {
    throw invalidValue(
      `'${param}' is empty, and '${model.name}' has no begin token that a text could start from; ` +
        "send at least one character or token id.",
      param,
    );
  }
  const text = typeof item === "string" ? item : undefined;
  return { param, tokens: Uint32Array.of(bos), text };
}

function textPrompt(model: ServedModel, text: string, param: string, add_special: boolean): Prompt {
  checkText(text, param);
  const tokens = encodeText(model, text, { add_special, parse_special: true }, param);
  if (tokens.length === 0 && text !== "") {
    throw invalidValue(`'${param}' has no token in the vocabulary of '${model.name}'.`, param);
  }
  return { param, tokens, text };
}

export type ChatPrompt = {
  readonly tokens: Uint32Array;
  /** As it was rendered. */
  readonly text: string;
};

/** `continues`: the prompt ends with the last turn's text, which is the assistant's. */
export type EncodeChatOptions = RenderOptions & { readonly continues?: boolean | undefined };

/** Conversation → tokens by the model's own template. Throws ApiError (400). */
export function encodeChat(
  model: ServedModel,
  conversation: Conversation,
  options: EncodeChatOptions,
  timed: TimedStage,
): ChatPrompt {
  // The check comes before the template runs, which is slow for texts full of control tokens.
  const turns = textTurns(model.name, conversation.turns);
  for (const turn of turns) {
    if (turn.content.length > UNBROKEN_MAX) checkUnbroken(model, turn.content, turn.param);
  }
  const messages = templateMessages(turns, conversation);
  const { param } = conversation;
  let rendered: Rendered;
  timed.begin();
  try {
    rendered =
      options.continues === true
        ? upToMark(model.renderChat(withMark(messages), options), model.name, param)
        : model.renderChat(messages, options);
  } catch (error) {
    if (!(error instanceof ChatTemplateError)) throw error;
    throw new ApiError(
      400,
      "template_refused",
      `The chat template of '${model.name}' refuses these messages: ${clip(error.message)}`,
      param,
    );
  }
  timed.end("template");
  const { text, barrier } = rendered;
  const tokens = encodeText(model, text, { ...chatMode(model, text), barrier }, param);
  timed.end("tokenize");
  if (tokens.length === 0) throw invalidValue("The messages render to an empty prompt.", param);
  return { tokens, text };
}

/** Tokens that are the prompt of a chat as they are. Throws ApiError (400). */
export function givenPrompt(model: ServedModel, ids: readonly number[]): ChatPrompt {
  if (ids.length === 0) throw invalidValue("'nvext.token_data' has no token.", "nvext.token_data");
  const tokens = checkTokenIds(model, ids, "nvext.token_data");
  const options = { show_control: true, at_text_start: true };
  return { tokens, text: detokenize(model.tokenizer, tokens.slice(-PROMPT_END_TOKENS), options) };
}

/** More than any opener of a reasoning has. */
const PROMPT_END_TOKENS = 64;

/** Most templates spell the begin token themselves; the others rely on the tokenizer. */
function chatMode(model: ServedModel, text: string): EncodeOptions {
  const spelled = model.bos_text !== "" && text.startsWith(model.bos_text);
  return { add_special: !spelled, parse_special: true };
}

/** The text of token ids, without control tokens: what `echo` shows for a prompt of ids. */
export const decodeTokens = (model: ServedModel, tokens: Uint32Array): string =>
  detokenize(model.tokenizer, tokens, { at_text_start: true });
