/** `/v1/conversations`: items that responses read, and add to. */
import { inputId } from "../../kept/item-ids.ts";
import type { Item, KeptConversation } from "../../kept/kept-record.ts";
import { ApiError, clip, invalidValue } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import { type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import { pageJson } from "../paging.ts";
import { readItem } from "../responses/input-items.ts";
import { itemPage, itemQuery } from "../responses/item-page.ts";
import { checkItemIds, keptItem } from "../responses/kept-input.ts";
import {
  addFields,
  addShape,
  createFields,
  createShape,
  updateFields,
  updateShape,
} from "./conversation-fields.ts";

const PATH = "/v1/conversations";

export const createConversation: JsonRoute = {
  makes: "json",
  method: "POST",
  path: PATH,
  access: "key",
  page: { summary: "Begin a conversation", schema: "ConversationRequest" },
  body: { fields: createFields, nested: [] },
  handle: async (scope) => {
    const { items, metadata } = checkShape(scope.body, createShape);
    const first = keptItems(items ?? [], scope);
    checkResults([], items ?? []);
    const { conversations } = scope.kept;
    const id = `conv_${scope.newId()}`;
    const record = await conversations.create(scope.owner, id, metadata ?? {});
    await conversations.add(scope.owner, id, first);
    return jsonAnswer(shown(id, record));
  },
};

export const retrieveConversation: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "A conversation" },
  handle: async ({ kept, owner, param }) =>
    jsonAnswer(shown(param, await kept.conversations.get(owner, param))),
};

export const updateConversation: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "Change a conversation's metadata", schema: "ConversationUpdateRequest" },
  body: { fields: updateFields, nested: [] },
  handle: async ({ kept, owner, param, body }) => {
    const { metadata } = checkShape(body, updateShape);
    return jsonAnswer(shown(param, await kept.conversations.update(owner, param, metadata ?? {})));
  },
};

export const deleteConversation: JsonRoute = {
  makes: "json",
  method: "DELETE",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "Delete a conversation and its items" },
  handle: async ({ kept, owner, param }) => {
    await kept.conversations.delete(owner, param);
    return jsonAnswer({ id: param, object: "conversation.deleted", deleted: true });
  },
};

export const listConversationItems: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}/items`,
  access: "key",
  page: { summary: "A conversation's items" },
  query: itemQuery,
  handle: async ({ kept, owner, param, query }) =>
    jsonAnswer(itemPage(await kept.conversations.itemsOf(owner, param), query)),
};

export const addConversationItems: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `${PATH}/{id}/items`,
  access: "key",
  page: { summary: "Add items to a conversation", schema: "ConversationItemsRequest" },
  body: { fields: addFields, nested: [] },
  handle: async (scope) => {
    const { items } = checkShape(scope.body, addShape);
    const kept = keptItems(items, scope);
    const { conversations } = scope.kept;
    if (items.some(({ id, type }) => typeof id === "string" || type === RESULT)) {
      const there = await conversations.itemsOf(scope.owner, scope.param);
      checkItemIds(items, "items", new Set(there.map(({ id }) => id)));
      checkResults(there, items);
    }
    await conversations.add(scope.owner, scope.param, kept);
    return jsonAnswer(pageJson(kept as readonly { id: string }[], kept, false));
  },
};

export const retrieveConversationItem: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}/items/{item}`,
  access: "key",
  page: { summary: "One item of a conversation" },
  handle: async ({ kept, owner, param, second }) => {
    const items = await kept.conversations.itemsOf(owner, param);
    const found = items.find((item) => item["id"] === second);
    if (found === undefined) throw noItem(second);
    return jsonAnswer(found);
  },
};

export const deleteConversationItem: JsonRoute = {
  makes: "json",
  method: "DELETE",
  path: `${PATH}/{id}/items/{item}`,
  access: "key",
  page: { summary: "Take an item out of a conversation" },
  handle: async ({ kept, owner, param, second }) => {
    const { conversations } = kept;
    const record = await conversations.get(owner, param);
    if (!(await conversations.removeItem(owner, param, second))) throw noItem(second);
    return jsonAnswer(shown(param, record));
  },
};

/** Throws ApiError (400) for an item that no response could read. */
function keptItems(items: readonly Item[], { newId }: RouteScope): readonly Item[] {
  const request = newId();
  checkItemIds(items, "items");
  return items.map((item, i) => {
    readItem(item, `items[${i}]`);
    const type = typeof item["type"] === "string" ? item["type"] : "message";
    return keptItem(item, inputId(type, request, i));
  });
}

const RESULT = "function_call_output";

/** Throws ApiError (400) for a result without its call: no response could read it any more. */
function checkResults(there: readonly Item[], added: readonly Item[]): void {
  const open = new Set<unknown>();
  const answered = (item: Item): boolean => {
    const { type, call_id } = item;
    if (type === "function_call") open.add(call_id);
    return type !== RESULT || open.delete(call_id);
  };
  for (const item of there) answered(item);
  added.forEach((item, i) => {
    if (answered(item)) return;
    const where = `items[${i}].call_id`;
    const what = "but no earlier item is a 'function_call' of this id that has no result yet";
    throw invalidValue(`'${where}' is '${clip(String(item["call_id"]))}', ${what}.`, where);
  });
}

const shown = (id: string, { created_ms, metadata }: KeptConversation) => ({
  id,
  object: "conversation",
  created_at: Math.floor(created_ms / 1000),
  metadata,
});

const noItem = (id: string) =>
  new ApiError(404, "item_not_found", `The conversation has no item '${clip(id)}'.`);
