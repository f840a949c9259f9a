/** POST /v1/embeddings from checked body to answer. */
import { requestLimits } from "../../../../llm/model/request-limits.ts";
import type { Embeddings, Refused } from "../../../../proto/index.ts";
import { embeddingBody } from "../../answer/response-bodies.ts";
import type { EmbedRequest } from "../../embedding/embed.ts";
import type { ServedModel } from "../../models/served-model.ts";
import type { PrepareContext } from "../../prompt/prepare.ts";
import { readPrompts } from "../../prompt/prompt-text.ts";
import { ApiError, contextOverflow } from "../api-error.ts";
import type { EmbeddingBody } from "./embedding-fields.ts";

export type PreparedEmbedding = {
  readonly model: ServedModel;
  readonly request: EmbedRequest;
  readonly format: "float" | "base64";
};

/** Throws ApiError (400). */
export function prepareEmbedding(
  body: EmbeddingBody,
  model: ServedModel,
  ctx: PrepareContext,
): PreparedEmbedding {
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
  return {
    model,
    request: { request, model: model.name, inputs, deadline_ms, pin, hints },
    format: body.encoding_format ?? "float",
  };
}

/** The JSON of the answer. Throws ApiError when the worker refused. */
export function embeddingAnswer(
  prepared: PreparedEmbedding,
  result: Embeddings | Refused,
): { readonly body: object; readonly prompt_tokens: number } {
  if (result.kind === "refused") {
    throw new ApiError(refusalStatus(result.code), result.code, result.message);
  }
  if (result.items.length !== prepared.request.inputs.length) {
    throw new ApiError(
      502,
      "engine_error",
      "The worker answered with another number of vectors than inputs. Send the request again.",
    );
  }
  const body = embeddingBody(prepared.model.name, result.items, prepared.format);
  return { body, prompt_tokens: body.usage.prompt_tokens };
}

/** HTTP status of a refusal by router, worker or engine. */
export function refusalStatus(code: string): number {
  switch (code) {
    case "context_overflow":
    case "bad_request":
    case "not_supported":
      return 400;
    case "model_not_found":
      return 404;
    case "queue_full":
    case "overloaded":
      return 529;
    case "deadline":
      return 504;
    case "engine_error":
      return 502;
    default:
      return 503;
  }
}
