/** Prompts for a gap in a text: what stands before it and what follows it, by the model's marks. */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { unsupported } from "../api/api-error.ts";
import type { PromptInput } from "../api/request-fields.ts";
import type { ServedModel } from "../models/served-model.ts";
import { type Prompt, readPrompts } from "./prompt-text.ts";

/**
 * The gap is to be filled in each of the prompts, before one suffix. The order is prefix, suffix,
 * middle, as llama.cpp's /infill has it. Throws ApiError (400), also for a model without marks.
 */
export function gapPrompts(
  model: ServedModel,
  input: PromptInput,
  suffix: string,
): readonly Prompt[] {
  const { tokenizer } = model;
  const { bos, fim_pre, fim_suf, fim_mid } = tokenizer.special;
  if (fim_pre === undefined || fim_suf === undefined || fim_mid === undefined) {
    throw unsupported(
      `'suffix' needs a model with tokens for the gap in a text, and '${model.name}' has none. ` +
        "Remove the field.",
      "suffix",
    );
  }
  const begin = tokenizer.add_bos && bos !== undefined ? [bos] : [];
  const [after] = readPrompts(model, suffix, "suffix", 1, "within");
  return readPrompts(model, input, "prompt", requestLimits.answers, "within").map((before) => {
    const { param, text } = before;
    const tokens = Uint32Array.from([
      ...begin,
      fim_pre,
      ...before.tokens,
      fim_suf,
      ...after!.tokens,
      fim_mid,
    ]);
    return { param, text, tokens };
  });
}
