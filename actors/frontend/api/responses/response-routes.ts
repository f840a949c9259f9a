/** Routes of stored responses: read, resume, cancel, delete, and the items that went in. */

import type { KeptResponse } from "../../kept/kept-record.ts";
import { noResponse } from "../../kept/kept-responses.ts";
import { ApiError, invalidValue } from "../api-error.ts";
import { type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import { checkQuery } from "../paging.ts";
import { countFields, countShape } from "./count-fields.ts";
import { itemPage, itemQuery } from "./item-page.ts";
import { loadEarlier } from "./load-earlier.ts";
import { contextNested } from "./response-fields.ts";
import { contextAnswer } from "./responses.ts";

const PATH = "/v1/responses";

const retrieveQuery = {
  stream: "`true`: its events, those that there are and those that still come.",
  starting_after: "With `stream`: the `sequence_number` of the last event that the client has.",
  include: "Ignored: all that there is is shown.",
  "include[]": "The same.",
  include_obfuscation: "Ignored: nothing is obfuscated.",
} as const;

export const retrieveResponse: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "A stored response, or its events" },
  query: retrieveQuery,
  handle: async (scope) => {
    const { query, param, kept } = scope;
    checkQuery(query, retrieveQuery);
    const after = startingAfter(query);
    if (streams(query)) return kept.stream(param, after ?? -1);
    if (after !== undefined) {
      throw invalidValue("'starting_after' is for 'stream=true'. Leave it out.", "starting_after");
    }
    return jsonAnswer(shownResponse(await responseOf(scope)));
  },
};

export const deleteResponse: JsonRoute = {
  makes: "json",
  method: "DELETE",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "Delete a stored response" },
  handle: async (scope) => {
    const { param, kept } = scope;
    const record = await responseOf(scope);
    if (record.state === "running") await kept.cancel(param);
    await kept.responses.delete(param, (await kept.responses.read(param)) ?? record);
    return jsonAnswer({ id: param, object: "response", deleted: true });
  },
};

export const cancelResponse: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `${PATH}/{id}/cancel`,
  access: "key",
  page: { summary: "End a background response" },
  handle: async (scope) => {
    const { param, kept } = scope;
    const record = await responseOf(scope);
    if (!record.background) {
      throw new ApiError(
        400,
        "not_in_background",
        "Only a response with 'background': true can be cancelled. Close the connection of any other.",
      );
    }
    const after = record.state === "final" ? record : await kept.cancel(param);
    return jsonAnswer(shownResponse(after ?? record));
  },
};

export const listInputItems: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}/input_items`,
  access: "key",
  page: { summary: "The items of a response's request" },
  query: itemQuery,
  handle: async (scope) => {
    const record = await responseOf(scope);
    return jsonAnswer(itemPage(record.input, scope.query));
  },
};

export const countInputTokens: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `${PATH}/input_tokens`,
  access: "key",
  page: { summary: "How many tokens a request's input has", schema: "ResponseInputTokensRequest" },
  body: { fields: countFields, nested: contextNested },
  handle: async (scope) => {
    const body = scope.shaped(scope.body, countShape);
    const earlier = await loadEarlier(scope.body, scope.kept.earlier);
    const model = scope.modelWith(body.model, COUNTED_MAX);
    const { answer } = contextAnswer(body, earlier, model, scope.contextOf(undefined), {
      sampling: { model: model.name, temperature: 0 },
      ...{ max_tokens: 1, logprobs: -1 },
    });
    return jsonAnswer({ object: "response.input_tokens", input_tokens: answer.prompt.length });
  },
};

/** Tokens that are counted at most. */
const COUNTED_MAX = 4_194_304;

/** Rejects with ApiError (404), also for a response of another key. */
async function responseOf({ kept, owner, param }: RouteScope): Promise<KeptResponse> {
  const record = await kept.responses.get(owner, param);
  if (record === undefined) throw noResponse(param);
  return record;
}

/** One that waits is not told from one that is made. */
const shownResponse = ({ response, state }: KeptResponse): object =>
  state === "running" ? { ...response, status: "in_progress" } : response;

function streams(query: URLSearchParams): boolean {
  const given = query.get("stream");
  if (given === null || given === "true" || given === "false") return given === "true";
  throw invalidValue("'stream' is 'true' or 'false'.", "stream");
}

function startingAfter(query: URLSearchParams): number | undefined {
  const given = query.get("starting_after");
  if (given === null) return undefined;
  if (/^\d{1,9}$/.test(given)) return Number(given);
  throw invalidValue("'starting_after' is the 'sequence_number' of an event.", "starting_after");
}
