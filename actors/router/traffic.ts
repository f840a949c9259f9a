/** What a router says of all requests that it knows of: how much there is beside batches. */
import type { Ask } from "../../runtime/kernel/message.ts";

export type Traffic = {
  readonly workers: number;
  /** Requests that are at a worker or wait for one. */
  readonly requests: number;
  /** Those of them with LOWEST_PRIORITY. */
  readonly lowest: number;
  readonly waiting: number;
};

/** Asked by actors of the router's own process alone. */
export type GetTraffic = { readonly kind: "get_traffic" } & Ask<Traffic>;

/** The strict priority of a batch's lines: no client can ask for less. */
export const LOWEST_PRIORITY = -1_000_000;

const none: Traffic = { workers: 0, requests: 0, lowest: 0, waiting: 0 };

export const trafficSum = (parts: Iterable<{ traffic(): Traffic }>): Traffic =>
  [...parts].reduce((sum, part) => {
    const { workers, requests, lowest, waiting } = part.traffic();
    return {
      workers: sum.workers + workers,
      requests: sum.requests + requests,
      lowest: sum.lowest + lowest,
      waiting: sum.waiting + waiting,
    };
  }, none);
