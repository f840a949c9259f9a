/** Fields that what is stored has in common. */
import { z } from "zod";
import { used } from "../request-fields.ts";

const KEYS_MAX = 16;
const KEY_CHARS = 64;
const VALUE_CHARS = 512;

export const metadataShape = z
  .record(z.string().max(KEY_CHARS), z.string().max(VALUE_CHARS))
  .refine((value) => Object.keys(value).length <= KEYS_MAX, {
    error: `at most ${KEYS_MAX} keys are taken`,
  });

export const metadataField = used(
  metadataShape.nullish(),
  `Kept and given back. Up to ${KEYS_MAX} keys of at most ${KEY_CHARS} characters, values of at most ${VALUE_CHARS}.`,
  KEYS_MAX,
);

export const conversationField = used(
  z
    .union([z.string().min(1), z.object({ id: z.string().min(1) })], {
      error: "expected a conversation's id, or an object with it",
    })
    .nullish(),
  "Its items go before `input`; input and output are added to it when the answer is whole.",
);
