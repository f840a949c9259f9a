/** Lists of items in pages. */
import type { Item } from "../../kept/kept-record.ts";
import { clip, invalidValue } from "../api-error.ts";
import { checkQuery, isUpwards, limitOf, pageJson } from "../paging.ts";

export const itemQuery = {
  after: "The id of the last item of the page before.",
  limit: "1–100, default 20.",
  order: "`asc` or `desc` (default).",
  include: "Ignored: all that there is is shown.",
  "include[]": "The same.",
} as const;

const LIMIT = 20;
const LIMIT_MAX = 100;

/** `items`: the oldest first. Throws ApiError (400). */
export function itemPage(items: readonly Item[], query: URLSearchParams): object {
  checkQuery(query, itemQuery);
  const limit = limitOf(query, LIMIT_MAX, LIMIT);
  const ordered = isUpwards(query) ? items : items.toReversed();
  const after = query.get("after");
  const at = after === null ? -1 : ordered.findIndex((item) => item["id"] === after);
  if (after !== null && at < 0) {
    throw invalidValue(`'after' names no item of this list: '${clip(after)}'.`, "after");
  }
  const page = ordered.slice(at + 1, at + 1 + limit);
  const ids = page.map((item) => ({ id: item["id"] as string }));
  return pageJson(ids, page, at + 1 + limit < ordered.length);
}
