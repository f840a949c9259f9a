/** Every field of POST /v1/classify: vLLM's. */
import { z } from "zod";
import { inputFields, poolFields } from "../pool-fields.ts";
import { type Fields, objectOf, used } from "../request-fields.ts";

export const classifyFields = {
  ...poolFields,
  ...inputFields,
  use_activation: used(
    z.boolean().nullish(),
    "Default true: `probs` are probabilities. False: what the model's head says, as it is.",
  ),
} as const satisfies Fields;

export const classifyShape = objectOf(classifyFields);
