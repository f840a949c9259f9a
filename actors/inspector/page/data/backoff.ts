/** How long to wait before the next try; pure. */

const FIRST_MS = 500;
const MOST_MS = 15_000;
/** Pages that lost the same server do not all come back in the same moment. */
const SPREAD = 0.25;

/**
 * @param failures tries that failed since the last success, 1 or more
 * @param unit in [0, 1)
 */
export function backoff_ms(failures: number, unit: number): number {
  const whole = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(20, failures - 1));
  return Math.round(whole * (1 - SPREAD + 2 * SPREAD * unit));
}
