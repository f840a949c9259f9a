/** Every field of POST /v1/responses/input_tokens. */
import { z } from "zod";
import { type Fields, ignored, objectOf, used } from "../request-fields.ts";
import { contextFields } from "./response-fields.ts";

export const countFields = {
  model: used(z.string().min(1).nullish(), "Served name. May be left out while there is one."),
  ...contextFields,
  personality: ignored("Only a hint."),
} as const satisfies Fields;

export const countShape = objectOf(countFields);
