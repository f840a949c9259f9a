/** Fields that all routes have in common that ask a worker what a model makes of whole inputs. */
import { z } from "zod";
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { nvextField } from "./nvext-fields.ts";
import { type Fields, ignored, just, promptInput, refused, used } from "./request-fields.ts";

export const poolFields = {
  model: used(z.string().min(1), "Served name of the model; `/v1/models` lists them."),
  user: used(
    z
      .string()
      .refine((text) => text.trim() !== "", { error: "must not be blank" })
      .nullish(),
    "Checked (not blank), then ignored.",
  ),
  nvext: nvextField,
  metadata: ignored("Nothing is stored."),
  request_id: ignored("The server names requests itself; the header `X-Request-Id` is echoed."),
  truncate_prompt_tokens: refused("Inputs are never cut; shorten them before."),
  truncation_side: refused("Inputs are never cut; shorten them before."),
  priority: refused("The header `x-dynamo-request-priority` says it.", just(0)),
  cache_salt: refused("Prefix caches are not separated by salt."),
  mm_processor_kwargs: refused("Only text is read."),
} as const satisfies Fields;

export const inputField = used(
  promptInput,
  "A string, token ids, or an array of either; " +
    `at most ${requestLimits.embedding_inputs} inputs, none empty.`,
);

export const inputFields = {
  input: inputField,
  messages: refused("Conversations are not judged; send `input`."),
  add_special_tokens: refused("The model's own begin and end tokens are put around.", just(true)),
} as const satisfies Fields;

/** A text, or an object that holds one, as Cohere's and Jina's clients send it. */
export const textItem = z.union([z.string(), z.object({ text: z.string() })], {
  error: 'expected a string or {"text": …}; images are not read',
});

export type TextItem = z.infer<typeof textItem>;

export const textOf = (item: TextItem): string => (typeof item === "string" ? item : item.text);

export const usageOf = (prompt_tokens: number) => ({
  ...{ prompt_tokens, total_tokens: prompt_tokens, completion_tokens: 0 },
  prompt_tokens_details: null,
});
