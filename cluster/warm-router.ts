/** Warm-up of a router in a process of its own. */
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { routerPaths } from "../supervisors/paths.ts";
import { type Discovery, keys } from "./discovery.ts";

const LOOK_MS = 20;
const PATIENCE_MS = 5_000;

/**
 * Resolves when the router has read the caches of all present workers, and heard the requests and
 * sessions of the other routers; or after 5 s.
 */
export async function whenWarm(system: ActorSystem, discovery: Discovery): Promise<void> {
  const { clock } = system.capabilities;
  const late_ms = clock.now_ms() + PATIENCE_MS;
  while (!isWarm(system, discovery) && clock.now_ms() < late_ms) {
    await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
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
