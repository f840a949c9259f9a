/** The dialect of POST /v1/embeddings. */
import type { Embedding } from "../../../../proto/index.ts";
import { base64Of, floatsJson, floatsOf, shortened } from "../../embedding/vectors.ts";
import { headsOf, lacksHead } from "../../models/heads.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { checkDimensions, poolRequest, readInputs } from "../../prompt/pool-inputs.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import type { BodyFacts, EmbeddingDialect, EmbeddingWork } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody, quoted } from "../openai-format.ts";
import { type EmbeddingBody, embeddingFields, embeddingShape } from "./embedding-fields.ts";

export const embeddings: EmbeddingDialect = {
  makes: "embedding",
  name: "embeddings",
  path: "/v1/embeddings",
  page: { summary: "Embedding vectors", schema: "EmbeddingRequest", streams: false },
  fields: embeddingFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const checked = scope.shaped(body, embeddingShape);
    const context = scope.contextOf(checked.nvext);
    return prepareEmbedding(checked, scope.modelOf(checked.model), context);
  },
  errorBody: openAiErrorBody,
};

/** Throws ApiError (400). */
function prepareEmbedding(
  body: EmbeddingBody,
  model: ServedModel,
  context: PrepareContext,
): EmbeddingWork {
  if (!headsOf(model.card).vectors) throw lacksHead(model, "makes no embeddings here");
  const dimensions = checkDimensions(model, body.dimensions);
  const inputs = readInputs(model, body.input);
  const shown = (item: Embedding): string => {
    const values = floatsOf(item.values);
    const vector = dimensions === undefined ? values : shortened(values, dimensions, true);
    return body.encoding_format === "base64" ? `"${base64Of(vector)}"` : floatsJson(vector);
  };
  return {
    model,
    request: poolRequest(model, context, "vector", inputs),
    body: (items, facts) => embeddingJson(model.name, items, shown, facts),
  };
}

/** Numbers that are written in one go, which takes some milliseconds. */
const SLICE = 32_768;

async function embeddingJson(
  model: string,
  items: readonly Embedding[],
  shown: (item: Embedding) => string,
  { prompt_tokens, pause }: BodyFacts,
): Promise<string> {
  const data: string[] = [];
  let written = 0;
  for (const [index, item] of items.entries()) {
    data.push(`{"object":"embedding","index":${index},"embedding":${shown(item)}}`);
    written += item.values.length / 4;
    if (written < SLICE) continue;
    written = 0;
    await pause();
  }
  return (
    `{"object":"list","data":[${data.join(",")}],"model":${quoted(model)},` +
    `"usage":{"prompt_tokens":${prompt_tokens},"total_tokens":${prompt_tokens}}}`
  );
}
