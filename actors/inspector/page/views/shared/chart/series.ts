/** Lines of charts: their values, and what they say in figures; pure. */

export type Unit = "per_s" | "ms" | "count" | "share" | "tokens";

export type Line = {
  readonly label: string;
  /** Its line has this colour of the theme. */
  readonly color: number;
  /** Drawn dashed: the worse percentile, or what waits. */
  readonly second: boolean;
  readonly values: readonly (number | null)[];
};

export type Series = {
  /** Seconds, as the chart wants them. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** How many workers or models have no line. */
  readonly left_out: number;
};

/** Those of the last `span_ms` before the newest one. */
export function shownSince<P extends { readonly at_ms: number }>(
  points: readonly P[],
  span_ms: number,
): readonly P[] {
  const from_ms = (points.at(-1)?.at_ms ?? 0) - span_ms;
  const first = points.findIndex(({ at_ms }) => at_ms >= from_ms);
  return first <= 0 ? points : points.slice(first);
}

export function numberIn(from: object | undefined, field: string): number | null {
  const value = (from as Readonly<Record<string, unknown>> | undefined)?.[field];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Values that no line leads to or from: they are shown as points. */
export function loneValues(values: readonly (number | null | undefined)[]): number[] {
  const isKnown = (at: number) => typeof values[at] === "number";
  return [...values.keys()].filter((at) => isKnown(at) && !isKnown(at - 1) && !isKnown(at + 1));
}

export type Summary = {
  readonly label: string;
  readonly now: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly mean: number | null;
};

/** A line in numbers, for a table beside the chart. */
export function summaryOf({ label, values }: Line): Summary {
  const known = values.filter((value) => value !== null);
  const now = values.at(-1) ?? null;
  if (known.length === 0) return { label, now, least: null, most: null, mean: null };
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const value of known) {
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
  }
  return { label, now, least, most, mean: sum / known.length };
}
