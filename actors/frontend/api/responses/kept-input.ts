/** The items of a request as they are stored and listed: each with an id, in OpenAI's form. */
import { inputId } from "../../kept/item-ids.ts";
import type { Item } from "../../kept/kept-record.ts";
import { clip, invalidValue } from "../api-error.ts";
import type { ContextBody } from "./response-fields.ts";

/** `request`: the server's id of it. Throws ApiError (400). */
export function keptInput({ input }: Pick<ContextBody, "input">, request: string): readonly Item[] {
  if (input == null) return [];
  if (typeof input === "string") {
    return [keptItem({ role: "user", content: input }, inputId("message", request, 0))];
  }
  checkItemIds(input, "input");
  return input.map((item, i) => {
    const type = typeof item["type"] === "string" ? item["type"] : "message";
    return keptItem(item, inputId(type, request, i));
  });
}

/** Throws ApiError (400): pages go by ids, and an item is deleted by its own. */
export function checkItemIds(
  items: readonly Item[],
  param: string,
  known: ReadonlySet<unknown> = new Set(),
): void {
  const ids = new Set(known);
  items.forEach(({ id }, i) => {
    if (typeof id !== "string") return;
    if (ids.has(id)) {
      const where = `${param}[${i}].id`;
      const message = `'${where}' is '${clip(id)}', the id of another item. Leave one of them out.`;
      throw invalidValue(message, where);
    }
    ids.add(id);
  });
}

/** Keeps an id that the client gave. */
export function keptItem(item: Item, id: string): Item {
  const type = item["type"] ?? "message";
  const kept = { ...item, type, id: typeof item["id"] === "string" ? item["id"] : id };
  if (type === "reasoning") return kept;
  const status = item["status"] ?? "completed";
  if (type !== "message") return { ...kept, status };
  const { content, role } = item;
  const part =
    role === "assistant"
      ? { type: "output_text", annotations: [], text: content }
      : { type: "input_text", text: content };
  return { ...kept, status, role, content: typeof content === "string" ? [part] : content };
}
