/** Every field of POST /tokenize and POST /detokenize: vLLM's entrypoints/serve/tokenize. */
import { z } from "zod";
import { chatFields } from "../chat/chat-fields.ts";
import { type Fields, just, objectOf, refused, tokenIds, used } from "../request-fields.ts";

/** Of one answer; more than any model takes, and still little to write down. */
export const TOKENS_MAX = 1_048_576;

const model = used(
  z.string().min(1).nullish(),
  "Served name of the model; `/v1/models` lists them. May be left out while there is one.",
);

export const tokenizeFields = {
  model,
  prompt: used(
    z.string().nullish(),
    `A text of at most ${TOKENS_MAX} tokens; may be longer than the model's context. ` +
      "Either this or `messages`.",
  ),
  messages: used(
    chatFields.messages.shape.nullish(),
    "A conversation: its tokens are those that `/v1/chat/completions` gives to the model.",
    chatFields.messages.items_max,
  ),
  add_special_tokens: used(
    z.boolean().nullish(),
    "Put the model's begin (and end) token around `prompt`. Default true. With `messages` the chat " +
      "template decides, and `true` is a 400.",
  ),
  return_token_strs: used(
    z.boolean().nullish(),
    "Give the text of each token as `token_strs`; where a token ends inside a character, U+FFFD.",
  ),
  add_generation_prompt: used(
    chatFields.add_generation_prompt.shape,
    "Handed to the chat template. Default true: the assistant's turn begins. Only with `messages`.",
  ),
  chat_template_kwargs: used(
    chatFields.chat_template_kwargs.shape,
    "Variables for the chat template, as in chats. Only with `messages`.",
    chatFields.chat_template_kwargs.items_max,
  ),
  tools: chatFields.tools,
  chat_template: chatFields.chat_template,
  continue_final_message: refused("A new turn is always begun; send `prompt`.", just(false)),
  mm_processor_kwargs: refused("Only text is read."),
} as const satisfies Fields;

export const tokenizeShape = objectOf(tokenizeFields);
export type TokenizeBody = z.infer<typeof tokenizeShape>;

export const detokenizeFields = {
  model,
  tokens: used(
    tokenIds,
    `Up to ${TOKENS_MAX} token ids. One outside the vocabulary is a 400.`,
    TOKENS_MAX,
  ),
} as const satisfies Fields;

export const detokenizeShape = objectOf(detokenizeFields);
