/** One HTTP request under way, and the forms in which it is answered. */
import type { HttpExchange } from "../../../runtime/capabilities.ts";
import type { ServedModels } from "../access/allowed-models.ts";
import type { Charge } from "../access/charge.ts";
import type { KeyRule } from "../access/key-rule.ts";
import type { ApiError } from "../api/api-error.ts";
import type { ErrorBody } from "../api/dialect.ts";
import type { RequestEntry } from "../requests/request-entry.ts";

export type RequestContext = {
  readonly request: Request;
  readonly path: string;
  /** The server's own id. A client's X-Request-Id is only echoed. */
  readonly id: string;
  /** Headers of every answer to this request. */
  readonly headers: Record<string, string>;
  /** The rule of its key; undefined where the key has none. */
  readonly key?: KeyRule | undefined;
  /** The models that its key may use; undefined: all. */
  readonly models?: ServedModels | undefined;
  /** What its answer costs its key; undefined: nobody counts. */
  readonly charge?: Charge | undefined;
  /** Undefined where no part needs it. */
  readonly exchange?: HttpExchange | undefined;
  /** Notes what becomes of it; undefined: nobody looks at it. */
  readonly entry?: RequestEntry | undefined;
  /** On the clock's scale. */
  readonly arrived_ms: number;
  /** How its errors look. Those of a resumed stream are its dialect's, once that is known. */
  readonly form: { errorBody: ErrorBody };
};

const jsonType = { "Content-Type": "application/json" };

export function jsonText(context: RequestContext, text: string): Response {
  return new Response(text, { headers: { ...context.headers, ...jsonType } });
}

export function errorResponse(context: RequestContext, error: ApiError): Response {
  const body = context.form.errorBody(error, undefined, context.id);
  return new Response(JSON.stringify(body), {
    status: error.status,
    headers: { ...context.headers, ...error.headers, ...jsonType },
  });
}
