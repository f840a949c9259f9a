/** What a model makes of whole inputs. */
import type { ModelCard, ModelHeads } from "../../../proto/index.ts";
import { ApiError } from "../api/api-error.ts";
import type { ServedModel } from "./served-model.ts";

/** Of workers that do not say, the size of their vectors does. */
export function headsOf(card: ModelCard): ModelHeads {
  const vectors = card.embedding_size > 0;
  return card.heads ?? { ...none, vectors, tokens: vectors };
}

const none: ModelHeads = {
  ...{ vectors: false, tokens: false, classes: 0, labels: [], rerank_template: "" },
  ...{ separates_pairs: false, classes_are_probabilities: false, pools_only: false },
};

/** The 400 for a model that does not do what is asked; it says what the model does. */
export function lacksHead({ name, card }: ServedModel, what: string): ApiError {
  const { vectors, classes, pools_only } = headsOf(card);
  const does = [
    ...(pools_only ? [] : ["generates text"]),
    ...(vectors ? ["makes embeddings (/v1/embeddings, /v1/rerank, /v1/score, /v1/pooling)"] : []),
    ...(classes > 0 ? ["judges texts (/v1/rerank, /v1/score, /v1/classify, /v1/pooling)"] : []),
  ];
  const instead = does.length === 0 ? "" : `It ${does.join(" and ")}. `;
  return new ApiError(
    400,
    "not_supported",
    `The model '${name}' ${what}. ${instead}Send another model's name.`,
    "model",
  );
}
