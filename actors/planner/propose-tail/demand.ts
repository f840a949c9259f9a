/**
 * Requests a second that will come: a straight line through the last intervals, continued until
 * workers that are started now serve. The line goes back as far as chance explains what lies off
 * it, so a steady load is averaged over minutes, and what was before a jump is left out at once.
 */

export type RatePoint = {
  readonly at_ms: number;
  readonly started: number;
  readonly interval_ms: number;
};

/** Oldest first. */
export type Arrivals = readonly RatePoint[];

const WINDOW_MS = 300_000;
const POINTS_MAX = 240;

export function withArrivals(arrivals: Arrivals, point: RatePoint): Arrivals {
  if (point.interval_ms <= 0) return arrivals;
  const from_ms = point.at_ms - WINDOW_MS;
  return [...arrivals.filter(({ at_ms }) => at_ms > from_ms), point].slice(-POINTS_MAX);
}

export type Demand = {
  /** Requests a second now, and when what is started now serves. */
  readonly now: number;
  readonly ahead: number;
  /** Of `now`: its standard deviation as a share of it. */
  readonly error: number;
};

/** Undefined: nothing is known. A falling line is not continued: it may end at any moment. */
export function demandOf(arrivals: Arrivals, lead_ms: number): Demand | undefined {
  const last = arrivals[arrivals.length - 1];
  if (last === undefined) return undefined;
  const heaps = heapsOf(arrivals);
  const line = longestLine(arrivals, heaps);
  const now = Math.max(0, line.at(last.at_ms));
  const error = Math.sqrt(heaps / Math.max(1, line.requests));
  // No farther on than it goes back.
  const ahead_ms = Math.min(lead_ms, line.length_ms);
  return { now, ahead: Math.max(now, line.at(last.at_ms + ahead_ms)), error };
}

type Line = {
  readonly at: (at_ms: number) => number;
  /** That it is made of. */
  readonly requests: number;
  readonly length_ms: number;
};

/** Windows are this much shorter from one to the next. */
const SHORTER = 0.75;

function longestLine(arrivals: Arrivals, heaps: number): Line {
  for (
    let count = arrivals.length;
    count > 1;
    count = Math.min(count - 1, Math.floor(SHORTER * count))
  ) {
    const points = arrivals.slice(-count);
    const line = lineOf(points, heaps);
    if (fits(line, points, heaps)) return line;
  }
  return lineOf(arrivals.slice(-1), heaps);
}

/** Standard deviations of what lies off a line, taken together, that chance still explains. */
const FAR = 2.5;

/** What is thought before the arrivals say it, and for how many intervals that counts. */
const HEAPS = { value: 2, intervals: 8 } as const;
/** Median of the square of a normal number. */
const MEDIAN_SQUARE = 0.455;

/**
 * Variance of an interval's requests over their number: 1 where each comes by itself, n where n
 * come at a time. By what lies between neighbours, so that no trend and no single jump counts.
 */
export function heapsOf(arrivals: Arrivals): number {
  const squares: number[] = [];
  for (let i = 1; i < arrivals.length; i++) {
    const [before, after] = [arrivals[i - 1]!.started, arrivals[i]!.started];
    if (before + after > 0) squares.push((after - before) ** 2 / (before + after));
  }
  squares.sort((a, b) => a - b);
  const count = squares.length;
  const middle = ((squares[(count - 1) >> 1] ?? 0) + (squares[count >> 1] ?? 0)) / 2;
  const { value, intervals } = HEAPS;
  const seen = middle / MEDIAN_SQUARE;
  return Math.max(1, (value * intervals + seen * count) / (intervals + count));
}

/** Whether the points as a whole, and the last ones by themselves, lie along the line. */
function fits(line: Line, points: Arrivals, heaps: number): boolean {
  let [sum, variance, square] = [0, 0, 0];
  for (let i = points.length - 1, seen = 1; i >= 0; i--, seen++) {
    const { at_ms, started, interval_ms } = points[i]!;
    const expected = Math.max(0, (line.at(at_ms - interval_ms / 2) * interval_ms) / 1_000);
    const spread = heaps * Math.max(1, expected);
    sum += started - expected;
    variance += spread;
    square += (started - expected) ** 2 / spread;
    if (seen <= points.length / 2 && Math.abs(sum) > FAR * Math.sqrt(variance)) return false;
  }
  const free = Math.max(1, points.length - 2);
  return square <= free + FAR * Math.sqrt(2 * free);
}

/** For a slope. */
const POINTS_MIN = 5;

/** Requests a second by time, least squares weighted by the length of the intervals. */
function lineOf(points: Arrivals, heaps: number): Line {
  let [weight, time, requests] = [0, 0, 0];
  const origin_ms = points[0]!.at_ms;
  // The rate of an interval is that of its middle.
  const middle = ({ at_ms, interval_ms }: RatePoint) => at_ms - origin_ms - interval_ms / 2;
  for (const point of points) {
    weight += point.interval_ms;
    time += point.interval_ms * middle(point);
    requests += point.started;
  }
  const [mean_time, mean_rate] = [time / weight, (1_000 * requests) / weight];
  let [square, product] = [0, 0];
  for (const point of points) {
    const away = middle(point) - mean_time;
    square += point.interval_ms * away * away;
    product += away * (1_000 * point.started - mean_rate * point.interval_ms);
  }
  const raw = square > 0 ? product / square : 0;
  const slope =
    points.length < POINTS_MIN ? 0 : raw * confidence(raw, (heaps * mean_rate) / square);
  return {
    at: (at_ms) => mean_rate + slope * (at_ms - origin_ms - mean_time),
    requests,
    length_ms: weight,
  };
}

/**
 * How far a slope is believed: hardly when chance alone would make it. A rising one may be steeper
 * by a standard deviation, as workers that come too late cost more than those that come too early.
 */
function confidence(slope: number, spread: number): number {
  const deviations = spread > 0 ? Math.abs(slope) / Math.sqrt(1_000 * spread) : 0;
  const signal = deviations ** 2;
  return (slope > 0 ? signal + deviations : signal) / (signal + 2);
}
