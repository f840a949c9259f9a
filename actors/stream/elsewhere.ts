/**
 * When a request that one worker did not take is tried at another one, for answers and embeddings
 * alike: how often, and after which refusals.
 */
import type { RefusalCode } from "../../proto/index.ts";

/** Workers asked for one request before it has a result. */
export const WORKERS_ASKED = 3;
/** Asks of a router, which may be between two lives. */
export const ROUTER_ASKS = 50;
/** Pause between two asks of a router, in milliseconds. */
export const ROUTER_AGAIN_MS = 100;

/**
 * Refusals that another worker may not share: this worker is busy (`refused`), or is of no use any
 * more (`lost`).
 */
export const refusalsElsewhere: Readonly<Partial<Record<RefusalCode, "refused" | "lost">>> = {
  queue_full: "refused",
  draining: "lost",
  model_mismatch: "lost",
  closed: "lost",
};
