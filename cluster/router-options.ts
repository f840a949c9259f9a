/** Options of a router, in a frontend or in a process of its own. */
import type { RouterOptions } from "../actors/router/router.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { FrontendBoot, RouterBoot } from "./boot.ts";
import { type Discovery, keys } from "./discovery.ts";
import { announce } from "./keep-registered.ts";
import { policyOf } from "./settings/router/router-weights.ts";

/** `path`: of the router itself. */
export function routerOptions(
  boot: FrontendBoot | RouterBoot,
  system: ActorSystem,
  discovery: Discovery,
  path: string,
): RouterOptions {
  return {
    mode: boot.router.mode,
    first_worker_ms: (model) => discovery.firstWorkerMs(model),
    watch: (listener) => discovery.watchWorkers(listener),
    watchCrashes: (listener) =>
      discovery.watchExits((worker, crash) => {
        if (crash) listener(worker);
      }),
    policy: policyOf(boot.router),
    watchWeights: (listener) => discovery.watchWeights(listener),
    peers: {
      watch: (listener) => discovery.watchRouters(listener),
      announce: (self) => {
        const wanted = () => system.lookup(path) === self;
        void announce(system, discovery, keys.router(system.node), self, wanted);
      },
    },
  };
}
