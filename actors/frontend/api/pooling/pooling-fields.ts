/** Every field of POST /v1/pooling: vLLM's. */
import { z } from "zod";
import { dimensionsField, encodingField } from "../embeddings/embedding-fields.ts";
import { inputFields, poolFields } from "../pool-fields.ts";
import { type Fields, just, objectOf, refused, used } from "../request-fields.ts";

export const poolingFields = {
  ...poolFields,
  ...inputFields,
  task: used(
    z.enum(["embed", "token_embed", "classify"]).nullish(),
    "`embed`: one vector an input. `token_embed`: one a token. `classify`: what the classification " +
      "head says. Default: `classify` where the model has a head, else `token_embed`.",
  ),
  encoding_format: encodingField,
  dimensions: dimensionsField,
  use_activation: used(
    z.boolean().nullish(),
    "Default true: vectors of unit length, probabilities. False: the model's own numbers.",
  ),
  normalize: refused("`use_activation` says it."),
  softmax: refused("`use_activation` says it."),
  activation: refused("`use_activation` says it."),
  embed_dtype: refused("Numbers are 32-bit floats.", just("float32")),
  endianness: refused("Numbers are little-endian.", just("little")),
} as const satisfies Fields;

export const poolingShape = objectOf(poolingFields);
export type PoolingBody = z.infer<typeof poolingShape>;
