/**
 * GET /tokenizer_info: what a client without the tokenizer's files has to know of it. vLLM's route;
 * lm-eval tokenizes over HTTP where it and POST /tokenize are there.
 */
import { type JsonRoute, jsonAnswer } from "../json-route.ts";
import { TOKENS_MAX } from "./tokenize-fields.ts";

export const tokenizerInfo: JsonRoute = {
  makes: "json",
  method: "GET",
  path: "/tokenizer_info",
  access: "key",
  page: { summary: "Special tokens and chat template of the only model" },
  handle: (scope) => {
    const served = scope.modelWith(undefined, TOKENS_MAX);
    const { tokenizer, bos_text, eos_text, chat_template } = served;
    const { pad, unk } = tokenizer.special;
    const spelling = (token: number | undefined) =>
      token === undefined ? null : new TextDecoder().decode(tokenizer.tokenBytes(token));
    return jsonAnswer({
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bos_text || null,
      eos_token: eos_text || null,
      pad_token: spelling(pad),
      unk_token: spelling(unk),
      add_bos_token: tokenizer.add_bos,
      add_eos_token: tokenizer.add_eos,
      model_max_length: scope.models.get(served.name)?.card.context_length ?? null,
      vocab_size: tokenizer.vocab_size,
      chat_template,
    });
  },
};
