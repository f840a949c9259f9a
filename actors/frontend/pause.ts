import type { Clock } from "../../runtime/capabilities.ts";

/** Resolves after `delay_ms`. */
export const pause = (clock: Clock, delay_ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(delay_ms, resolve));
