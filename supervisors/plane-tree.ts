/** The part of the tree that every process has in a cluster of several machines. */

import { type PlaneState, PlaneWatch } from "../runtime/planes.ts";
import type { ChildSpec } from "../runtime/supervision/child-spec.ts";
import type { Bus } from "../runtime/transport/bus.ts";

export type ReadPlanes = () => readonly PlaneState[];

/** `live`: the root's registry is reached. */
type Discovery = { readonly live: boolean };

/** Undefined: one machine alone has no planes. */
export function planeStates(bus: Bus | undefined, discovery: Discovery): ReadPlanes | undefined {
  if (bus === undefined) return undefined;
  return () => [
    { plane: "nats", up: bus.up },
    // Every view of the root's registry says whether it reaches Redis.
    { plane: "redis", up: discovery.live },
  ];
}

export function planeSpecs(bus: Bus | undefined, discovery: Discovery): readonly ChildSpec[] {
  const read = planeStates(bus, discovery);
  if (bus === undefined || read === undefined) return [];
  return [{ id: "planes", start: () => new PlaneWatch(bus, read) }];
}
