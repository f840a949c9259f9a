/** What the examples of docs/kernel.md are given. */

import type { Capabilities, Files, Net, Spawn, Store } from "../../runtime/capabilities.ts";
import { countingIds, forkRandom, SeededRandom } from "../../runtime/simulation/random.ts";
import type { Simulation } from "../../runtime/simulation/simulation.ts";
import { VirtualClock } from "../../runtime/simulation/virtual-clock.ts";
import { absent } from "./worlds/test-system.ts";

export function exampleCapabilities(simulation?: Simulation): Capabilities {
  return {
    clock: simulation?.clock ?? new VirtualClock(),
    random: simulation === undefined ? new SeededRandom(1) : forkRandom(simulation.random),
    ids: countingIds("id"),
    log: { log: () => {} },
    net: absent<Net>("net"),
    spawn: absent<Spawn>("spawn"),
    files: absent<Files>("files"),
    store: absent<Store>("store"),
  };
}

export function print(value: unknown): void {
  console.log(String(value));
}
