/** What a space's slots hold, in memory and on disk, as pictures for a person. */
import { sampled, type TierMap, tierMap } from "../../../llm/blocks/block-map.ts";
import type { Space } from "./spaces.ts";

export function mapsOf({ room, disk }: Space): TierMap[] {
  const host = mapOf("G2", room.states, room.stats());
  return disk === undefined ? [host] : [host, mapOf("G3", disk.states, disk.stats())];
}

function mapOf(
  tier: "G2" | "G3",
  states: Uint8Array,
  { slots, registered }: { readonly slots: number; readonly registered: number },
): TierMap {
  return tierMap(
    tier,
    slots,
    registered,
    sampled(slots, (slot) => states[slot] ?? 0),
  );
}
