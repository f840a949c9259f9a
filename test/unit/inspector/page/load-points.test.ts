import { expect, test } from "bun:test";
import {
  HOUR_MS,
  joined,
  LINES_LIMIT,
  type LoadPoint,
  metrics,
  seriesOf,
  wholeHour,
  withPoint,
} from "../../../../actors/inspector/page/views/load/load-points.ts";
import {
  loneValues,
  shownSince,
  summaryOf,
} from "../../../../actors/inspector/page/views/shared/chart/series.ts";

const point = (at_ms: number, more: Partial<LoadPoint> = {}): LoadPoint => ({
  ...{ at_ms, total: {}, workers: {}, models: {} },
  ...more,
});
const times = (points: readonly LoadPoint[]) => points.map(({ at_ms }) => at_ms);
const metric = (name: string) => metrics.find((each) => each.name === name)!;

test("points are an hour in the order of time", () => {
  const hour = [point(0), point(1_000), point(HOUR_MS)];
  expect(times(withPoint(hour, point(HOUR_MS + 500)))).toEqual([1_000, HOUR_MS, HOUR_MS + 500]);
  expect(times(withPoint(hour, point(HOUR_MS)))).toEqual([0, 1_000, HOUR_MS]);
  expect(withPoint(hour, point(5))).toBe(hour);
  expect(withPoint(hour, undefined)).toBe(hour);
});

test("what came live while the hour was fetched goes behind it, once", () => {
  const live = [point(2_000), point(3_000)];
  expect(times(joined([point(1_000), point(2_000)], live))).toEqual([1_000, 2_000, 3_000]);
});

test("where smaller steps are known they stand in the place of larger ones", () => {
  const points = [point(0), point(60_000), point(120_000)];
  const recent = { interval_ms: 5_000, points: [point(100_000), point(105_000), point(125_000)] };
  const page = { interval_ms: 60_000, points };
  expect(times(wholeHour({ ...page, recent }))).toEqual([0, 60_000, 100_000, 105_000, 125_000]);
  expect(times(wholeHour(page))).toEqual(times(points));
  expect(times(wholeHour({ ...page, recent: { ...recent, points: [] } }))).toEqual(times(points));
});

test("the last minutes are those before the newest point", () => {
  const points = [point(0), point(50), point(100), point(150)];
  expect(times(shownSince(points, 100))).toEqual([50, 100, 150]);
  expect(shownSince(points, 1_000)).toBe(points);
  expect(shownSince([], 10)).toEqual([]);
});

test("a line has a gap where nothing was measured", () => {
  const points = [point(1_000, { total: { ttft_p50_ms: 5, ttft_p99_ms: null } }), point(2_000)];
  const { times: at, lines } = seriesOf(points, metric("ttft"), "total");
  expect(at).toEqual([1, 2]);
  expect(lines.map(({ label, second, values }) => [label, second, values])).toEqual([
    ["p50", false, [5, null]],
    ["p99", true, [null, null]],
  ]);
});

test("the busiest workers have lines, each with one colour for all of them", () => {
  const workers = Object.fromEntries(
    Array.from({ length: LINES_LIMIT + 2 }, (_, at) => [
      `worker-${at}`,
      { model: "m", role: "worker", tokens_per_s: at, running: 1, waiting: 0 },
    ]),
  );
  const { lines, left_out } = seriesOf([point(0, { workers })], metric("queue"), "workers");
  expect(left_out).toBe(2);
  expect(lines).toHaveLength(2 * LINES_LIMIT);
  expect(lines[0]).toMatchObject({ label: "worker-2 running", color: 2, values: [1] });
  expect(lines[1]).toMatchObject({ label: "worker-2 waiting", color: 2, second: true });
});

test("a value without neighbours is a point of its own", () => {
  expect(loneValues([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(loneValues([null, 7, undefined])).toEqual([1]);
  expect(loneValues([])).toEqual([]);
});

test("a line in figures", () => {
  const line = { label: "a", color: 0, second: false, values: [4, null, 1, 7, null] };
  expect(summaryOf(line)).toEqual({ label: "a", now: null, least: 1, most: 7, mean: 4 });
  expect(summaryOf({ ...line, values: [null] })).toEqual({
    ...{ label: "a", now: null, least: null, most: null, mean: null },
  });
});
