import { expect, test } from "bun:test";
import {
  behind,
  chartsOf,
  knobsOf,
  type Planners,
  withNews,
} from "../../../../actors/inspector/page/views/planner/planner-data.ts";
import type { PlannerAnswer, PlannerRow } from "../../../../actors/inspector/planner-rows.ts";
import { PlanHistory } from "../../../../actors/planner/report/plan-history.ts";
import { toldDecisions, toldHead } from "../../../support/planner/told-decisions.ts";

const history = new PlanHistory();
for (const decision of toldDecisions(60)) history.push(decision);
const at = (tick: number) => toldHead.since_ms + tick * 5_000;

const row = (after_ms: number, more: Partial<PlannerRow> = {}): PlannerRow => ({
  ...{ node: "planner-0", others: [], ...history.page(toldHead, after_ms) },
  ...more,
});
const news = (...planners: PlannerRow[]): PlannerAnswer => ({ planners });
const times = (planners: Planners) => planners[0]?.points.map(({ at_ms }) => at_ms);

test("news go behind what is known, each point and decision once", () => {
  const whole = withNews([], news(row(0)));
  expect(times(whole)).toHaveLength(60);
  const first = { ...row(0), points: row(0).points.slice(0, 50), decisions: [] };
  const later = withNews(withNews([], news(first)), news(row(at(40))));
  expect(times(later)).toEqual(times(whole) as number[]);
  expect(later[0]?.decisions).toEqual(row(at(40)).decisions);
});

test("what came while the route answered stays, and is behind its answer", () => {
  const live = withNews([], news(row(at(55))));
  expect(times(behind(live, news({ ...row(0), points: row(0).points.slice(0, 58) })))).toEqual(
    times(withNews([], news(row(0)))) as number[],
  );
});

test("a planner that does not answer is shown as it was; it is back with its next word", () => {
  const known = withNews([], news(row(0), row(0, { model: "other" })));
  const silent = withNews(known, news(row(at(59))));
  expect(silent.map(({ model, away }) => [model, away])).toEqual([
    ["other", true],
    ["tiny", false],
  ]);
  expect(silent[0]?.points).toHaveLength(60);
  const back = withNews(silent, news(row(at(59)), row(at(59), { model: "other" })));
  expect(back.map(({ away }) => away)).toEqual([false, false]);
});

test("charts: workers of each role in steps, load with its prediction, times with their limits", () => {
  const planner = row(0);
  const charts = chartsOf(planner, planner.points);
  expect(charts.map(({ title }) => title)).toEqual([
    ...["Workers: prefill", "Workers: decode", "Requests a second", "Mean tokens of a request"],
    ...["Time to first token (TTFT)", "Inter-token latency (ITL)", "Answers within the SLA"],
  ]);
  expect(charts.filter(({ steps }) => steps === true)).toHaveLength(2);
  const lines = charts.flatMap(({ series }) => series.lines);
  for (const { values } of lines) expect(values).toHaveLength(60);
  const limits = lines.filter(({ label }) => ["SLA", "goal"].includes(label));
  expect(limits.map(({ values }) => values[7])).toEqual([200, 20, 0.95]);
  const [serving, target] = charts[1]?.series.lines ?? [];
  expect(serving?.values.at(-1)).toBe(planner.points.at(-1)?.roles.decode?.serving as number);
  expect(target?.second).toBe(true);
  const [came, predicted] = charts[2]?.series.lines ?? [];
  expect([came?.values[0], predicted?.values[0]]).toEqual([5, null]);
});

test("every knob is listed, by name", () => {
  const knobs = knobsOf(row(0));
  expect(knobs).toHaveLength(Object.keys(toldHead.config).length);
  expect(knobs.map(([name]) => name)).toEqual(knobs.map(([name]) => name).toSorted());
  expect(Object.fromEntries(knobs)).toMatchObject({ ttft_ms: "200", profile_results_dir: "none" });
});
