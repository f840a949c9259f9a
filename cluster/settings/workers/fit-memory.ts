/**
 * What a machine's memory holds of its models, where nobody said it: how long contexts are, and
 * whether each worker has the weights in memory of its own. Decided once, before anything starts:
 * so all workers of a model are alike. Pure.
 */
import type { EngineFit, WeightsPlace } from "../../../actors/engine/engine-kind.ts";

/** Where it is not known what fits. */
const CONTEXT_USUAL = 8_192;
/** With less an engine is of little use: then memory is said to be short. */
const CONTEXT_LEAST = 2_048;
/** Of what is free the part that copies of weights may take, and of what they leave the caches. */
const SHARE = 1 / 2;

export type FitWish = {
  /** Workers of the model on this machine. */
  readonly workers: number;
  readonly weight_bytes: number;
  /** That it was trained for; 0: not known. */
  readonly trained: number;
  /** The longest that is sensible. */
  readonly context_most: number;
  /** Keys and values of a token; 0: not known. */
  readonly token_bytes: number;
  readonly weights: WeightsPlace | "auto";
};

/** One for each of `models`, in order. `free_bytes`: undefined: not known. */
export function fitModels(
  models: readonly FitWish[],
  free_bytes: number | undefined,
): readonly EngineFit[] {
  const sum = (of: (model: FitWish) => number) =>
    models.reduce((bytes, model) => bytes + of(model), 0);
  const copies = sum(({ weight_bytes, workers }) => weight_bytes * workers);
  const usual = free_bytes === undefined || copies <= SHARE * free_bytes ? "own" : "shared";
  const places = models.map(({ weights }) => (weights === "auto" ? usual : weights));
  const taken = models.reduce(
    (bytes, { weight_bytes, workers }, i) =>
      bytes + weight_bytes * (places[i] === "own" ? workers : 1),
    0,
  );
  const workers = sum((model) => model.workers);
  const left = free_bytes === undefined ? undefined : Math.max(0, free_bytes - taken);
  const share = left === undefined ? undefined : (SHARE * left) / Math.max(1, workers);
  return models.map((model, i) => ({
    context_length: contextFor(model, share),
    weights: places[i] ?? usual,
  }));
}

/** The model's own where it fits, else a power of two. */
function contextFor(wish: FitWish, share: number | undefined): number {
  const { trained, context_most, token_bytes } = wish;
  const most = Math.min(trained || CONTEXT_USUAL, context_most);
  if (share === undefined || token_bytes === 0) return Math.min(most, CONTEXT_USUAL);
  if (most * token_bytes <= share) return most;
  const fits = 2 ** Math.floor(Math.log2(Math.max(1, share / token_bytes)));
  return Math.min(most, Math.max(CONTEXT_LEAST, fits));
}
