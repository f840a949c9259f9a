/** Why an answer fails, and what HTTP makes of it when nothing was sent yet. */
import type { RefusalCode } from "../../proto/index.ts";
import type { AnswerFailure, FailureCode } from "./types.ts";

const statuses: Readonly<Record<FailureCode, number>> = {
  bad_request: 400,
  context_overflow: 400,
  not_supported: 400,
  pin_required: 400,
  /** Workers crash on the request, so the status is one that clients do not retry. */
  quarantined: 422,
  /** The answer that a client wants to resume is not kept any more. */
  unknown_request: 404,
  /** The request's policy class has as many waiting as it may; other classes go on. */
  rate_limited: 429,
  /** The client closed the request; nginx and Dynamo use the same status. */
  cancelled: 499,
  engine_error: 500,
  internal: 500,
  no_worker: 503,
  worker_lost: 503,
  /** The answer's owner in this process ended; a worker may still have the answer. */
  interrupted: 503,
  /** The answer's server is being stopped. */
  draining: 503,
  deadline: 504,
  /** Every worker holds as much as it may; Dynamo uses the same status. */
  overloaded: 529,
};

/** Message for an answer that is not done at its deadline. */
export const TOO_LONG =
  "This answer took longer than a request may. Ask for fewer tokens, or try again when less is to do.";

/** Seconds after which trying again makes sense, by code. */
const retry_after_s: Readonly<Partial<Record<FailureCode, number>>> = {
  no_worker: 5,
  worker_lost: 1,
  interrupted: 1,
  overloaded: 1,
  rate_limited: 1,
};

/** Failure of an answer whose owner ended without an end of the answer. */
export const interrupted = (): AnswerFailure =>
  failure(
    "interrupted",
    "This server lost hold of the answer. Resume its stream, or send the request again.",
  );

const isFailureCode = (code: FailureCode | RefusalCode): code is FailureCode => code in statuses;

/**
 * `retry_after_ms`: from the refusal; 0: unknown. An unknown code, from a newer worker, becomes an
 * engine error with that worker's text.
 */
export function failure(
  code: FailureCode | RefusalCode,
  message: string,
  retry_after_ms = 0,
): AnswerFailure {
  const known = isFailureCode(code) ? code : "engine_error";
  const status = statuses[known];
  const retry = retry_after_ms > 0 ? Math.ceil(retry_after_ms / 1000) : retry_after_s[known];
  return retry === undefined
    ? { code: known, status, message }
    : { code: known, status, message, retry_after_s: retry };
}
