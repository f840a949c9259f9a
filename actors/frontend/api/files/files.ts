/** `/v1/files`: what clients upload, for batches above all, and what batches wrote for them. */
import { type FileRecord, fileJson, ShelfError } from "../../../files/files.ts";
import { ApiError, clip, invalidValue } from "../api-error.ts";
import { type JsonRoute, jsonAnswer, type RouteScope } from "../json-route.ts";
import { checkQuery, isUpwards, limitOf, pageJson } from "../paging.ts";
import { stored } from "../stored.ts";
import { expiryFields, listQuery, uploadFields } from "./file-fields.ts";
import { receiveFile } from "./receive-file.ts";

const PATH = "/v1/files";
const LISTED_MAX = 10_000;

export const uploadFile: JsonRoute = {
  makes: "json",
  method: "POST",
  path: PATH,
  access: "key",
  page: { summary: "Upload a file", schema: "CreateFileRequest" },
  form: {
    fields: uploadFields,
    nested: [
      { name: "expires_after", fields: expiryFields, is_list: false, ignores_unknown: false },
    ],
  },
  handle: async ({ archive, owner, upload }) =>
    jsonAnswer(fileJson(await shelved(receiveFile(archive.files, owner, upload())))),
};

export const listFiles: JsonRoute = {
  makes: "json",
  method: "GET",
  path: PATH,
  access: "key",
  page: { summary: "The files of this key, the newest first" },
  query: listQuery,
  handle: async ({ archive, owner, query }) => {
    checkQuery(query, listQuery);
    const limit = limitOf(query, LISTED_MAX, LISTED_MAX);
    const oldest_first = isUpwards(query);
    const after = query.get("after") ?? undefined;
    const purpose = query.get("purpose") ?? undefined;
    const which = { after, purpose, oldest_first };
    if (after !== undefined && (await stored(archive.files.get(owner, after))) === undefined) {
      throw invalidValue(`'after' names no file of yours: '${clip(after)}'.`, "after");
    }
    const { items, has_more } = await stored(archive.files.list(owner, limit, which));
    return jsonAnswer(pageJson(items, items.map(fileJson), has_more));
  },
};

export const retrieveFile: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "One file" },
  handle: async (scope) => jsonAnswer(fileJson(await fileOf(scope))),
};

export const fileContent: JsonRoute = {
  makes: "json",
  method: "GET",
  path: `${PATH}/{id}/content`,
  access: "key",
  page: { summary: "The bytes of a file" },
  handle: async (scope) => {
    const file = await fileOf(scope);
    const { files } = scope.archive;
    const headers = {
      "Content-Type": "application/octet-stream",
      "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`,
    };
    return { status: 200, body: streamOf(files.read(file)), headers };
  },
};

export const deleteFile: JsonRoute = {
  makes: "json",
  method: "DELETE",
  path: `${PATH}/{id}`,
  access: "key",
  page: { summary: "Delete a file" },
  handle: async (scope) => {
    const file = await fileOf(scope);
    const { files } = scope.archive;
    const user = await stored(files.userOf(file.id));
    if (user !== undefined) throw inUse(file, user);
    await stored(files.delete(file));
    return jsonAnswer({ id: file.id, object: "file", deleted: true });
  },
};

/** Rejects with ApiError (404), also for a file of another key. */
async function fileOf({ archive, owner, param }: RouteScope): Promise<FileRecord> {
  const file = await stored(archive.files.get(owner, param));
  if (file !== undefined) return file;
  throw new ApiError(
    404,
    "file_not_found",
    `There is no file '${clip(param)}'. GET ${PATH} lists those of this key.`,
    "id",
  );
}

const statuses: Readonly<Record<string, number>> = { file_too_large: 413, too_many_uploads: 429 };

/** Limits of the shelf as errors for clients. */
async function shelved<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (!(error instanceof ShelfError)) return stored(Promise.reject(error));
    const { code, message } = error;
    const headers: Record<string, string> = { Connection: "close" };
    if (code === "too_many_uploads") headers["Retry-After"] = "1";
    throw new ApiError(statuses[code] ?? 400, code, message, "file", headers);
  }
}

const inUse = ({ id }: FileRecord, user: string) =>
  new ApiError(
    409,
    "file_in_use",
    `The file '${id}' is read by ${user}. Cancel that, or wait for its end.`,
    "id",
  );

/** Read as the client takes it. */
function streamOf(parts: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await iterator.return?.()),
  });
}
