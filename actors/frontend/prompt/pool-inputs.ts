/** Inputs of a request that asks what a model makes of them, and the ask to a worker. */
import { requestLimits } from "../../../llm/model/request-limits.ts";
import type { PoolKind } from "../../../proto/index.ts";
import { contextOverflow, invalidValue } from "../api/api-error.ts";
import type { PromptInput } from "../api/request-fields.ts";
import type { EmbedRequest } from "../embedding/embed.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { readPrompts } from "./prompt-text.ts";

/** `input` of embeddings, classify and pooling. Throws ApiError (400). */
export function readInputs(model: ServedModel, input: PromptInput): readonly Uint32Array[] {
  const context = model.card.context_length;
  const most = requestLimits.embedding_inputs;
  return readPrompts(model, input, "input", most, "refused").map(({ tokens, param }) => {
    if (tokens.length > context) throw contextOverflow(context, tokens.length, 0, param);
    return tokens;
  });
}

/** Throws ApiError (400) for more than the model's vectors have. */
export function checkDimensions(
  { name, card }: ServedModel,
  dimensions: number | null | undefined,
): number | undefined {
  if (dimensions == null) return undefined;
  if (dimensions <= card.embedding_size) return dimensions;
  throw invalidValue(
    `'dimensions' is ${dimensions}, but vectors of '${name}' have ${card.embedding_size} values; ` +
      "send at most that.",
    "dimensions",
  );
}

export function poolRequest(
  model: ServedModel,
  context: PrepareContext,
  pool: PoolKind,
  inputs: readonly Uint32Array[],
): EmbedRequest {
  const { request, deadline_ms, pin, hints } = context;
  return { request, model: model.card.name, inputs, pool, deadline_ms, pin, hints };
}
