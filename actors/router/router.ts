/**
 * The face of `router`: one actor in each frontend's process says which worker serves a request.
 * It is asked once per answer (and once more for each worker that failed it); tokens never pass
 * through it.
 *
 *   stream ── Route ──▶ router ── Plan | Refused ──▶ stream
 *          ── RouteFirst, RouteEnded ──▶ ▲ ▲ ▲
 *          registry's watch ─────────────┘ │ └── KvEvents, RouterNews of other routers (mode kv)
 *                                          └──── WorkerLoad, from each worker it subscribed to
 */
import type { RouterMessage, WorkerRecord } from "../../proto/index.ts";
import type { Actor } from "../../runtime/kernel/actor.ts";
import { KvRouter } from "./kv-router.ts";
import { LoadRouter } from "./load-router.ts";
import type { PeerOptions } from "./peers/peer-routers.ts";
import type { KvPolicyOptions } from "./policy/kv-policies.ts";
import type { RouterMode } from "./policy/load-modes.ts";

export type { WatchRouters } from "./peers/peer-routers.ts";
export { DEFAULT_OBJECTIVE, routerObjectives } from "./policy/cost/objective.ts";
export { isKvPolicyName, type KvPolicyOptions, kvPolicyNames } from "./policy/kv-policies.ts";
export { isRouterMode, type RouterMode, routerModes } from "./policy/load-modes.ts";
export { RouterDesk } from "./router-desk.ts";

/** What the registry tells of workers; `all` replaces everything known before. */
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
  /** How many may wait for a worker when there is none. Default 1,024. */
  readonly waiting_max?: number;
  /** Whether whoever asked for this request is still there; for finding what was not ended. */
  readonly isLive?: (request: string) => boolean;
  /** Mode kv. Default: adaptive. */
  readonly policy?: KvPolicyOptions;
  /** Mode kv: the routers of other frontends. Without it this one is alone. */
  readonly peers?: PeerOptions;
};

/** The router of a mode; all of them understand the same messages. */
export function routerOf(options: RouterOptions): Actor<RouterMessage> {
  const { mode } = options;
  const router = mode === "kv" ? new KvRouter(options) : new LoadRouter(mode, options);
  return router as Actor<RouterMessage>;
}
