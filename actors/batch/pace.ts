/**
 * How many lines may be under way at once: as many as the workers like while nobody else asks them
 * for anything, and next to none while somebody does. Pure.
 */
export type Traffic = {
  readonly workers: number;
  /** Requests that the routers know of, sent or waiting, that are no lines of a batch. */
  readonly others: number;
  /** All that wait in the router. */
  readonly waiting: number;
};

export type Pace = {
  readonly allowed: number;
  /** When others were last seen, on the clock's scale. */
  readonly others_ms: number;
  /** When more was last allowed. */
  readonly more_ms: number;
};

const NEVER_MS = Number.NEGATIVE_INFINITY;
export const firstPace: Pace = { allowed: 1, others_ms: NEVER_MS, more_ms: NEVER_MS };

export type PaceRules = {
  /** Lines a worker, while nobody else asks. */
  readonly each_worker: number;
  /** Share of the workers that have a line beside the requests of others; at least one has. */
  readonly beside_share: number;
  /** Lines a worker that may go on when others come; turns beyond are taken back. */
  readonly kept_each: number;
  /** Others come again soon, as a rule: for so long nothing is made of their absence. */
  readonly calm_ms: number;
  /** From then on one line more a worker is allowed each time that so long has gone by. */
  readonly more_ms: number;
};

export const paceRules: PaceRules = {
  each_worker: 32,
  beside_share: 0.25,
  kept_each: 2,
  calm_ms: 3_000,
  more_ms: 500,
};

export function nextPace(
  pace: Pace,
  { workers, others, waiting }: Traffic,
  now_ms: number,
  rules: PaceRules = paceRules,
): Pace {
  const others_ms = others > 0 ? now_ms : pace.others_ms;
  if (workers === 0) return { ...pace, allowed: 1, others_ms, more_ms: now_ms };
  if (now_ms - others_ms < rules.calm_ms) {
    // Whoever waits goes first, and a line that ends is followed by none.
    const beside = Math.max(1, Math.floor(workers * rules.beside_share));
    return { allowed: others > 0 && waiting > 0 ? 0 : beside, others_ms, more_ms: now_ms };
  }
  // Lines that wait in the router say that the workers have enough.
  if (waiting > 0) {
    return { allowed: Math.max(1, pace.allowed - waiting), others_ms, more_ms: now_ms };
  }
  if (now_ms - pace.more_ms < rules.more_ms) return { ...pace, others_ms };
  const allowed = Math.min(workers * rules.each_worker, pace.allowed + workers);
  return { allowed, others_ms, more_ms: now_ms };
}
