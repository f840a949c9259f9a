/**
 * A planner's decisions as one page that loads nothing: predicted and actual load, workers, times
 * against the SLA, what it cost, and each decision with its reasons. Pure.
 */
import { heading, page, paragraph, table } from "../../../runtime/observe/html/html-page.ts";
import { linePlot, type Series } from "../../../runtime/observe/html/line-plot.ts";
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Decision } from "../pipeline/decision.ts";
import { gpusOf } from "../pipeline/roles.ts";
import { type PlanRole, planRoles } from "../pipeline/snapshot.ts";
import { PlanHistory, paidIn } from "./plan-history.ts";
import type { ListedDecision, PlanPage, PlanPoint, PlanTotals } from "./plan-page.ts";

export type ReportFacts = {
  readonly title: string;
  readonly config: PlannerConfig;
  /** Of `at_ms`: times of day, or time since a replay began, as in its list of decisions. */
  readonly clock: "wall" | "virtual";
  /** Of the whole, counted request by request; absent: estimated from the intervals. */
  readonly attainment?: number;
  readonly worker_hours?: number;
  /** More figures for the first table. */
  readonly figures?: readonly (readonly [name: string, value: string])[];
};

type Told = Pick<PlanPage, "points" | "decisions" | "totals">;

/** More points than a plot has pixels say no more. */
const POINTS_MAX = 1_000;
/** Of more decisions the last are listed. */
const ROWS_MAX = 500;
const HOUR_MS = 3_600_000;

/** @param decisions of every tick, oldest first */
export function plannerReport(decisions: readonly Decision[], facts: ReportFacts): string {
  const history = new PlanHistory({ points: Number.POSITIVE_INFINITY, decisions: ROWS_MAX });
  for (const decision of decisions) history.push(decision);
  const { points, decisions: listed } = history.told();
  return reportOf({ points, decisions: listed, totals: history.totals(facts.config) }, facts);
}

/** The same of what a running planner remembers. */
export function reportOf({ points, decisions, totals }: Told, facts: ReportFacts): string {
  const { title, config } = facts;
  const parts = [paragraph(summary(config)), figures(totals, facts)];
  if (points.length === 0) {
    parts.push(paragraph("Nothing has been decided yet: the first interval is not over."));
  }
  return page(title, [
    ...parts,
    ...plots(points, facts),
    heading("Decisions"),
    decisionTable(decisions, facts),
    heading("Configuration"),
    table(
      ["knob", "value"],
      Object.entries(config).map(([name, value]) => [name, `${value}`]),
    ),
  ]);
}

function summary({ optimization_target, sla_planner, mode, ...config }: PlannerConfig): string {
  const goal =
    optimization_target === "sla"
      ? `at least ${share(config.sla_share)} of the answers with a first token within ` +
        `${config.ttft_ms} ms and ${config.itl_ms} ms between tokens (planner ${sla_planner})`
      : `thresholds for ${optimization_target}`;
  const advisory = config.advisory ? " It only advises." : "";
  return `Goal: ${goal}; mode ${mode}, predictor ${config.load_predictor}.${advisory}`;
}

function figures(totals: PlanTotals, { attainment, worker_hours, ...facts }: ReportFacts): string {
  const { worker_hours: by_role, since_ms, until_ms } = totals;
  const hours = Object.values(by_role).reduce((sum, each) => sum + each, 0);
  const within = attainment ?? totals.attainment;
  return table(
    ["figure", "value"],
    [
      ["hours", ((until_ms - since_ms) / HOUR_MS).toFixed(2)],
      ["requests", `${totals.requests}`],
      ["within the SLA", within === undefined ? "nobody said" : share(within)],
      ["worker hours", (worker_hours ?? hours).toFixed(2)],
      ...Object.entries(by_role).map(([role, each]) => [`… ${role}`, each.toFixed(2)]),
      ["GPU hours", totals.gpu_hours.toFixed(2)],
      ["decisions that changed something", `${totals.decisions}`],
      ...(facts.figures ?? []),
    ],
  );
}

function plots(all: readonly PlanPoint[], { config, clock }: ReportFacts): string[] {
  const points = everyNth(all, Math.ceil(all.length / POINTS_MAX));
  const first_ms = clock === "wall" ? (points[0]?.at_ms ?? 0) : 0;
  const x = { name: "minutes", of: ({ at_ms }: PlanPoint) => (at_ms - first_ms) / 60_000 };
  const line = (name: string, of: (point: PlanPoint) => number | undefined): Series => ({
    name,
    points: points.map((point) => ({ x: x.of(point), y: of(point) ?? Number.NaN })),
  });
  const limit = (value: number): Series => ({
    ...{ name: "SLA", drawn: "limit" },
    points: points.map((point) => ({ x: x.of(point), y: value })),
  });
  const roles = planRoles.filter((role) => points.some((point) => point.roles[role] !== undefined));
  const plot = (title: string, y: string, series: readonly Series[]) =>
    linePlot({ title, x: x.name, y, series });
  return [
    plot("Requests a second", "requests/s", [
      line("actual", (point) => point.requests_per_s),
      line("predicted", (point) => point.predicted_requests_per_s),
    ]),
    plot("Tokens of a prompt and of an answer", "tokens, mean", [
      line("prompt", ({ isl }) => isl),
      line("predicted", ({ predicted_isl }) => predicted_isl),
      line("answer", ({ osl }) => osl),
      line("predicted", ({ predicted_osl }) => predicted_osl),
    ]),
    ...roles.map((role) => plot(`Workers: ${role}`, "workers", workerSteps(role, line))),
    plot("Time to first token", "ms", [
      line("p50", (point) => point.ttft_p50_ms),
      line("p95", (point) => point.ttft_p95_ms),
      limit(config.ttft_ms),
    ]),
    plot("Time between tokens", "ms", [
      line("p50", (point) => point.itl_p50_ms),
      line("p95", (point) => point.itl_p95_ms),
      limit(config.itl_ms),
    ]),
    plot("Answers within the SLA", "share", [
      line("within", ({ attainment }) => attainment),
      limit(config.sla_share),
    ]),
    plot("Waiting in routers", "ms, or requests", [
      line("p95 of the wait, ms", (point) => point.queue_p95_ms),
      line("requests", ({ queued }) => queued),
    ]),
    linePlot({
      ...{ title: "What it costs", x: x.name, y: "hours" },
      series: cost(all, roles, config, x.of),
    }),
  ];
}

type LineOf = (name: string, of: (point: PlanPoint) => number | undefined) => Series;

const workerSteps = (role: PlanRole, line: LineOf): Series[] =>
  (["serving", "target", "starting", "retiring"] as const).map((name) => ({
    ...line(name, ({ roles }) => roles[role]?.[name] ?? 0),
    drawn: "steps",
  }));

/** Hours so far, of workers and of their GPUs. */
function cost(
  points: readonly PlanPoint[],
  roles: readonly PlanRole[],
  config: PlannerConfig,
  x: (point: PlanPoint) => number,
): Series[] {
  const sums = { workers: 0, gpus: 0 };
  let before_ms: number | undefined;
  const drawn = points.map((point) => {
    // Points between two may have been thinned out.
    const hours =
      Math.max(0, point.at_ms - (before_ms ?? point.at_ms - point.interval_ms)) / HOUR_MS;
    before_ms = point.at_ms;
    for (const role of roles) {
      const counts = point.roles[role];
      const paid = counts === undefined ? 0 : paidIn(counts);
      sums.workers += paid * hours;
      sums.gpus += paid * hours * gpusOf(config, role);
    }
    return { x: x(point), ...sums };
  });
  const names = roles.some((role) => gpusOf(config, role) !== 1)
    ? (["workers", "gpus"] as const)
    : (["workers"] as const);
  return names.map((name) => ({
    name: name === "gpus" ? "GPU hours" : "worker hours",
    points: everyNth(drawn, Math.ceil(drawn.length / POINTS_MAX)).map((each) => ({
      ...{ x: each.x, y: each[name] },
    })),
  }));
}

function decisionTable(decisions: readonly ListedDecision[], { clock }: ReportFacts): string {
  const when = (at_ms: number) =>
    clock === "wall" ? new Date(at_ms).toISOString().slice(0, 19) : `${at_ms / 1_000} s`;
  const rows = decisions.flatMap(({ id, at_ms, roles, says, targets }) =>
    roles.map((role, at) => [
      at === 0 ? when(at_ms) : "",
      at === 0 ? `${id}` : "",
      role.role,
      `${role.serving}${role.starting > 0 ? ` + ${role.starting}` : ""}`,
      `${targets[role.role] ?? role.target}`,
      role.reason,
      role.why,
      at === 0 ? says.join("; ") : "",
    ]),
  );
  if (rows.length === 0) return paragraph("There are none.");
  return table(
    ["when", "number", "role", "workers", "target", "reason", "why", "what was done"],
    rows,
    [2, 5, 6, 7],
  );
}

const share = (value: number): string => `${Number((100 * value).toFixed(2))} %`;

const everyNth = <T>(all: readonly T[], n: number): readonly T[] =>
  n <= 1 ? all : all.filter((_, at) => at % n === 0 || at === all.length - 1);
