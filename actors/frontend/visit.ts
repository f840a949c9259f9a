/** One HTTP request under way, and the forms in which it is answered. */
import type { HttpExchange } from "../../runtime/capabilities.ts";
import type { ApiError } from "./api/api-error.ts";
import type { ErrorBody } from "./api/dialect.ts";

export type Visit = {
  readonly request: Request;
  readonly path: string;
  /** The server's own id; what a client sent as X-Request-Id is only echoed. */
  readonly id: string;
  /** What every answer to it carries. */
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where nobody needs it. */
  readonly exchange?: HttpExchange | undefined;
  /** On the clock's scale. */
  readonly arrived_ms: number;
};

const jsonType = { "Content-Type": "application/json" };

export function jsonText(visit: Visit, text: string, status = 200): Response {
  return new Response(text, { status, headers: { ...visit.headers, ...jsonType } });
}

export function json(visit: Visit, value: unknown, status = 200): Response {
  return jsonText(visit, JSON.stringify(value), status);
}

export function errorResponse(visit: Visit, error: ApiError, errorBody: ErrorBody): Response {
  return new Response(JSON.stringify(errorBody(error)), {
    status: error.status,
    headers: { ...visit.headers, ...error.headers, ...jsonType },
  });
}
