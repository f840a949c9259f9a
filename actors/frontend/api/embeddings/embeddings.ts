/** The dialect of POST /v1/embeddings. */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import type { Embedding } from "../../../../proto/index.ts";
import type { ServedModel } from "../../models/served-model.ts";
import type { PrepareContext } from "../../prompt/prepare-context.ts";
import { readPrompts } from "../../prompt/prompt-text.ts";
import { ApiError, contextOverflow } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import type { EmbeddingDialect, EmbeddingWork } from "../dialect.ts";
import { nvextNames } from "../nvext-fields.ts";
import { openAiErrorBody } from "../openai-format.ts";
import { type EmbeddingBody, embeddingFields, embeddingShape } from "./embedding-fields.ts";

export const embeddings: EmbeddingDialect = {
  makes: "embedding",
  name: "embeddings",
  path: "/v1/embeddings",
  page: { summary: "Embedding vectors", schema: "EmbeddingRequest", streams: false },
  fields: embeddingFields,
  nested: [nvextNames],
  prepare: (body, scope) => {
    const checked = checkShape(body, embeddingShape);
    const context = scope.contextOf(checked.nvext);
    return prepareEmbedding(checked, scope.modelOf(checked.model), context);
  },
  errorBody: openAiErrorBody,
};

/** Throws ApiError (400). */
function prepareEmbedding(
  body: EmbeddingBody,
  model: ServedModel,
  ctx: PrepareContext,
): EmbeddingWork {
  if (model.card.embedding_size === 0) {
    throw new ApiError(
      400,
      "not_supported",
      `The model '${model.name}' makes no embeddings here. Send another model's name.`,
      "model",
    );
  }
  const context = model.card.context_length;
  const prompts = readPrompts(
    model,
    body.input,
    "input",
    requestLimits.embedding_inputs,
    "refused",
  );
  for (const { tokens, param } of prompts) {
    if (tokens.length > context) throw contextOverflow(context, tokens.length, 0, param);
  }
  const inputs = prompts.map((prompt) => prompt.tokens);
  const { request, deadline_ms, pin, hints } = ctx;
  const format = body.encoding_format ?? "float";
  return {
    model,
    request: { request, model: model.name, inputs, deadline_ms, pin, hints },
    body: (items) => embeddingBody(model.name, items, format),
  };
}

/** `values` are little-endian 32-bit floats, as they came over the wire. */
function embeddingBody(model: string, items: readonly Embedding[], format: "float" | "base64") {
  let prompt_tokens = 0;
  for (const item of items) prompt_tokens += item.prompt_tokens;
  const body = {
    object: "list",
    data: items.map((item, index) => ({
      object: "embedding",
      index,
      embedding:
        format === "base64" ? Buffer.from(item.values).toString("base64") : floatsOf(item.values),
    })),
    model,
    usage: { prompt_tokens, total_tokens: prompt_tokens },
  };
  return { body, prompt_tokens };
}

function floatsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: number[] = [];
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) values.push(view.getFloat32(at, true));
  return values;
}
