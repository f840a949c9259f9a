/** Reads from the store what a body refers to. Its shape was not checked yet. */
import type { Earlier, Loaded } from "../../kept/earlier.ts";
import type { Item } from "../../kept/kept-record.ts";
import { missingParameter } from "../api-error.ts";

type Given = Readonly<Record<string, unknown>>;

/** undefined: it refers to nothing. Rejects with ApiError. */
export async function loadEarlier(body: object, store: Earlier): Promise<Loaded | undefined> {
  const { previous_response_id, conversation, input } = body as Given;
  const previous = textOf(previous_response_id);
  const named = textOf(conversation) ?? textOf((conversation as Given | null | undefined)?.["id"]);
  const resolved = await withoutReferences(input, store);
  if (previous !== undefined) {
    const param = "previous_response_id";
    return { items: await store.chain(previous, param), param, input: resolved };
  }
  if (named !== undefined) {
    const param = "conversation";
    return { items: await store.conversation(named, param), param, input: resolved };
  }
  return resolved && { items: [], param: "input", input: resolved };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** undefined: it has none. */
async function withoutReferences(
  input: unknown,
  store: Earlier,
): Promise<readonly Item[] | undefined> {
  if (!Array.isArray(input) || !input.some(isReference)) return undefined;
  const items: Item[] = [];
  for (const [i, item] of (input as readonly Item[]).entries()) {
    if (!isReference(item)) {
      items.push(item);
      continue;
    }
    const id = textOf(item["id"]);
    if (id === undefined) throw missingParameter(`input[${i}].id`);
    items.push(await store.item(id, `input[${i}].id`));
  }
  return items;
}

const isReference = (item: unknown): boolean =>
  typeof item === "object" && item !== null && (item as Given)["type"] === "item_reference";
