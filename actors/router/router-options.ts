/** Options of a router in any mode. */
import type { RouterWeights, WorkerRecord } from "../../proto/index.ts";
import type { PeerOptions } from "./peers/peer-routers.ts";
import type { KvPolicyOptions } from "./policy/kv-policies.ts";
import type { RouterMode } from "./policy/load-modes.ts";

/** Changes of workers in the registry; `all` replaces the set known before. */
export type WorkersChange =
  | { readonly kind: "all"; readonly records: readonly WorkerRecord[] }
  | { readonly kind: "up"; readonly record: WorkerRecord }
  | { readonly kind: "gone"; readonly worker: string };

/** Calls the listener with `all` first, then with each change; returns what ends the watch. */
export type WatchWorkers = (listener: (change: WorkersChange) => void) => () => void;

export type RouterOptions = {
  readonly mode: RouterMode;
  readonly watch: WatchWorkers;
  /** Calls the listener for each worker whose process crashed; returns what ends the watch. */
  readonly watchCrashes?: (listener: (worker: string) => void) => () => void;
  /** How long a request waits for a worker when there is none. Default 10,000. */
  readonly wait_ms?: number;
  /**
   * A worker of this model is being started, or will be as somebody asks: how long a request may
   * wait for it in all, in ms. Undefined: none is.
   */
  readonly first_worker_ms?: (model: string) => number | undefined;
  /** How many may wait for a worker when there is none. Default 1,024. */
  readonly waiting_max?: number;
  /** True: the request's asker still lives. Finds requests whose end was never told. */
  readonly isLive?: (request: string) => boolean;
  /** Mode kv. Default: adaptive. */
  readonly policy?: KvPolicyOptions;
  /** Mode kv: calls the listener with the weights that were set last, then at each change. */
  readonly watchWeights?: (listener: (weights: RouterWeights) => void) => () => void;
  /** Mode kv: the routers of other frontends. Without it this one is alone. */
  readonly peers?: PeerOptions;
};
