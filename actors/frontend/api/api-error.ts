/**
 * Errors for clients, with codes that stay the same from release to release. A dialect gives an
 * error its form. The table of codes is in docs/api.md.
 */

/** The facts of an error body. */
export type ErrorFacts = {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly param?: string | null;
};

/** Thrown wherever a request is checked or run, and made a response in one place, the door. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** The field of the request that is to blame, as a path: `messages[0].content`. */
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    param: string | null = null,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers;
  }
}

/** The label `error_type` of the metrics, in Dynamo's words. */
export function errorClass(status: number): string {
  if (status === 499) return "cancelled";
  if (status === 404) return "not_found";
  if (status === 429 || status === 529) return "overload";
  if (status === 503) return "unavailable";
  if (status === 501) return "not_implemented";
  return status >= 500 ? "internal" : "validation";
}

export const invalidValue = (message: string, param: string | null) =>
  new ApiError(400, "invalid_value", message, param);

export const invalidType = (message: string, param: string | null) =>
  new ApiError(400, "invalid_type", message, param);

export const unsupported = (message: string, param: string) =>
  new ApiError(400, "unsupported_parameter", message, param);

export const unknownParameter = (param: string) =>
  new ApiError(
    400,
    "unknown_parameter",
    `Unknown parameter: '${param}'. Remove it, or correct its name: /openapi.json lists all.`,
    param,
  );

export const missingParameter = (param: string) =>
  new ApiError(
    400,
    "missing_required_parameter",
    `Missing required parameter: '${param}'. Add it to the request.`,
    param,
  );

/** `restricted`: the key may not use all models, and is not told which ones there are beside. */
export const modelNotFound = (model: string, served: readonly string[], restricted = false) =>
  new ApiError(
    404,
    "model_not_found",
    `The model '${clip(model)}' does not exist here${restricted ? ", or this key may not use it" : ""}. ` +
      notFoundAdvice(served, restricted),
    "model",
  );

function notFoundAdvice(served: readonly string[], restricted: boolean): string {
  if (served.length > 0) return `${restricted ? "For this key" : "Served"}: ${served.join(", ")}.`;
  return restricted
    ? "None that is served is for this key."
    : "No model is served yet; try again in a moment.";
}

/** "at least ": the prompt was counted up to here only. */
type Counted = "" | "at least ";

export const contextOverflow = (
  context: number,
  prompt: number,
  wanted: number,
  param: string,
  counted: Counted = "",
) =>
  new ApiError(
    400,
    "context_length_exceeded",
    `This model's maximum context length is ${context} tokens, but ${counted}${prompt + wanted} ` +
      `were requested (${counted}${prompt} in the prompt, ${wanted} for the answer). ` +
      "Shorten the prompt or ask for fewer tokens.",
    param,
  );

export const bodyTooLarge = (limit_bytes: number) =>
  new ApiError(
    413,
    "request_too_large",
    `The request body is larger than the limit of ${limit_bytes} bytes; send less at once.`,
    null,
    // The rest of the body is not read, so no further request can come on this connection.
    { Connection: "close" },
  );

export const draining = () =>
  new ApiError(
    503,
    "draining",
    "This server is shutting down and takes no new requests. Retry: another one may answer.",
    null,
    // The next try goes over a new connection, and may meet another frontend.
    { "Retry-After": "1", Connection: "close" },
  );

/** Client text inside our own messages stays short and printable. */
export function clip(text: string): string {
  const short = text.length > 128 ? `${text.slice(0, 128)}…` : text;
  return short.toWellFormed().replace(/\p{Cc}/gu, "�");
}

/** No encoding can carry half a surrogate pair. `param` "": somewhere in the body. */
export const halfPair = (param: string): ApiError =>
  new ApiError(
    400,
    "invalid_unicode",
    `${param === "" ? "The body" : `'${param}'`} holds half of a surrogate pair ` +
      "(\\ud800–\\udfff alone); send whole characters.",
    param === "" ? null : param,
  );

export const oddEventId = () =>
  new ApiError(
    400,
    "invalid_header",
    "The header 'Last-Event-ID' is the id of the last event of this very stream, as it came.",
    "Last-Event-ID",
  );

/** The client has left and does not read it; the status is for the metrics. */
export const clientGone = (): ApiError =>
  new ApiError(499, "client_closed_request", "The client closed the request.");
