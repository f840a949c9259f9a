/**
 * Ids that say when they were made, and sort by it. An index that shows the newest first has the
 * time counted down in its keys, as a store lists upwards.
 */
import type { Random } from "../../runtime/capabilities.ts";

const TIME_DIGITS = 11;
const TIME_LIMIT = 16 ** TIME_DIGITS;

/** PREFIX, 11 hex digits of Unix milliseconds, 13 of chance. */
export function timedId(prefix: string, wall_ms: number, random: Random): string {
  const chance = random.u64().toString(16).padStart(16, "0").slice(-13);
  return prefix + hexTime(wall_ms) + chance;
}

/** Unix milliseconds; undefined: not such an id. */
export function timeOf(id: string, prefix: string): number | undefined {
  const digits = id.slice(prefix.length);
  if (!id.startsWith(prefix) || !/^[0-9a-f]{24}$/.test(digits)) return undefined;
  return Number.parseInt(digits.slice(0, TIME_DIGITS), 16);
}

export const hexTime = (wall_ms: number): string =>
  Math.floor(wall_ms).toString(16).padStart(TIME_DIGITS, "0");

/** Smaller for later times. */
export const countedDown = (wall_ms: number): string => hexTime(TIME_LIMIT - 1 - wall_ms);
