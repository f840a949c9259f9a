/** What a client may say by headers of how its request is routed; Dynamo's names. */
import type { RouteHints } from "../../proto/index.ts";
import { ApiError } from "./api-error.ts";

const SESSION = "x-dynamo-session-id";
const PRIORITY = "x-dynamo-request-priority";
const STRICT_PRIORITY = "x-dynamo-request-strict-priority";
const POLICY_CLASS = "x-dynamo-meta-policy-class";

const text_max = 256;
const strict_priority_max = 1_000_000;
/** Seconds: a day. */
const priority_max = 86_400;

/** undefined when nothing is said. Throws ApiError (400) for what is no number, or too long. */
export function routeHintsOf(headers: Headers): RouteHints | undefined {
  const session = headers.get(SESSION);
  const priority = headers.get(PRIORITY);
  const strict = headers.get(STRICT_PRIORITY);
  const policy_class = headers.get(POLICY_CLASS);
  if (session === null && priority === null && strict === null && policy_class === null) {
    return undefined;
  }
  return {
    session: shortText(SESSION, session),
    strict_priority: wholeNumber(
      STRICT_PRIORITY,
      strict,
      -strict_priority_max,
      strict_priority_max,
    ),
    priority_jump_ms: 1_000 * wholeNumber(PRIORITY, priority, 0, priority_max),
    policy_class: shortText(POLICY_CLASS, policy_class),
  };
}

function shortText(name: string, value: string | null): string {
  if (value === null) return "";
  if (value.length <= text_max) return value;
  throw badHeader(name, `has at most ${text_max} characters`);
}

function wholeNumber(name: string, value: string | null, min: number, max: number): number {
  if (value === null || value === "") return 0;
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw badHeader(name, `is a whole number from ${min} to ${max}`);
}

function badHeader(name: string, rule: string): ApiError {
  return new ApiError(400, "invalid_header", `The header '${name}' ${rule}.`, name);
}
