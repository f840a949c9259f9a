/**
 * The hosted router that a frontend asks instead of its own. All frontends take the first one by
 * name, so that one router decides; the others stand by. A frontend whose desk is gone asks its own
 * router, which is always warm: it follows workers and other routers anyway.
 */
import type { ActorRef, RouterMessage } from "../proto/index.ts";
import type { Ref } from "../runtime/ref.ts";
import { isAway, refOf } from "../runtime/remote/node.ts";
import type { ActorSystem } from "../runtime/system.ts";
import type { Discovery } from "./discovery.ts";

/** A connection that broke may be back; one that is gone for good leaves the registry. */
const look_again_ms = 1_000;

/** @returns what says who is to be asked now; undefined: nobody but the own router. */
export function nearestDesk(
  system: ActorSystem,
  discovery: Pick<Discovery, "watchDesks">,
): () => Ref<RouterMessage> | undefined {
  let known: readonly ActorRef[] = [];
  let current: Ref<RouterMessage> | undefined;
  let unwatch = () => {};

  const choose = () => {
    unwatch();
    unwatch = () => {};
    current = undefined;
    const [first] = [...known].sort((a, b) => (a.node < b.node ? -1 : 1));
    if (first === undefined) return;
    const desk = refOf<RouterMessage>(system, first);
    current = desk;
    unwatch = system.onDown(desk, () => {
      if (current !== desk) return;
      current = undefined;
      system.capabilities.clock.after(look_again_ms, () => {
        if (current === undefined) choose();
      });
    });
  };

  discovery.watchDesks((desks) => {
    known = desks;
    choose();
  });
  // Behind a bus that is gone for now it could not answer.
  return () => (current === undefined || isAway(system, current as Ref) ? undefined : current);
}
