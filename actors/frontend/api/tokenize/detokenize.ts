/** POST /detokenize: token ids → text, control tokens by their spelling. Shapes: vLLM's. */
import { Detokenizer } from "../../../../llm/tokens/detokenizer.ts";
import { checkTokenIds } from "../../prompt/prompt-text.ts";
import { type JsonRoute, jsonAnswer } from "../json-route.ts";
import { detokenizeFields, detokenizeShape, TOKENS_MAX } from "./tokenize-fields.ts";

/** Tokens that become text in one go, which takes a few milliseconds. */
const SLICE = 16_384;

export const detokenize: JsonRoute = {
  makes: "json",
  method: "POST",
  path: "/detokenize",
  access: "key",
  counted: "detokenize",
  page: { summary: "Token ids to text", schema: "DetokenizeRequest" },
  body: { fields: detokenizeFields, nested: [] },
  handle: async (scope) => {
    const { model, tokens } = scope.shaped(scope.body, detokenizeShape);
    const served = scope.modelWith(model, TOKENS_MAX);
    const ids = checkTokenIds(served, tokens, "tokens");
    const options = { show_control: true, at_text_start: true };
    const detokenizer = new Detokenizer(served.tokenizer, options);
    let prompt = "";
    for (let from = 0; from < ids.length; from += SLICE) {
      if (from > 0) await scope.pause();
      prompt += detokenizer.push(ids.subarray(from, from + SLICE));
    }
    return jsonAnswer({ prompt: prompt + detokenizer.flush() });
  },
};
