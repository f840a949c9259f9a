/** Every field of POST /v1/embeddings. */
import { z } from "zod";
import { inputField, poolFields } from "../pool-fields.ts";
import { count, type Fields, objectOf, refused, used } from "../request-fields.ts";

const { model, user, truncate_prompt_tokens, nvext, metadata } = poolFields;

export const dimensionsField = used(
  count(1).nullish(),
  "So many first values of each vector, brought to unit length again. At most the model's own size.",
);

export const encodingField = used(
  z.enum(["float", "base64"]).nullish(),
  "`float` (default) or `base64` of little-endian 32-bit floats.",
);

export const embeddingFields = {
  model,
  input: inputField,
  encoding_format: encodingField,
  dimensions: dimensionsField,
  user,
  truncate_prompt_tokens: refused(truncate_prompt_tokens.note),
  nvext,
  metadata,
} as const satisfies Fields;

export const embeddingShape = objectOf(embeddingFields);
export type EmbeddingBody = z.infer<typeof embeddingShape>;
