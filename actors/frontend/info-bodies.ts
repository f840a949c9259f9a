/** Bodies of /health and /v1/models. */
import type { ModelDirectory } from "./models.ts";
import type { ServedModel } from "./served-model.ts";

export type Health = {
  readonly status: 200 | 503;
  readonly body: {
    readonly status: "ready" | "starting" | "no_workers" | "draining";
    readonly models: readonly { readonly id: string; readonly workers: number }[];
  };
};

export function healthOf(models: ModelDirectory, draining: boolean): Health {
  const ready = models.ready();
  const list = ready.map(({ name }) => ({ id: name, workers: models.workers(name) }));
  if (draining) return { status: 503, body: { status: "draining", models: list } };
  if (models.canServe()) return { status: 200, body: { status: "ready", models: list } };
  const status = ready.length === 0 ? "starting" : "no_workers";
  return { status: 503, body: { status, models: list } };
}

export function modelJson(model: ServedModel) {
  const { name, card } = model;
  return {
    id: name,
    object: "model",
    created: card.created_s,
    owned_by: "troupe",
    context_window: card.context_length,
    max_output_tokens: card.context_length,
  };
}
