import { expect, test } from "bun:test";
import { decisionWords } from "../../../../actors/planner/report/action-words.ts";
import { PlanHistory } from "../../../../actors/planner/report/plan-history.ts";
import { plannerReport } from "../../../../actors/planner/report/planner-report.ts";
import { toldConfig, toldDecisions, toldHead } from "../../../support/planner/told-decisions.ts";

const filled = (count: number, bounds?: { points: number; decisions: number }) => {
  const history = new PlanHistory(bounds);
  for (const decision of toldDecisions(count)) history.push(decision);
  return history;
};

test("a point has what was predicted for its own interval, by the tick before", () => {
  const decisions = toldDecisions(3);
  const { points } = filled(3).page(toldHead);
  expect(points[0]?.predicted_requests_per_s).toBeUndefined();
  const before = decisions[1]?.predicted.requests ?? 0;
  expect(points[2]?.predicted_requests_per_s).toBeCloseTo(before / 60, 9);
  expect(points[2]?.requests_per_s).toBe(decisions[2]?.observed.requests_per_s as number);
});

test("decisions that change something are listed, and those with other reasons; not each tick", () => {
  const decisions = toldDecisions(120);
  const { decisions: listed } = filled(120).page(toldHead);
  const changing = decisions.filter(({ actions }) => actions.length > 0);
  expect(listed.filter(({ actions }) => actions.length > 0).map(({ id }) => id)).toEqual(
    changing.map(({ id }) => id),
  );
  expect(listed.length).toBeLessThan(decisions.length / 2);
  for (const { says, actions } of listed) expect(says).toHaveLength(actions.length);
});

test("sums: workers cost while they start, serve and retire; attainment is by request", () => {
  const decisions = toldDecisions(240);
  const totals = filled(240).totals(toldConfig);
  let worker_s = { prefill: 0, decode: 0 };
  let [requests, within] = [0, 0];
  for (const { roles, observed } of decisions) {
    for (const { role, serving, starting, retiring } of roles) {
      const paid = 5 * (serving + starting + retiring);
      worker_s = { ...worker_s, [role]: worker_s[role as "prefill"] + paid };
    }
    requests += 5 * (observed.requests_per_s ?? 0);
    within += 5 * (observed.requests_per_s ?? 0) * (observed.attainment ?? 0);
  }
  expect(totals.worker_hours.prefill).toBeCloseTo(worker_s.prefill / 3_600, 9);
  expect(totals.worker_hours.decode).toBeCloseTo(worker_s.decode / 3_600, 9);
  expect(totals.gpu_hours).toBeCloseTo((worker_s.prefill + 2 * worker_s.decode) / 3_600, 9);
  expect(totals.attainment).toBeCloseTo(within / requests, 9);
  expect(totals.requests).toBe(Math.round(requests));
  expect(totals.until_ms - totals.since_ms).toBe(240 * 5_000);
});

test("memory does not grow: old points get fewer, the last ones stay, sums are of all", () => {
  const small = filled(1_000, { points: 100, decisions: 5 });
  const { points, decisions } = small.page(toldHead);
  expect(points.length).toBeLessThanOrEqual(100);
  expect(points.at(0)?.at_ms).toBe(toldHead.since_ms);
  const last = toldDecisions(1_000).slice(-10);
  expect(points.slice(-10).map(({ at_ms }) => at_ms)).toEqual(last.map(({ at_ms }) => at_ms));
  expect(points.map(({ at_ms }) => at_ms)).toEqual(
    points.map(({ at_ms }) => at_ms).toSorted((a, b) => a - b),
  );
  expect(decisions).toHaveLength(5);
  expect(small.totals(toldConfig)).toEqual(filled(1_000).totals(toldConfig));
});

test("only what came after a moment is told to those who know the rest", () => {
  const history = filled(50);
  const after_ms = toldHead.since_ms + 40 * 5_000;
  const { points, decisions, totals } = history.page(toldHead, after_ms);
  expect(points).toHaveLength(9);
  expect(points.every(({ at_ms }) => at_ms > after_ms)).toBe(true);
  expect(decisions.every(({ at_ms }) => at_ms > after_ms)).toBe(true);
  expect(totals).toEqual(history.totals(toldConfig));
});

test("decisions of the planner before are listed first, and are in no sum", () => {
  const history = new PlanHistory();
  const [before, now] = [toldDecisions(40), toldDecisions(60).slice(50)];
  history.remember(before.filter(({ actions }) => actions.length > 0));
  for (const decision of now) history.push(decision);
  const { decisions, points, totals } = history.page(toldHead);
  expect(points).toHaveLength(10);
  expect(decisions.length).toBeGreaterThan(3);
  expect(decisions[0]?.at_ms).toBeLessThan(points[0]?.at_ms ?? 0);
  expect(totals.until_ms - totals.since_ms).toBe(10 * 5_000);
  history.remember(before);
  expect(history.page(toldHead).decisions).toEqual(decisions);
});

test("actions in words, and what an advisory planner would do", () => {
  const [decision] = toldDecisions(1);
  if (decision === undefined) throw new Error("there is no decision");
  const many = Array.from({ length: 9 }, (_, i) => `decode-${i}`);
  const actions = [
    { kind: "add", role: "prefill", count: 1 },
    { kind: "retire", role: "decode", workers: ["decode-1", "decode-2"] },
    { kind: "cancel", role: "decode", workers: many },
    { kind: "change_role", from: "prefill", to: "decode", workers: ["prefill-1"] },
  ] as const;
  expect(decisionWords({ ...decision, actions })).toEqual([
    "start 1 prefill worker",
    "retire 2 decode workers: decode-1, decode-2",
    "give up 9 decode workers: decode-0, decode-1, decode-2, decode-3, decode-4, decode-5 and 3 more",
    "make decode of prefill-1 (prefill)",
  ]);
  const advised = actions.slice(0, 1);
  expect(decisionWords({ ...decision, actions: [], advised })).toEqual([
    "would start 1 prefill worker",
  ]);
});

test("the report is one page with its plots, its limits and its reasons; it loads nothing", () => {
  const html = plannerReport(toldDecisions(240, 5_000), {
    ...{ title: "Planner <of> a sine", config: toldConfig, clock: "virtual" },
    ...{ attainment: 0.9731, worker_hours: 1.25, figures: [["best static plan", "1.50"]] },
  });
  expect(html).toContain("<title>Planner &lt;of&gt; a sine</title>");
  const figures = [...html.matchAll(/<figcaption>([^<]*)/g)].map((found) => found[1]);
  expect(figures).toEqual([
    ...["Requests a second", "Tokens of a prompt and of an answer"],
    ...["Workers: prefill", "Workers: decode", "Time to first token", "Time between tokens"],
    ...["Answers within the SLA", "Waiting in routers", "What it costs"],
  ]);
  expect(html.match(/stroke-dasharray/g)).toHaveLength(3);
  for (const text of ["97.31 %", "1.25", "best static plan", "requests/s are predicted"]) {
    expect(html).toContain(text);
  }
  expect(html).not.toMatch(/NaN|undefined|Infinity|<script|src=|href=|url\(/);
});

test("a replay's report has the clock of its list of decisions", () => {
  const told = toldDecisions(60, 5_000);
  const html = plannerReport(told, { title: "t", config: toldConfig, clock: "virtual" });
  const changed = told.filter(({ actions }) => actions.length > 0).map(({ at_ms }) => at_ms);
  const rows = [...html.matchAll(/<tr><td>(\d+) s<\/td>/g)].map((row) => 1_000 * Number(row[1]));
  expect(changed.filter((at_ms) => !rows.includes(at_ms))).toEqual([]);
  expect(rows[0]).toBe(5_000);
});

test("plots stand side by side where there is room", () => {
  const html = plannerReport(toldDecisions(60), {
    ...{ title: "t", config: toldConfig, clock: "wall" },
  });
  expect(html.match(/<div class="plots">\n(<figure>[\s\S]*?<\/figure>\n){9}<\/div>/g)).toHaveLength(
    1,
  );
});

test("a long run is drawn with as many points as a plot can show", () => {
  const facts = { title: "long", config: toldConfig, clock: "wall" } as const;
  const long = plannerReport(toldDecisions(20_000), facts);
  expect(long.length).toBeLessThan(1_000_000);
  expect(long).toContain(
    `${toldDecisions(20_000).filter((each) => each.actions.length > 0).length}`,
  );
});

test("before the first interval is over the report says so", () => {
  const html = plannerReport([], { title: "new", config: toldConfig, clock: "wall" });
  expect(html).toContain("the first interval is not over");
  expect(html).not.toContain("<figure");
});
