/** The last hour of a cluster's load: points of `/api/load`, live ones behind them; pure. */

import type { LoadSums as Said, WorkerLoadPoint } from "../../../load/load-point.ts";
import { numberIn, type Series, type Unit } from "../shared/chart/series.ts";

/** A figure that is missing leaves a gap in its chart. */
export type LoadSums = Partial<Said>;

export type WorkerLoad = Pick<WorkerLoadPoint, "model" | "role"> & Partial<WorkerLoadPoint>;

export type LoadPoint = {
  readonly at_ms: number;
  readonly total: LoadSums;
  readonly workers: Readonly<Record<string, WorkerLoad>>;
  readonly models: Readonly<Record<string, LoadSums>>;
};

type LoadSeries = { readonly interval_ms: number; readonly points: readonly LoadPoint[] };

/** `recent`: the last minutes in smaller steps. */
export type LoadAnswer = LoadSeries & { readonly recent?: LoadSeries };

export const HOUR_MS = 3_600_000;

/** In the order of time; one of the same time replaces the one before. */
export function withPoint(
  points: readonly LoadPoint[],
  point: LoadPoint | undefined,
): readonly LoadPoint[] {
  if (point === undefined) return points;
  const last = points.at(-1);
  if (last !== undefined && point.at_ms < last.at_ms) return points;
  const before = last?.at_ms === point.at_ms ? points.slice(0, -1) : points;
  const first = before.findIndex(({ at_ms }) => at_ms >= point.at_ms - HOUR_MS);
  return [...(first < 0 ? [] : before.slice(first)), point];
}

/** The hour up to where the smaller steps begin, and they. */
export function wholeHour({ points, recent }: LoadAnswer): readonly LoadPoint[] {
  const fine = recent?.points ?? [];
  const from_ms = fine[0]?.at_ms ?? Number.POSITIVE_INFINITY;
  return [...points.filter(({ at_ms }) => at_ms < from_ms), ...fine];
}

/** Live points that came while the hour was being fetched go behind it. */
export function joined(
  hour: readonly LoadPoint[],
  live: readonly LoadPoint[],
): readonly LoadPoint[] {
  return live.reduce(withPoint, hour);
}

export type MetricName =
  | "tokens_per_s"
  | "requests_per_s"
  | "ttft"
  | "itl"
  | "queue"
  | "cached_share";

export type Metric = {
  readonly name: MetricName;
  readonly title: string;
  readonly unit: Unit;
  /** Field of a point → what its line is called. */
  readonly lines: readonly (readonly [field: string, label: string])[];
  /** Workers do not say it of themselves. */
  readonly by_worker: boolean;
};

export const metrics: readonly Metric[] = [
  {
    ...{ name: "tokens_per_s", title: "Tokens a second", unit: "per_s", by_worker: true },
    lines: [["tokens_per_s", "tokens/s"]],
  },
  {
    ...{ name: "requests_per_s", title: "Requests a second", unit: "per_s", by_worker: false },
    lines: [["requests_per_s", "requests/s"]],
  },
  {
    ...{ name: "ttft", title: "Time to first token (TTFT)", unit: "ms", by_worker: false },
    lines: [
      ["ttft_p50_ms", "p50"],
      ["ttft_p99_ms", "p99"],
    ],
  },
  {
    ...{ name: "itl", title: "Inter-token latency (ITL)", unit: "ms", by_worker: false },
    lines: [
      ["itl_p50_ms", "p50"],
      ["itl_p99_ms", "p99"],
    ],
  },
  {
    ...{ name: "queue", title: "Running and waiting", unit: "count", by_worker: true },
    lines: [
      ["running", "running"],
      ["waiting", "waiting"],
    ],
  },
  {
    ...{ name: "cached_share", title: "Prompt tokens from caches", unit: "share", by_worker: true },
    lines: [["cached_share", "cached"]],
  },
];

export type By = "total" | "workers" | "models";
/** More lines than this nobody can tell apart; the busiest stay. */
export const LINES_LIMIT = 6;

export function seriesOf(points: readonly LoadPoint[], metric: Metric, by: By): Series {
  const times = points.map(({ at_ms }) => at_ms / 1_000);
  if (by === "total") {
    const lines = metric.lines.map(([field, label], at) => ({
      ...{ label, color: 0, second: at > 0 },
      values: points.map(({ total }) => numberIn(total, field)),
    }));
    return { times, lines, left_out: 0 };
  }
  const names = [...new Set(points.flatMap((point) => Object.keys(point[by])))].sort();
  const busiest = names
    .map((name, color) => ({ name, color: color % LINES_LIMIT, sum: busyness(points, by, name) }))
    .sort((a, b) => b.sum - a.sum || (a.name < b.name ? -1 : 1))
    .slice(0, LINES_LIMIT)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines = busiest.flatMap(({ name, color }) =>
    metric.lines.map(([field, label], at) => ({
      label: metric.lines.length === 1 ? name : `${name} ${label}`,
      ...{ color, second: at > 0 },
      values: points.map((point) => numberIn(point[by][name], field)),
    })),
  );
  return { times, lines, left_out: names.length - busiest.length };
}

function busyness(points: readonly LoadPoint[], by: "workers" | "models", name: string): number {
  return points.reduce((sum, point) => {
    const { tokens_per_s = 0, running = 0 } = point[by][name] ?? {};
    return sum + tokens_per_s + running;
  }, 0);
}
