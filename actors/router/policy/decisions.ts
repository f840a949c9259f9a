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

/** Has others compute a prompt. Returns the tokens of it that the worker still computes. */
export type HandOff = (
  request: PlaceRequest,
  worker: RoutedWorker,
  uncached_tokens: number,
  now_ms: number,
) => number;

const RETRY_AFTER_FIRST_MS = 1_000;
const RETRY_AFTER_MOST_MS = 60_000;

/** When a client may try again, who would wait so long. */
export const retryAfterMs = (wait_ms: number): number =>
  Math.min(RETRY_AFTER_MOST_MS, Math.max(RETRY_AFTER_FIRST_MS, wait_ms));
