/** What a client with limits is told: OpenAI's x-ratelimit headers and its 429; pure. */
import type { KeyLimits } from "../../../proto/index.ts";
import type { Decision, RefusedBy } from "../../limits/limits.ts";
import { ApiError } from "../api/api-error.ts";

type Left = Pick<
  Decision,
  "requests_left" | "requests_reset_ms" | "tokens_left" | "tokens_reset_ms"
>;

/** Limits that the key does not have are left out. */
export function rateHeaders(limits: KeyLimits, left: Left): Record<string, string> {
  const headers: Record<string, string> = {};
  if (limits.requests_per_minute > 0) {
    headers["x-ratelimit-limit-requests"] = `${limits.requests_per_minute}`;
    headers["x-ratelimit-remaining-requests"] = `${left.requests_left}`;
    headers["x-ratelimit-reset-requests"] = durationText(left.requests_reset_ms);
  }
  if (limits.tokens_per_minute > 0) {
    headers["x-ratelimit-limit-tokens"] = `${limits.tokens_per_minute}`;
    headers["x-ratelimit-remaining-tokens"] = `${left.tokens_left}`;
    headers["x-ratelimit-reset-tokens"] = durationText(left.tokens_reset_ms);
  }
  return headers;
}

/** As OpenAI writes them: 12ms, 1.5s, 6m0s, 1h0m3s. */
export function durationText(duration_ms: number): string {
  const ms = Math.max(0, Math.ceil(duration_ms));
  if (ms < 1_000) return `${ms}ms`;
  const seconds = (ms % 60_000) / 1_000;
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 0) return `${seconds}s`;
  if (minutes < 60) return `${minutes}m${seconds}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}s`;
}

const WHAT: Readonly<Record<RefusedBy, (limits: KeyLimits) => string>> = {
  "": () => "",
  requests: ({ requests_per_minute }) => `${requests_per_minute} requests a minute are used up`,
  tokens: ({ tokens_per_minute }) => `${tokens_per_minute} tokens a minute are used up`,
  at_once: ({ requests_at_once }) => `${requests_at_once} answers at once are under way`,
  day: ({ tokens_per_day }) => `${tokens_per_day} tokens a day are used up, until 0:00 UTC`,
  size: ({ tokens_per_minute }) => `${tokens_per_minute} tokens a minute are less than it needs`,
};

/** OpenAI's clients do not send it again when this says so: trying again would not help. */
const NO_RETRY = { "x-should-retry": "false" };

/** The 429 for a request that a limit refuses. `tokens`: what was estimated for it. */
export function limitReached(
  name: string,
  limits: KeyLimits,
  tokens: number,
  { refused_by, retry_after_ms }: Decision,
): ApiError {
  const daily = refused_by === "day";
  const code = daily ? "insufficient_quota" : "rate_limit_exceeded";
  const what = `Rate limit reached for the key '${name}': ${WHAT[refused_by](limits)}`;
  const wanted = `this request counts as ${tokens} tokens`;
  if (refused_by === "size") {
    const advice = "Send a shorter prompt, or ask for fewer tokens.";
    return new ApiError(429, code, `${what} (${wanted}). ${advice}`, null, NO_RETRY);
  }
  const message = `${what}; ${wanted}. Try again in ${durationText(retry_after_ms)}.`;
  return new ApiError(429, code, message, null, {
    "Retry-After": `${Math.max(1, Math.ceil(retry_after_ms / 1_000))}`,
    "retry-after-ms": `${Math.max(1, Math.ceil(retry_after_ms))}`,
    ...(daily ? NO_RETRY : {}),
  });
}
