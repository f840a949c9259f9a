/**
 * KServe's inference protocol v2 over gRPC (`inference.GRPCInferenceService`), with Dynamo's
 * mapping of text models. A door of its own into the same house: each inference is a completion
 * that goes through keys, limits, checks, hub and metrics as all others.
 */
import {
  codecs,
  type KserveInferRequest,
  type KserveModelConfig,
  type KserveModelMetadata,
} from "../../../proto/index.ts";
import {
  type GrpcCall,
  GrpcFailure,
  type GrpcMethod,
  type GrpcStatus,
} from "../../../runtime/grpc.ts";
import type { ServedModel } from "../models/served-model.ts";
import { eventsOf } from "./event-stream.ts";
import { type Completion, inferResponse } from "./kserve-answer.ts";
import { inferRequest } from "./kserve-request.ts";

export type KserveParts = {
  /** The door's way in; undefined while it is between two lives. */
  readonly entrance: () => ((request: Request) => Promise<Response>) | undefined;
  /** Where a route is, whose path in the tables is `path`. */
  readonly pathOf: (path: string) => string;
  readonly version: string;
};

const SERVICE = "/inference.GRPCInferenceService/";
const PLATFORM = "troupe";
/** Nothing is sent to it: requests go to the door by a call. */
const DOOR = "http://kserve.invalid";
const BOOL = 1;
const STRING = 13;
/** Errors of one request, behind which others of the stream may succeed. */
const GO_ON: readonly GrpcStatus[] = [
  ...(["invalid_argument", "not_found", "resource_exhausted", "unavailable"] as const),
];

export function kserveMethods(parts: KserveParts): readonly GrpcMethod[] {
  const { version } = parts;
  const unary = (
    name: string,
    answer: (request: Uint8Array, call: GrpcCall) => Promise<Uint8Array>,
  ) =>
    ({
      path: `${SERVICE}${name}`,
      streams: false,
      handle: async function* (request: Uint8Array, call: GrpcCall) {
        yield await answer(request, call);
      },
    }) satisfies GrpcMethod;
  return [
    unary("ServerLive", async () => codecs.KserveServerLive.encode({ live: true }).finish()),
    unary("ServerReady", async (_request, call) => {
      const { status } = await ask(parts, call, "/health");
      return codecs.KserveServerReady.encode({ ready: status === 200 }).finish();
    }),
    unary("ServerMetadata", async () =>
      codecs.KserveServerMetadata.encode({ name: PLATFORM, version, extensions: [] }).finish(),
    ),
    unary("ModelReady", async (request, call) => {
      const name = nameIn(request);
      const response = await ask(parts, call, "/v1/models", `/${encodeURIComponent(name)}/ready`);
      if (response.status !== 200 && response.status !== 503) throw await failureOf(response);
      return codecs.KserveModelReady.encode({ ready: response.status === 200 }).finish();
    }),
    unary("ModelMetadata", async (request, call) => {
      const name = await knownModel(parts, nameIn(request), call);
      return codecs.KserveModelMetadata.encode(metadataOf(name)).finish();
    }),
    unary("ModelConfig", async (request, call) => {
      const name = await knownModel(parts, nameIn(request), call);
      return codecs.KserveModelConfigResponse.encode({ config: configOf(name) }).finish();
    }),
    unary("ModelInfer", (request, call) =>
      infer(parts, decoded(codecs.KserveInferRequest, request), call),
    ),
    {
      path: `${SERVICE}ModelStreamInfer`,
      streams: true,
      handle: (request, call) => streamInfer(parts, request, call),
    },
  ];
}

/** Throws GrpcFailure. */
function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch {
    const message = "The message is not one of KServe's protocol v2, or it is cut off.";
    throw new GrpcFailure("invalid_argument", message);
  }
}

/** Throws GrpcFailure. */
function nameIn(request: Uint8Array): string {
  const { name } = decoded(codecs.KserveModelRef, request);
  if (name !== "") return name;
  throw new GrpcFailure("invalid_argument", "The name of a model is missing: add it.");
}

async function infer(
  parts: KserveParts,
  request: KserveInferRequest,
  call: GrpcCall,
): Promise<Uint8Array> {
  const asked = inferRequest(request);
  if (asked.stream) {
    const message = "ModelInfer answers once: leave 'streaming' out, or call ModelStreamInfer.";
    throw new GrpcFailure("invalid_argument", message);
  }
  const completion = await whole(parts, asked.body, call);
  return codecs.KserveInferResponse.encode(inferResponse(asked, completion)).finish();
}

/** An error of one request is told in its response, as Triton does: the stream goes on. */
async function* streamInfer(
  parts: KserveParts,
  bytes: Uint8Array,
  call: GrpcCall,
): AsyncIterable<Uint8Array> {
  try {
    const asked = inferRequest(decoded(codecs.KserveInferRequest, bytes));
    const completions = asked.stream
      ? chunks(parts, asked.body, call)
      : [await whole(parts, asked.body, call)];
    for await (const completion of completions) {
      const infer_response = inferResponse(asked, completion);
      yield codecs.KserveStreamResponse.encode({ error_message: "", infer_response }).finish();
    }
  } catch (error) {
    if (!(error instanceof GrpcFailure)) throw error;
    if (!GO_ON.includes(error.status)) throw error;
    yield codecs.KserveStreamResponse.encode({ error_message: error.message }).finish();
  }
}

async function whole(parts: KserveParts, body: object, call: GrpcCall): Promise<Completion> {
  const response = await ask(parts, call, "/v1/completions", "", body);
  if (response.status !== 200) throw await failureOf(response);
  const text = await response.text();
  return checked(JSON.parse(text));
}

async function* chunks(
  parts: KserveParts,
  body: object,
  call: GrpcCall,
): AsyncIterable<Completion> {
  const response = await ask(parts, call, "/v1/completions", "", body);
  if (response.status !== 200) throw await failureOf(response);
  for await (const data of eventsOf(response)) {
    if (data === "[DONE]") return;
    yield checked(JSON.parse(data));
  }
  throw new GrpcFailure("unavailable", "The answer broke off. Send the request again.");
}

type Answer = Completion & { readonly error?: { readonly message: string } };

/** Throws GrpcFailure for an answer that failed after its head was sent. */
function checked(answer: Answer): Completion {
  if (answer.error === undefined) return answer;
  throw new GrpcFailure("unavailable", answer.error.message);
}

/** Headers that a gRPC client may send as metadata. */
const PASSED = [
  ...["authorization", "x-api-key", "x-request-id", "traceparent"],
  ...["x-dynamo-session-id", "x-dynamo-request-priority", "x-dynamo-meta-policy-class"],
];

/** Asks the door; `rest` stands behind the route's place. Throws GrpcFailure without a door. */
async function ask(
  { entrance, pathOf }: KserveParts,
  { headers, signal }: GrpcCall,
  path: string,
  rest = "",
  body?: object,
): Promise<Response> {
  const handle = entrance();
  if (handle === undefined) {
    throw new GrpcFailure("unavailable", "The server is being restarted. Try again in a moment.");
  }
  const url = `${DOOR}${pathOf(path)}${rest}`;
  const given = PASSED.flatMap((name): [string, string][] => {
    const value = headers.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  if (body === undefined) return handle(new Request(url, { headers: given, signal }));
  const sent: [string, string][] = [...given, ["content-type", "application/json"]];
  const post = { method: "POST", headers: sent, signal, body: JSON.stringify(body) };
  return handle(new Request(url, post));
}

/** 404 for a model that is not served, or not for this key. */
async function knownModel(parts: KserveParts, name: string, call: GrpcCall): Promise<string> {
  const response = await ask(parts, call, "/v1/models", `/${encodeURIComponent(name)}`);
  if (response.status !== 200) throw await failureOf(response);
  return name;
}

const STATUSES: Readonly<Record<number, GrpcStatus>> = {
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  429: "resource_exhausted",
  499: "cancelled",
  501: "unimplemented",
  503: "unavailable",
  504: "deadline_exceeded",
  529: "unavailable",
};

async function failureOf(response: Response): Promise<GrpcFailure> {
  const body = (await response.json().catch(() => ({}))) as Answer;
  const { status, headers } = response;
  const known = STATUSES[status] ?? (status < 500 ? "invalid_argument" : "internal");
  const trailers: Record<string, string> = {};
  headers.forEach((value, name) => {
    if (name === "retry-after" || name.startsWith("x-ratelimit-")) trailers[name] = value;
  });
  return new GrpcFailure(known, body.error?.message ?? `HTTP ${status}`, trailers);
}

const metadataOf = (name: ServedModel["name"]): KserveModelMetadata => ({
  ...{ name, versions: ["1"], platform: PLATFORM },
  inputs: [
    { name: "text_input", datatype: "BYTES", shape: [1] },
    { name: "streaming", datatype: "BOOL", shape: [1] },
  ],
  outputs: [
    { name: "text_output", datatype: "BYTES", shape: [-1] },
    { name: "finish_reason", datatype: "BYTES", shape: [-1] },
  ],
});

const configOf = (name: ServedModel["name"]): KserveModelConfig => ({
  ...{ name, platform: PLATFORM, backend: PLATFORM },
  input: [
    { name: "text_input", data_type: STRING, dims: [1], optional: false },
    { name: "streaming", data_type: BOOL, dims: [1], optional: true },
  ],
  output: [
    { name: "text_output", data_type: STRING, dims: [-1] },
    { name: "finish_reason", data_type: STRING, dims: [-1] },
  ],
  model_transaction_policy: { decoupled: true },
});
