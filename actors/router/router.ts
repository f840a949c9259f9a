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
import type { RouterMessage } from "../../proto/index.ts";
import type { Actor } from "../../runtime/kernel/actor.ts";
import { type Outside, unseen } from "../../runtime/outside.ts";
import { KvRouter } from "./kv-router.ts";
import { LoadRouter } from "./load-router.ts";
import { RouterDesk, type RouterDeskOptions } from "./router-desk.ts";
import type { RouterOptions } from "./router-options.ts";

export type { WatchRouters } from "./peers/peer-routers.ts";
export { DEFAULT_OBJECTIVE } from "./policy/cost/objective.ts";
export type { KvPolicyOptions } from "./policy/kv-policies.ts";
export { type RouterMode, routerModes } from "./policy/load-modes.ts";
export { RouterDesk } from "./router-desk.ts";
export type { RouterOptions, WorkersChange } from "./router-options.ts";
export { type GetTraffic, LOWEST_PRIORITY, type Traffic } from "./traffic.ts";

/** The router of a mode; all of them understand the same messages. */
export function routerOf(given: RouterOptions, outside: Outside = unseen): Actor<RouterMessage> {
  const options = outside.given("router", given);
  const { mode } = options;
  const router = mode === "kv" ? new KvRouter(options) : new LoadRouter(mode, options);
  return router as Actor<RouterMessage>;
}

export function deskOf(given: RouterDeskOptions, outside: Outside): RouterDesk {
  return new RouterDesk(outside.given("desk", given));
}

/** For a recording, which has the options. */
export const routerRecipes = {
  router: (outside: Outside) => routerOf({} as RouterOptions, outside),
  desk: (outside: Outside) => deskOf({} as RouterDeskOptions, outside),
} as const;
