/** Every field of POST /v1/score: vLLM's. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { poolFields, type TextItem, textItem } from "../pool-fields.ts";
import { type Fields, objectOf, used } from "../request-fields.ts";
import { activationField } from "../rerank/rerank-fields.ts";

const most = requestLimits.embedding_inputs;

export type Texts = TextItem | readonly TextItem[];

const texts = z
  .union([textItem, z.array(textItem)], {
    error: 'expected a text, {"text": …} or an array of them',
  })
  .nullish();
const first = used(
  texts,
  "A text or several: the left side. One goes with all of the right.",
  most,
);
const second = used(
  texts,
  "The right side: as many texts as on the left, or more beside one.",
  most,
);

export const scoreFields = {
  ...poolFields,
  text_1: first,
  text_2: second,
  queries: first,
  documents: second,
  items: second,
  data_1: first,
  data_2: second,
  use_activation: activationField,
} as const satisfies Fields;

export const scoreShape = objectOf(scoreFields);
export type ScoreBody = z.infer<typeof scoreShape>;
