/**
 * Up at once, down only after fewer were wanted all the time for a while: then as far as the most
 * that was wanted in that while. A number that goes up and down within it moves nothing.
 */

/** What was wanted, oldest first; of equal or rising numbers the later one alone is kept. */
export type Wishes = {
  /** Wishes are known since then. */
  readonly since_ms: number;
  readonly list: readonly { readonly at_ms: number; readonly wanted: number }[];
};

export function withWish(
  wishes: Wishes | undefined,
  wanted: number,
  at_ms: number,
  window_ms: number,
): Wishes {
  const list = [...(wishes?.list ?? [])];
  // An earlier wish for no more than this will never be the most again.
  while (list.length > 0 && list[list.length - 1]!.wanted <= wanted) list.pop();
  list.push({ at_ms, wanted });
  const from_ms = at_ms - window_ms;
  while (list.length > 1 && list[0]!.at_ms < from_ms) list.shift();
  return { since_ms: wishes?.since_ms ?? at_ms, list };
}

/** The number to go to from `present`, as far as it is wanted for longer than a moment. */
export function steady(wishes: Wishes, present: number, at_ms: number, window_ms: number): number {
  const now = wishes.list[wishes.list.length - 1]!.wanted;
  if (now >= present) return now;
  // Right after a start too little is known of what was wanted.
  const known = at_ms - wishes.since_ms >= window_ms;
  return known ? Math.min(present, wishes.list[0]!.wanted) : present;
}
