/** Errors in Anthropic's form. Its clients tell them apart by status and type. */
import { ApiError, type ErrorFacts } from "../api-error.ts";

/** Types by status; any other one is the request's fault below 500 and the server's from there on. */
const typeOfStatus: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  // To try again is right for both, and in a stream the type alone says it.
  503: "overloaded_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** Anthropic's clients send a request without thread again when they read this. */
const NO_THREADS = { error_code: "thread_unsupported_request", unsupported: ["thread"] };

/** `details.error_code` is our own code, which Anthropic's clients show as `errorCode`. */
export function messageErrorBody(
  { status, code, message, param }: ErrorFacts,
  resume_path?: string,
  request?: string,
) {
  return {
    type: "error",
    error: {
      type: typeOfStatus[status] ?? (status < 500 ? "invalid_request_error" : "api_error"),
      message,
      details: {
        error_code: code,
        ...(param == null ? {} : { param }),
        ...(param === "thread" ? NO_THREADS : {}),
        ...(resume_path === undefined ? {} : { resume: resume_path }),
      },
    },
    request_id: request ?? null,
  };
}

export const notSupported = (message: string, param: string) =>
  new ApiError(400, "not_supported", message, param);
