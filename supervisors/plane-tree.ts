/** What every process of a cluster of several machines has beside its own work. */
import type { ChildSpec } from "../runtime/child-spec.ts";
import { type PlaneState, PlaneWatch } from "../runtime/planes.ts";
import type { Bus } from "../runtime/transport/bus.ts";
import type { Discovery } from "./discovery.ts";

export type ReadPlanes = () => readonly PlaneState[];

/** Undefined: one machine alone, so there is nothing to say. */
export function planeStates(bus: Bus | undefined, discovery: Discovery): ReadPlanes | undefined {
  if (bus === undefined) return undefined;
  return () => [
    { plane: "nats", up: bus.up },
    // The root's registry says so with every view.
    { plane: "redis", up: discovery.live },
  ];
}

export function planeSpecs(bus: Bus | undefined, discovery: Discovery): readonly ChildSpec[] {
  const read = planeStates(bus, discovery);
  if (bus === undefined || read === undefined) return [];
  return [{ id: "planes", start: () => new PlaneWatch(bus, read) }];
}
