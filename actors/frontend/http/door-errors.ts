/** Errors of requests that no route takes. */
import { ApiError, clip } from "../api/api-error.ts";
import type { RequestContext } from "./request-context.ts";

export const statusOf = (error: unknown): number =>
  error instanceof ApiError ? error.status : 500;

export const unknownPath = (context: RequestContext) =>
  new ApiError(
    404,
    "unknown_url",
    // The body of HEAD has the length that it has for GET.
    `Unknown request URL: ${clip(context.request.method.replace("HEAD", "GET"))} ` +
      `${clip(context.path)} – GET /docs shows all there are, /openapi.json says it to programs.`,
  );

export const wrongMethod = (context: RequestContext, allow: string) =>
  new ApiError(
    405,
    "method_not_allowed",
    `${clip(context.request.method)} is not allowed at ${clip(context.path)}; it takes ${allow}.`,
    null,
    { Allow: allow },
  );
