/**
 * A route that generates nothing: it is answered out of what the door knows, in one piece. Each
 * folder beside this file holds some, `json-routes.ts` lists them, and everything else of the
 * frontend (paths, methods, keys, bodies, `openapi.json`) knows them by this type alone.
 */

import type { AdapterDone, BusyIs, LoadAdapter, ModelBusy } from "../../../proto/index.ts";
import type { Clock, Random } from "../../../runtime/capabilities.ts";
import type { BatchBook } from "../../batch/batch.ts";
import type { FileShelf } from "../../files/files.ts";
import type { ServedModels } from "../access/allowed-models.ts";
import type { Earlier } from "../kept/earlier.ts";
import type { KeptConversations } from "../kept/kept-conversations.ts";
import type { KeptResponse } from "../kept/kept-record.ts";
import type { KeptResponses } from "../kept/kept-responses.ts";
import type { ClearedCache } from "../models/clear-caches.ts";
import type { Health } from "../models/info-bodies.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { RequestScope } from "./dialect.ts";
import type { OpenApiDocument } from "./openapi-document.ts";
import type { FieldTables } from "./request-fields.ts";

export type JsonRoute = {
  readonly makes: "json";
  readonly method: "GET" | "POST" | "DELETE";
  /** May hold two `{name}`s; the last one's value may hold slashes: `/v1/models/{id}/ready`. */
  readonly path: string;
  /**
   * `key`: what spends or shows what the models know. Keys and CORS apply, as to all dialects.
   * `open`: what probes, scrapers and readers of the documentation ask for.
   */
  readonly access: "key" | "open";
  /** Its part of openapi.json. `schema`: the name of its request's schema. */
  readonly page: { readonly summary: string; readonly schema?: string };
  /** Label `endpoint` of the metrics, where requests with a body are counted as those of dialects. */
  readonly counted?: string;
  /** The fields of its body; undefined: it has none, and what is sent is not read. */
  readonly body?: FieldTables;
  /**
   * Instead of a body: the fields of multipart/form-data, which `handle` reads as it comes
   * (`scope.upload`). The limit of bodies does not hold for it.
   */
  readonly form?: FieldTables;
  /** What may stand behind the `?`, each with its note. */
  readonly query?: Readonly<Record<string, string>>;
  /**
   * May throw ApiError. With a long body it is called again from its start whenever a long text
   * has got its tokens, until no text is left.
   */
  handle(scope: RouteScope): RouteAnswer | Promise<RouteAnswer | Response>;
};

/** What a route needs of the door for one request. */
export type RouteScope = Pick<RequestScope, "contextOf" | "shaped"> & {
  /** What stands for the first `{name}` in the path, decoded; "" in a path without. */
  readonly param: string;
  readonly second: string;
  /** What stands behind the `?`. */
  readonly query: URLSearchParams;
  /** The key that sent it; "" where none is required. */
  readonly owner: string;
  /** The names in it were checked; its shape was not. Empty without a body. */
  readonly body: object;
  readonly headers: Headers;
  /** Those that the request's key may use. */
  readonly models: ServedModels;
  readonly server: ServerFacts;
  readonly archive: Archive;
  /** Stored responses and conversations. */
  readonly kept: KeptScope;
  /** A name that nobody can guess. */
  newId(): string;
  /** The body as it comes, for a route with a `form`. */
  upload(): Upload;
  /**
   * As if the model had a context of so many tokens, which the texts of the request may have.
   * No name: the only model. Throws ApiError when no such model is served now.
   */
  modelWith(name: string | null | undefined, context_length: number): ServedModel;
  /** Other requests have their turns. */
  pause(): Promise<void>;
};

/** What clients have uploaded, and what is made of it. */
export type Archive = {
  readonly files: FileShelf;
  readonly batches: BatchBook;
  readonly clock: Clock;
  readonly random: Random;
};
export type KeptScope = {
  readonly responses: KeptResponses;
  readonly conversations: KeptConversations;
  /** What this request's key may refer to. */
  readonly earlier: Earlier;
  /** The events of a response behind the number `after`. Rejects with ApiError. */
  stream(id: string, after: number): Promise<Response>;
  /** Ends a response that is made, and gives it as it is then. */
  cancel(id: string): Promise<KeptResponse | undefined>;
};

export type Upload = {
  readonly type: string | null;
  /** From the header; undefined: not announced. */
  readonly length_bytes: number | undefined;
  /** The next bytes; undefined: that was all. Rejects with ApiError when it is cut off or late. */
  next(): Promise<Uint8Array | undefined>;
  /** Nothing more is read of it. */
  stop(): void;
};

/** What the door says of itself. */
export type ServerFacts = {
  /** The cluster's, as its settings name it. */
  readonly namespace: string;
  health(): Health;
  /** Prometheus text. */
  metrics(): string | Promise<string>;
  openapi(): OpenApiDocument;
  /** The page for a browser; undefined: the client does not want one, or there is none. */
  page(headers: Headers): Promise<Response> | undefined;
  /** Asks all workers, and waits for those that are slow. */
  clearCaches(): Promise<readonly ClearedCache[]>;
  readonly lora: LoraDesk;
  /** Asks the router, which changes what `change` names; undefined: it does not answer. */
  busy(change: ModelBusy | undefined): Promise<BusyIs | undefined>;
  /** Paths of the dialects, as their tables have them. */
  readonly endpoints: readonly string[];
  /** Where a route is, whose path in the tables is `path`. */
  pathOf(path: string): string;
};

/** How adapters are loaded and unloaded on all machines. */
export type LoraDesk = {
  /** False: this server does not let its clients do it. */
  readonly allowed: boolean;
  /** Resolves when all workers have it, or none. Never rejects. */
  load(adapter: Omit<LoadAdapter, "kind" | "path">): Promise<AdapterDone>;
  /** Resolves when no answer uses it any more. Never rejects. */
  unload(name: string, wait_ms: number): Promise<AdapterDone>;
};

export type RouteAnswer = {
  readonly status: number;
  readonly body: string | ReadableStream<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
};

const JSON_TYPE = { "Content-Type": "application/json" };

export const jsonAnswer = (value: object, status = 200): RouteAnswer => ({
  status,
  body: JSON.stringify(value),
  headers: JSON_TYPE,
});

/** JSON that was written by hand. */
export const jsonTextAnswer = (body: string): RouteAnswer => ({
  status: 200,
  body,
  headers: JSON_TYPE,
});
