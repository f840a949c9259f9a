/** Options of a router, in a frontend or in a process of its own. */
import type { KvPolicyOptions, RouterOptions } from "../actors/router/router.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { FrontendBoot, RouterBoot } from "./boot.ts";
import { type Discovery, keys } from "./discovery.ts";
import { announce } from "./keep-registered.ts";
import type { RouterSettings } from "./settings/settings.ts";

/** `path`: of the router itself. */
export function routerOptions(
  boot: FrontendBoot | RouterBoot,
  system: ActorSystem,
  discovery: Discovery,
  path: string,
): RouterOptions {
  return {
    mode: boot.router.mode,
    watch: (listener) => discovery.watchWorkers(listener),
    watchCrashes: (listener) =>
      discovery.watchExits((worker, crash) => {
        if (crash) listener(worker);
      }),
    policy: policyOf(boot.router),
    peers: {
      watch: (listener) => discovery.watchRouters(listener),
      announce: (self) => {
        const wanted = () => system.lookup(path) === self;
        void announce(system, discovery, keys.router(system.node), self, wanted);
      },
    },
  };
}

function policyOf(router: RouterSettings): KvPolicyOptions {
  const { policy, objective, queue_threshold, temperature, session_ttl_ms, session_mode } = router;
  const { conditional, eff_isl, eff_isl_ratio, enforce_disagg } = router;
  const { queue_requests, queue_policy, classes, decode_blocks_max, prefill_tokens_max } = router;
  const busy = {
    active_decode_blocks: decode_blocks_max,
    active_prefill_tokens: prefill_tokens_max,
  };
  return {
    name: policy,
    objective,
    temperature,
    queue: {
      requests_max: queue_requests,
      classes,
      ...(queue_policy === "" ? {} : { order: queue_policy }),
    },
    busy: () => busy,
    conditional: { mode: conditional, eff_isl, eff_isl_ratio },
    enforce_disagg,
    ...(queue_threshold < 0 ? {} : { queue_threshold }),
    ...(session_ttl_ms === 0 ? {} : { affinity: { mode: session_mode, ttl_ms: session_ttl_ms } }),
  };
}
