/** Every field of POST /v1/completions. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { formFields } from "../form-fields.ts";
import { nvextField } from "../nvext-fields.ts";
import {
  count,
  type Fields,
  ignored,
  objectOf,
  promptInput,
  refused,
  samplingFields,
  used,
} from "../request-fields.ts";

export const completionFields = {
  ...samplingFields,
  ...formFields,
  nvext: nvextField,
  prompt: used(
    promptInput,
    "A string, token ids, or an array of either; " +
      `prompts × answers ≤ ${requestLimits.answers} in one request. ` +
      "An empty one starts from the model's begin token; 400 where there is none.",
  ),
  max_tokens: used(
    count(0).nullish(),
    "Most tokens of one answer. Default 16. 0 only with `echo` or `prompt_logprobs`.",
  ),
  logprobs: used(
    z.int().min(0).max(requestLimits.logprobs).nullish(),
    `0–${requestLimits.logprobs}: the chosen token's and that many likeliest ones'. With \`echo\` ` +
      `also of the prompt's tokens, the first one apart; at most ${requestLimits.prompt_scores} of ` +
      "them in one answer.",
  ),
  echo: used(z.boolean().nullish(), "Put the prompt before the answer."),
  best_of: used(
    count(1, requestLimits.best_of).nullish(),
    `Make this many, 1–${requestLimits.best_of}, give the \`n\` with the best mean log probability. ` +
      "≥ `n`, not with `stream`.",
  ),
  suffix: used(
    z.string().nullish(),
    "What follows the gap that the answer fills, behind `prompt`. For models with tokens for it " +
      "(`fim_prefix` and the like), else a 400. Not with `echo` or `prompt_logprobs`.",
  ),
  max_completion_tokens: refused("Only chats know it; here it is `max_tokens`."),
  prompt_embeds: refused("Prompts are text or token ids; send `prompt`."),
  metadata: ignored("Nothing is stored."),
  service_tier: ignored("There is one tier."),
  store: ignored("Nothing is stored."),
} as const satisfies Fields;

export const completionShape = objectOf(completionFields);
export type CompletionBody = z.infer<typeof completionShape>;
