/** Every field of POST /v1/embeddings. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { nvextField } from "../nvext-fields.ts";
import { type Fields, ignored, objectOf, promptInput, refused, used } from "../request-fields.ts";

export const embeddingFields = {
  model: used(z.string().min(1), "Served name of the model; `/v1/models` lists them."),
  input: used(
    promptInput,
    "A string, token ids, or an array of either; " +
      `at most ${requestLimits.embedding_inputs} inputs, none empty.`,
  ),
  encoding_format: used(
    z.enum(["float", "base64"]).nullish(),
    "`float` (default) or `base64` of little-endian 32-bit floats.",
  ),
  user: used(
    z
      .string()
      .refine((text) => text.trim() !== "", { error: "must not be blank" })
      .nullish(),
    "Checked (not blank), then ignored.",
  ),
  dimensions: refused("Vectors come in the model's own size."),
  truncate_prompt_tokens: refused("Inputs are never cut; shorten them before."),
  nvext: nvextField,
  metadata: ignored("Nothing is stored."),
} as const satisfies Fields;

export const embeddingShape = objectOf(embeddingFields);
export type EmbeddingBody = z.infer<typeof embeddingShape>;
