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
import { RouterDesk, type RouterOptions, routerOf } from "../actors/router/router.ts";
import type { RouterMessage } from "../proto/index.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/child-spec.ts";
import type { Ref } from "../runtime/ref.ts";
import type { ActorSystem } from "../runtime/system.ts";
import type { RouterBoot } from "./boot.ts";
import { type Discovery, keys } from "./discovery.ts";
import { routerPaths } from "./paths.ts";
import { routerOptions } from "./router-options.ts";

export function routerTree(
  boot: RouterBoot,
  system: ActorSystem,
  discovery: Discovery,
  first: readonly ChildSpec[],
): SupervisorSpec {
  const router = () => system.lookup(routerPaths.router) as Ref<RouterMessage> | undefined;
  let desk = new RouterDesk({ router });
  const options: RouterOptions = {
    ...routerOptions(boot, system, discovery, routerPaths.router),
    isLive: (request) => desk.isLive(request),
  };
  return {
    strategy: "one_for_one",
    intensity: 5,
    period_ms: 10_000,
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "router" }) },
      { id: "router", start: () => routerOf(options) },
      {
        id: "desk",
        role: "router",
        start: () => {
          desk = new RouterDesk({ router, left_over: desk.requests });
          return desk;
        },
      },
    ],
  };
}

const look_ms = 20;
const patience_ms = 5_000;

/**
 * Resolves when the router has read the caches of the workers that are there, and heard from the
 * other routers what they have sent and which sessions are where; or after 5 s.
 */
export async function whenWarm(system: ActorSystem, discovery: Discovery): Promise<void> {
  const { clock } = system.capabilities;
  const late_ms = clock.now_ms() + patience_ms;
  while (!isWarm(system, discovery) && clock.now_ms() < late_ms) {
    await new Promise<void>((resolve) => void clock.after(look_ms, resolve));
  }
}

type RouterView = {
  readonly workers: readonly { readonly worker: string }[];
  /** Mode kv. */
  readonly caches?: readonly { readonly worker: string; readonly state: string }[];
  readonly routers?: readonly { readonly heard: number }[];
};

/** A router that has not been told of any worker yet has nothing left to read either. */
function isWarm(system: ActorSystem, discovery: Discovery): boolean {
  const view = system.snapshot(routerPaths.router) as RouterView | undefined;
  if (view === undefined) return false;
  if (!discovery.knows(keys.worker("")) || !discovery.knows(keys.router(""))) return false;
  const { workers, caches, routers = [] } = view;
  if ((caches ?? workers).length < discovery.owners(keys.worker("")).length) return false;
  if (caches === undefined) return true;
  const others = discovery
    .owners(keys.router(""))
    .filter(({ address }) => address.node !== system.node);
  return (
    caches.every(({ state }) => state === "live" || state === "approximate") &&
    routers.length >= others.length &&
    routers.every(({ heard }) => heard > 0)
  );
}
