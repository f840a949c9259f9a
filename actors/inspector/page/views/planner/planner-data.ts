/** What planners told so far, and their figures as lines of charts; pure. */
import type { PlannerAnswer, PlannerRow } from "../../../planner-rows.ts";
import { type Line, numberIn, type Series, type Unit } from "../shared/chart/series.ts";

/** `away`: its process does not answer; what it told last stays. */
export type KnownPlanner = PlannerRow & { readonly away: boolean };
export type Planners = readonly KnownPlanner[];

type Point = PlannerRow["points"][number];

/** As many as a planner itself keeps. */
const POINTS_MAX = 1_440;
const DECISIONS_MAX = 64;

/** `news` may tell again what is known; a model's planner that it leaves out is away. */
export function withNews(known: Planners, news: PlannerAnswer): Planners {
  const told = news.planners.map((row) => {
    const before = known.find(({ model }) => model === row.model);
    const points = joined(before?.points, row.points, POINTS_MAX);
    const decisions = joined(before?.decisions, row.decisions, DECISIONS_MAX);
    return { ...row, points, decisions, away: false };
  });
  const silent = known
    .filter(({ model }) => !told.some((row) => row.model === model))
    .map((row) => ({ ...row, away: true }));
  return [...told, ...silent].sort((a, b) => (a.model < b.model ? -1 : 1));
}

/** Those that came while the route answered go behind it. */
export const behind = (live: Planners, answer: PlannerAnswer): Planners =>
  withNews(withNews([], answer), { planners: live.filter(({ away }) => !away) });

function joined<T extends { readonly at_ms: number }>(
  before: readonly T[] = [],
  news: readonly T[],
  most: number,
): readonly T[] {
  const from_ms = news[0]?.at_ms ?? Number.POSITIVE_INFINITY;
  return [...before.filter(({ at_ms }) => at_ms < from_ms), ...news].slice(-most);
}

export type PlanChart = {
  readonly title: string;
  readonly unit: Unit;
  readonly series: Series;
  readonly steps?: boolean;
};

/** Label, and a field of the point or a figure that stays; the second of a colour is dashed. */
type LineSpec = readonly [label: string, of: string | number, color: number, second?: boolean];

export function chartsOf({ config }: PlannerRow, points: readonly Point[]): readonly PlanChart[] {
  const times = points.map(({ at_ms }) => at_ms / 1_000);
  const chart = (
    title: string,
    unit: Unit,
    specs: readonly LineSpec[],
    from: (point: Point) => object | undefined = (point) => point,
  ): PlanChart => ({
    ...{ title, unit },
    series: { times, lines: specs.map((spec) => lineOf(spec, points, from)), left_out: 0 },
  });
  const roles = [...new Set(points.flatMap(({ roles: by_role }) => Object.keys(by_role)))];
  return [
    ...roles.map((role) => ({
      ...chart(
        `Workers: ${role}`,
        "count",
        workerLines,
        ({ roles: by_role }) => Object.entries(by_role).find(([name]) => name === role)?.[1],
      ),
      steps: true,
    })),
    chart("Requests a second", "per_s", predicted("requests_per_s", "came", 0, "")),
    chart("Mean tokens of a request", "tokens", [
      ...predicted("isl", "prompt", 0, "prompt, "),
      ...predicted("osl", "answer", 2, "answer, "),
    ]),
    chart("Time to first token (TTFT)", "ms", latency("ttft", config.ttft_ms)),
    chart("Inter-token latency (ITL)", "ms", latency("itl", config.itl_ms)),
    chart("Answers within the SLA", "share", [
      ["within", "attainment", 0],
      ["goal", config.sla_share, 3, true],
    ]),
  ];
}

const workerLines: readonly LineSpec[] = [
  ["serving", "serving", 0],
  ["target", "target", 3, true],
  ["starting", "starting", 1],
  ["retiring", "retiring", 2],
];

const predicted = (
  field: string,
  label: string,
  color: number,
  of: string,
): readonly LineSpec[] => [
  [label, field, color],
  [`${of}predicted`, `predicted_${field}`, color + 1, true],
];

const latency = (name: string, limit_ms: number): readonly LineSpec[] => [
  ["p50", `${name}_p50_ms`, 0],
  ["p95", `${name}_p95_ms`, 1],
  ["SLA", limit_ms, 3, true],
];

function lineOf(
  [label, of, color, second = false]: LineSpec,
  points: readonly Point[],
  from: (point: Point) => object | undefined,
): Line {
  const values = points.map((point) => (typeof of === "number" ? of : numberIn(from(point), of)));
  return { label, color, second, values };
}

/** `prefill_engine_num_gpu` with what it is set to, by name. */
export const knobsOf = ({ config }: PlannerRow): readonly (readonly [string, string])[] =>
  Object.entries(config)
    .map(([name, value]) => [name, value === "" ? "none" : `${value}`] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
