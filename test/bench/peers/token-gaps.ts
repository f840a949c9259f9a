/** How long answers wait from one event to the next while something else goes on. */

/** Gaps between events that have a part in the time from `from_ms` to `to_ms`, whole. */
export function gapsWithin(
  event_ms: readonly number[],
  from_ms: number,
  to_ms: number,
): readonly number[] {
  return event_ms
    .slice(1)
    .map((at_ms, i) => ({ began_ms: event_ms[i]!, at_ms }))
    .filter(({ began_ms, at_ms }) => at_ms > from_ms && began_ms < to_ms)
    .map(({ began_ms, at_ms }) => at_ms - began_ms);
}
