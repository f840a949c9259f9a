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
};

export const firstPace: Pace = { allowed: 1, others_ms: Number.NEGATIVE_INFINITY };

export type PaceRules = {
  /** Lines a worker, while nobody else asks. */
  readonly each_worker: number;
  /** Share of the workers that have a line beside the requests of others; at least one has. */
  readonly beside_share: number;
  /** Others come again soon, as a rule: for so long nothing is made of their absence. */
  readonly calm_ms: number;
};

export const paceRules: PaceRules = { each_worker: 32, beside_share: 0.25, calm_ms: 5_000 };

export function nextPace(
  pace: Pace,
  { workers, others, waiting }: Traffic,
  now_ms: number,
  rules: PaceRules = paceRules,
): Pace {
  const others_ms = others > 0 ? now_ms : pace.others_ms;
  if (workers === 0) return { allowed: 1, others_ms };
  if (now_ms - others_ms < rules.calm_ms) {
    // Whoever waits goes first, and a line that ends is followed by none.
    const beside = Math.max(1, Math.floor(workers * rules.beside_share));
    return { allowed: others > 0 && waiting > 0 ? 0 : beside, others_ms };
  }
  // Lines that wait in the router say that the workers have enough.
  if (waiting > 0) return { allowed: Math.max(1, pace.allowed - waiting), others_ms };
  const most = workers * rules.each_worker;
  return { allowed: Math.min(most, Math.max(workers, Math.ceil(pace.allowed * 1.25))), others_ms };
}
