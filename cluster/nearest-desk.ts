/**
 * The hosted router that a frontend asks instead of its own. All frontends take the first one by
 * name, so that one router decides; the others stand by, and the next one by name is asked from the
 * moment that the first is gone. A frontend that reaches no desk asks its own router, which is
 * always warm: it follows workers and other routers anyway.
 */
import { workerKey } from "../actors/names/names.ts";
import type { ActorRef, RouterMessage } from "../proto/index.ts";
import type { Ref } from "../runtime/kernel/ref.ts";
import type { ActorSystem } from "../runtime/kernel/system.ts";
import { isAway, refOf } from "../runtime/remote/node.ts";
import type { Discovery } from "./discovery.ts";

type Desk = {
  readonly node: string;
  /** Names this life of the desk. */
  readonly key: string;
  readonly ref: Ref<RouterMessage>;
  /** True: the desk is not reached now. */
  gone: boolean;
  unwatch: () => void;
};

/** A desk whose connection broke is tried again; one that is gone leaves the registry. */
const LOOK_AGAIN_MS = 1_000;

export type NearestDesk = {
  /** The desk to ask now; undefined: ask the own router. */
  readonly desk: () => Ref<RouterMessage> | undefined;
  /** There has been a hosted router. */
  readonly hosted: () => boolean;
};

export function nearestDesk(
  system: ActorSystem,
  discovery: Pick<Discovery, "watchDesks">,
): NearestDesk {
  /** By name. */
  let desks: readonly Desk[] = [];
  let hosted = false;

  const watch = (desk: Desk): void => {
    desk.gone = false;
    desk.unwatch = system.onDown(desk.ref, () => {
      desk.gone = true;
      const again = () => {
        if (desks.includes(desk)) watch(desk);
      };
      system.capabilities.clock.after(LOOK_AGAIN_MS, again);
    });
  };

  discovery.watchDesks((found) => {
    hosted ||= found.length > 0;
    const before = desks;
    desks = found
      .map((wire) => before.find(({ key }) => key === keyOf(wire)) ?? deskOf(system, wire))
      .sort((a, b) => (a.node < b.node ? -1 : 1));
    for (const desk of before) if (!desks.includes(desk)) desk.unwatch();
    for (const desk of desks) if (!before.includes(desk)) watch(desk);
  });
  // A desk behind a bus that is away cannot answer.
  const isReached = ({ gone, ref }: Desk) => !gone && !isAway(system, ref as Ref);
  return { desk: () => desks.find(isReached)?.ref, hosted: () => hosted };
}

function deskOf(system: ActorSystem, wire: ActorRef): Desk {
  const ref = refOf<RouterMessage>(system, wire);
  return { node: wire.node, key: keyOf(wire), ref, gone: false, unwatch: () => {} };
}

const keyOf = (desk: ActorRef): string => workerKey(desk.node + desk.path, desk);
