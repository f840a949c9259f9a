/** Lists in pages, as OpenAI's clients turn them. */
import { ApiError, clip, invalidValue } from "./api-error.ts";

/** The number behind the `?`, or `otherwise` where none is. Throws ApiError (400). */
export function limitOf(query: URLSearchParams, most: number, otherwise: number): number {
  const given = query.get("limit");
  if (given === null) return otherwise;
  const limit = /^\d{1,9}$/.test(given) ? Number(given) : 0;
  if (limit >= 1 && limit <= most) return limit;
  throw invalidValue(`'limit' is a whole number from 1 to ${most}.`, "limit");
}

/** True: the oldest first. Throws ApiError (400). */
export function isUpwards(query: URLSearchParams): boolean {
  const order = query.get("order") ?? "desc";
  if (order === "asc" || order === "desc") return order === "asc";
  throw invalidValue("'order' is 'asc' or 'desc'.", "order");
}

/** Throws ApiError (400) for a name that this list does not know. */
export function checkQuery(query: URLSearchParams, known: Readonly<Record<string, string>>): void {
  for (const name of query.keys()) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known).join(", ");
    throw new ApiError(
      400,
      "unknown_parameter",
      `Unknown parameter: '${clip(name)}'. This list takes ${names}.`,
      clip(name),
    );
  }
}

export function pageJson(
  data: readonly { readonly id: string }[],
  shown: readonly object[],
  has_more: boolean,
): object {
  return {
    object: "list",
    data: shown,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more,
  };
}
