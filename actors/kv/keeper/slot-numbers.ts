/** Slots as KvSlots has them: a number, or why there is none. */
import type { Declined } from "../tier/tier.ts";

const REASONS = { held: -1, full: -2, unwanted: -3 } as const satisfies Record<Declined, number>;

export const slotNumbers = (slots: readonly (number | Declined)[]): number[] =>
  slots.map((slot) => (typeof slot === "number" ? slot : REASONS[slot]));
