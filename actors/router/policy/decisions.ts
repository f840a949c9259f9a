/** What a dispatcher says of a request, and what it asks of those who compute prompts elsewhere. */
import type { RouteChoice } from "../../../proto/index.ts";
import type { Binding } from "./affinity.ts";
import type { RefusalCode } from "./filter.ts";
import type { PlaceRequest } from "./place-request.ts";
import type { RoutedWorker } from "./worker-state.ts";

/** A final refusal with its HTTP status and the time after which the client may try again. */
export type Refusal = {
  readonly kind: "refused";
  readonly request: string;
  readonly code: RefusalCode | "queue_full" | "class_limit";
  readonly status: 429 | 503 | 529;
  readonly retry_after_ms: number;
  readonly message: string;
};

export type Placement = {
  readonly kind: "placed";
  readonly request: PlaceRequest;
  readonly worker: RoutedWorker;
  /** Leading blocks of the prompt that the worker has cached, in any tier. */
  readonly cached_blocks: number;
  /** Those that it computes. */
  readonly uncached_tokens: number;
  readonly waited_ms: number;
  /** Why this worker, where the request asks for it. */
  readonly choice: RouteChoice | undefined;
  /** The binding of its session, if it has one and sessions are kept. */
  readonly bound: Binding | undefined;
};

/** How a request has waited for the others that compute its prompt. */
export type PromptWait = {
  readonly since_ms: number;
  /** Uncached tokens of those that wait, too. */
  readonly tokens_before: number;
};

/** Workers that compute prompts for those of a dispatcher. */
export type PromptPool = {
  readonly size: number;
  readonly anyRoom: (now_ms: number) => boolean;
  /** True: they are to compute the prompt, and have no room for it now. */
  readonly isFullFor: (
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    wait: PromptWait,
  ) => boolean;
  /** Has one of them compute the prompt. Returns the tokens that `answers` still computes. */
  readonly hand: (
    request: PlaceRequest,
    answers: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    wait: PromptWait,
  ) => number;
};

const RETRY_AFTER_FIRST_MS = 1_000;
const RETRY_AFTER_MOST_MS = 60_000;

/** When a client may try again, who would wait so long. */
export const retryAfterMs = (wait_ms: number): number =>
  Math.min(RETRY_AFTER_MOST_MS, Math.max(RETRY_AFTER_FIRST_MS, wait_ms));
