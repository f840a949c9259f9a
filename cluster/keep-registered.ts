/** Names that belong to a path in a tree, for all lives of the actor there. */
import type { Message } from "../runtime/kernel/message.ts";
import { type Ref, sameActor } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import type { Discovery } from "./discovery.ts";

const LOOK_AGAIN_MS = 20;

/**
 * Keeps a key for the actor at a path; a restarted actor is a new owner. `stands` is called for
 * each life.
 */
export async function keepRegistered(
  system: ActorSystem,
  discovery: Discovery,
  key: string,
  path: string,
  stands: () => void = () => {},
): Promise<void> {
  const owner = standing(system, path);
  const again = (): void => {
    system.capabilities.clock.after(LOOK_AGAIN_MS, () => {
      keepRegistered(system, discovery, key, path, stands).catch(again);
    });
  };
  const unwatch = system.onDown(owner, again);
  try {
    stands();
    await discovery.register(key, new Uint8Array(0), owner);
  } catch (error) {
    unwatch();
    throw error;
  }
}

/** The actor at the path. Throws when there is none. */
export function standing(system: ActorSystem, path: string): Ref<Message> {
  const ref = system.lookup(path);
  if (ref === undefined) throw new Error(`${path} did not start`);
  return ref;
}

/** Calls `stands` for the actor at a path, now and in each later life. */
export function eachStanding(system: ActorSystem, path: string, stands: () => void): void {
  const again = () => void system.capabilities.clock.after(LOOK_AGAIN_MS, look);
  const look = () => {
    const owner = system.lookup(path);
    if (owner === undefined) {
      again();
      return;
    }
    system.onDown(owner, again);
    stands();
  };
  look();
}

const ANNOUNCE_AGAIN_MS = 1_000;

/**
 * Registers `self` until it is not `wanted` any more; the registry takes the name of its last life
 * away when that one ended.
 */
export async function announce(
  system: ActorSystem,
  discovery: Discovery,
  key: string,
  self: Ref,
  wanted: () => boolean,
  value = new Uint8Array(0),
): Promise<void> {
  try {
    discovery.deregister(key);
    await discovery.register(key, value, self);
  } catch (error) {
    if (!wanted()) return;
    const { log, clock } = system.capabilities;
    log.log("debug", "a name is not registered yet", { key, error: String(error) });
    clock.after(ANNOUNCE_AGAIN_MS, () => {
      if (wanted()) void announce(system, discovery, key, self, wanted, value);
    });
  }
}

/**
 * A name that actors of several processes want, and one at a time has. Returns whether the actor at
 * `path` has it now; each call also asks for the name while nobody has it, and lets it go while it
 * is not `wanted`.
 */
export function holdsName(
  system: ActorSystem,
  discovery: Discovery,
  { prefix, name, path }: { readonly prefix: string; readonly name: string; readonly path: string },
  wanted: () => boolean,
): () => boolean {
  const key = prefix + name;
  let asked: Ref | undefined;
  const letGo = (): false => {
    if (asked !== undefined) discovery.deregister(key);
    asked = undefined;
    return false;
  };
  return () => {
    const self = system.lookup(path);
    if (self === undefined || !wanted()) return letGo();
    const owner = discovery.owner(prefix, name);
    if (owner !== undefined) return sameActor(owner, self) || letGo();
    if (asked === undefined || !sameActor(asked, self)) {
      asked = self;
      // Whether it got the name is seen at a later call.
      discovery.register(key, new Uint8Array(0), self).catch(() => {});
    }
    return false;
  };
}
