/**
 * A router in a process of its own:
 *
 *     router (one_for_one)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector
 *     ├── router      which worker gets a request
 *     └── desk        where frontends ask
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { deskOf, type RouterOptions, routerOf } from "../actors/router/router.ts";
import type { RouterMessage } from "../proto/index.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { unseen } from "../runtime/outside.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";
import { routerPaths } from "./paths.ts";

export function routerTree(
  made_of: RouterOptions,
  system: ActorSystem,
  first: readonly ChildSpec[],
): SupervisorSpec {
  const router = () => system.lookup(routerPaths.router) as Ref<RouterMessage> | undefined;
  let desk = deskOf({ router }, unseen);
  const options: RouterOptions = {
    ...made_of,
    isLive: (request) => desk.isLive(request),
  };
  return {
    strategy: "one_for_one",
    intensity: 5,
    period_ms: 10_000,
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "router" }) },
      { id: "router", start: (outside) => routerOf(options, outside) },
      {
        id: "desk",
        role: "router",
        start: (outside) => {
          desk = deskOf({ router, left_over: desk.requests }, outside);
          return desk;
        },
      },
    ],
  };
}
