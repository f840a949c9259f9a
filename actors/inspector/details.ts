/**
 * What actors of one process say of themselves: their snapshots at once, or a larger view that is
 * made only when a person asks.
 */
import type { Detail } from "../../proto/index.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { pathsIn } from "../../runtime/observe/tree.ts";

/** The detail that is each actor's snapshot. */
export const SNAPSHOT = "snapshot";

/** Actors that answer one question; a simulated worker process has a thousand. */
const ITEMS_MAX = 2_048;

/** @param about what the detail is of (a worker, a model); "": all. */
export function detailsOf(
  system: ActorSystem,
  roles: readonly string[],
  detail: string,
  about: string,
): Detail[] {
  const items: Detail[] = [];
  for (const path of pathsIn(system.top, roles)) {
    const said = detail === SNAPSHOT ? system.snapshot(path) : system.detail(path, detail, about);
    if (said === undefined) continue;
    items.push({ path, json: JSON.stringify(said) });
    if (items.length >= ITEMS_MAX) break;
  }
  return items;
}
