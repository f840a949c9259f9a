/** `/v1/models` as Anthropic's clients know it: who sends `anthropic-version` gets this form. */
import type { ServedModel } from "../../models/served-model.ts";
import { clip, invalidValue } from "../api-error.ts";
import { messages } from "./messages.ts";

/** Whether a request is of a client of Anthropic's API. */
export const isMessagesClient = (headers: Headers): boolean =>
  messages.client_header !== undefined && headers.has(messages.client_header);

export const messageModelJson = ({ name, card }: ServedModel) => ({
  id: name,
  type: "model",
  display_name: name,
  created_at: new Date(card.created_s * 1_000).toISOString(),
  lifecycle: "active",
  ...{ deprecated_at: null, retires_at: null, line: null, capabilities: null },
  max_input_tokens: card.context_length,
  max_tokens: card.context_length,
});

const PAGE = 20;
const PAGE_MAX = 1_000;

/** One page of a list, by `limit`, `after_id` and `before_id`. Throws ApiError (400). */
export function messageModelsPage(models: readonly ServedModel[], query: URLSearchParams) {
  const limit = limitOf(query.get("limit"));
  const after = placeOf(models, query, "after_id");
  const before = placeOf(models, query, "before_id");
  const from = after === undefined ? 0 : after + 1;
  const end = before ?? models.length;
  const rest = models.slice(from, end);
  // Behind a place its next ones, before a place those that lead up to it.
  const page = before === undefined ? rest.slice(0, limit) : rest.slice(-limit);
  return {
    data: page.map(messageModelJson),
    has_more: page.length < rest.length,
    first_id: page.at(0)?.name ?? null,
    last_id: page.at(-1)?.name ?? null,
  };
}

function limitOf(text: string | null): number {
  if (text === null) return PAGE;
  const limit = /^\d+$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= PAGE_MAX) return limit;
  throw invalidValue(`'limit' is a whole number from 1 to ${PAGE_MAX}.`, "limit");
}

function placeOf(
  models: readonly ServedModel[],
  query: URLSearchParams,
  name: "after_id" | "before_id",
): number | undefined {
  const id = query.get(name);
  if (id === null) return undefined;
  const place = models.findIndex((model) => model.name === id);
  if (place >= 0) return place;
  throw invalidValue(`'${name}' is '${clip(id)}', which is no model here.`, name);
}
