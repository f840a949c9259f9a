/** Every field of POST /v1/rerank: vLLM's, and those of Jina's and Cohere's clients. */
import { z } from "zod";
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import { poolFields, textItem } from "../pool-fields.ts";
import { count, type Fields, objectOf, refused, used } from "../request-fields.ts";

const UNCUT = "Documents are never cut; shorten them before.";

export const activationField = used(
  z.boolean().nullish(),
  "Default true: what the model's head says is brought into 0–1. False: as it is. Cosines stay as they are.",
);

export const rerankFields = {
  ...poolFields,
  query: used(textItem, 'A text, or `{"text": …}`.'),
  documents: used(
    z.array(textItem).min(1),
    `1–${requestLimits.embedding_inputs - 1} texts, each a string or \`{"text": …}\`.`,
    requestLimits.embedding_inputs - 1,
  ),
  top_n: used(count(0).nullish(), "So many of the best; 0 (default): all."),
  return_documents: used(
    z.boolean().nullish(),
    "Default true, as in vLLM: each result has its `document`.",
  ),
  use_activation: activationField,
  rank_fields: refused("Documents are texts; put what counts into one."),
  max_chunks_per_doc: refused(UNCUT),
  max_tokens_per_doc: refused(UNCUT),
} as const satisfies Fields;

export const rerankShape = objectOf(rerankFields);
