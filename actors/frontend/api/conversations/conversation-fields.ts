/** Every field of the POST routes of `/v1/conversations`. */
import { z } from "zod";
import { type Fields, ignored, jsonObject, objectOf, used } from "../request-fields.ts";
import { metadataField } from "../responses/kept-fields.ts";

/** As OpenAI's. */
const ITEMS_MAX = 20;
const items = z.array(jsonObject);
const ITEMS_NOTE = `Up to ${ITEMS_MAX} items, as in \`input\` of a response.`;

export const createFields = {
  items: used(items.nullish(), ITEMS_NOTE, ITEMS_MAX),
  metadata: metadataField,
} as const satisfies Fields;

export const updateFields = { metadata: metadataField } as const satisfies Fields;

export const addFields = {
  items: used(items.min(1), ITEMS_NOTE, ITEMS_MAX),
  include: ignored("All that there is is shown."),
} as const satisfies Fields;

export const createShape = objectOf(createFields);
export const updateShape = objectOf(updateFields);
export const addShape = objectOf(addFields);
