/** `/v1/batches`: many requests in one file, answered beside all others. */
import type { z } from "zod";
import { type Batch, type BatchMade, batchJson, isOver, LIVE_MAX } from "../../../batch/batch.ts";
import { FILE_PREFIX, timedId } from "../../../files/files.ts";
import { ApiError, clip, invalidValue } from "../api-error.ts";
import { checkShape } from "../check-body.ts";
import { expiryFields } from "../files/file-fields.ts";
import { type Archive, type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import { checkQuery, limitOf, pageJson } from "../paging.ts";
import { objectOf } from "../request-fields.ts";
import { stored } from "../stored.ts";
import { batchFields, batchListQuery, windowSeconds } from "./batch-fields.ts";

const PATH = "/v1/batches";
const LIST_MAX = 100;
const LIST_DEFAULT = 20;
const INPUT_BYTES_MAX = 200 * 1024 ** 2;
const batchable = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"];
const batchShape = objectOf(batchFields);

export const createBatch: JsonRoute = {
  makes: "json",
  method: "POST",
  path: PATH,
  access: "key",
  page: { summary: "Answer the requests of a file", schema: "CreateBatchRequest" },
  body: {
    fields: batchFields,
    nested: [
      {
        name: "output_expires_after",
        fields: expiryFields,
        is_list: false,
        ignores_unknown: false,
      },
    ],
  },
  handle: async ({ body, owner, archive, server }) => {
    const request = checkShape(body, batchShape);
    checkEndpoint(request.endpoint, server.endpoints);
    return jsonAnswer(json(await stored(makeBatch(request, owner, archive))));
  },
};

export const listBatches: JsonRoute = {
  makes: "json",
  method: "GET",
  path: PATH,
  access: "key",
  page: { summary: "The batches of this key, the newest first" },
  query: batchListQuery,
  handle: async ({ archive, owner, query }) => {
    checkQuery(query, batchListQuery);
    const limit = limitOf(query, LIST_MAX, LIST_DEFAULT);
    const after = query.get("after") ?? undefined;
    if (after !== undefined && (await stored(archive.batches.get(owner, after))) === undefined) {
      throw invalidValue(`'after' names no batch of yours: '${clip(after)}'.`, "after");
    }
    const { items, has_more } = await stored(archive.batches.list(owner, limit, after));
    const ids = items.map(({ made }) => made);
    return jsonAnswer(pageJson(ids, items.map(json), has_more));
  },
};

export const retrieveBatch: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "One batch: how far it is, and its files" },
  handle: async (scope) => jsonAnswer(json(await batchOf(scope))),
};

export const cancelBatch: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `${PATH}/{id}/cancel`,
  access: "key",
  page: { summary: "Begin no further line of a batch; what is answered is kept" },
  handle: async (scope) => {
    const { made, state } = await batchOf(scope);
    if (isOver(state.status)) throw overAlready(made, state.status);
    const { batches } = scope.archive;
    await stored(batches.cancel(made.id));
    return jsonAnswer(json(await batchOf(scope)));
  },
};

const json = ({ made, state, cancel_s }: Batch): object => batchJson(made, state, cancel_s);

async function makeBatch(
  request: z.infer<typeof batchShape>,
  owner: string,
  { files, batches, clock, random }: Archive,
): Promise<Batch> {
  const { input_file_id, endpoint, completion_window, metadata, output_expires_after } = request;
  const id = batches.newId();
  // From here on nobody deletes the file.
  await files.use(input_file_id, id);
  try {
    await checkInput(input_file_id, owner, { files });
    if ((await batches.live(LIVE_MAX)).length >= LIVE_MAX) throw tooMany();
    const now_ms = clock.wall_ms();
    const created_at = Math.floor(now_ms / 1_000);
    const fileId = () => timedId(FILE_PREFIX, now_ms, random);
    const made: BatchMade = {
      ...{ id, owner, endpoint, input_file_id, completion_window, created_at },
      expires_at: created_at + (windowSeconds(completion_window) ?? 0),
      metadata: metadata ?? null,
      output_file_id: fileId(),
      error_file_id: fileId(),
      output_expires_after_s: output_expires_after?.seconds,
    };
    return await batches.make(made);
  } catch (error) {
    await files.unuse(input_file_id, id);
    throw error;
  }
}

async function checkInput(
  id: string,
  owner: string,
  { files }: Pick<Archive, "files">,
): Promise<void> {
  const file = await files.get(owner, id);
  if (file === undefined) {
    throw new ApiError(
      404,
      "file_not_found",
      `There is no file '${clip(id)}'. GET /v1/files lists those of this key.`,
      "input_file_id",
    );
  }
  if (file.purpose !== "batch") {
    throw invalidValue(
      `The file '${id}' has the purpose '${file.purpose}'; upload it with purpose 'batch'.`,
      "input_file_id",
    );
  }
  if (file.bytes > INPUT_BYTES_MAX) {
    throw invalidValue(
      `The file '${id}' has ${file.bytes} bytes; a batch reads at most ${INPUT_BYTES_MAX}.`,
      "input_file_id",
    );
  }
}

/** Throws ApiError (400) for a path that answers no single request. */
function checkEndpoint(endpoint: string, served: readonly string[]): void {
  const endpoints = batchable.filter((path) => served.includes(path));
  if (endpoints.includes(endpoint)) return;
  throw invalidValue(
    `'endpoint' is one of ${endpoints.map((each) => `"${each}"`).join(", ")}.`,
    "endpoint",
  );
}

/** Rejects with ApiError (404), also for a batch of another key. */
async function batchOf({ archive, owner, param }: RouteScope): Promise<Batch> {
  const batch = await stored(archive.batches.get(owner, param));
  if (batch !== undefined) return batch;
  throw new ApiError(
    404,
    "batch_not_found",
    `There is no batch '${clip(param)}'. GET ${PATH} lists those of this key.`,
    "id",
  );
}

const overAlready = ({ id }: BatchMade, status: string) =>
  new ApiError(409, "batch_is_over", `The batch '${id}' is ${status}; it cannot be cancelled.`);

const tooMany = () =>
  new ApiError(
    429,
    "too_many_batches",
    `There are ${LIVE_MAX} batches that are not over, which is the most. Wait for one, or cancel one.`,
    null,
    { "Retry-After": "60" },
  );
