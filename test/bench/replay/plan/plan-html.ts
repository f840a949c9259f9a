/** A replay with a planner as the planner's own report, with what the replay has counted. */
import type { PlannerConfig } from "../../../../actors/planner/pipeline/config.ts";
import type { Decision } from "../../../../actors/planner/pipeline/decision.ts";
import { plannerReport } from "../../../../actors/planner/report/planner-report.ts";
import type { ReplayReport } from "../report.ts";
import type { PlanFigures } from "./plan-figures.ts";

/** What the planner of a replay was asked to hold, and each of its ticks. */
export type PlanTold = { readonly config: PlannerConfig; readonly decisions: readonly Decision[] };

export function planHtml(
  title: string,
  { config, decisions }: PlanTold,
  plan: PlanFigures,
  report: ReplayReport,
): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(0)} s`;
  const { p50, p90, p99 } = report.ttft_ms;
  return plannerReport(decisions, {
    ...{ title: `Planner in virtual time: ${title}`, config, clock: "virtual" },
    ...{ attainment: plan.sla_attainment, worker_hours: plan.worker_hours },
    figures: [
      ["requests that no number of workers serves within the SLA", share(plan.out_of_reach)],
      ["longest time in which the SLA did not hold", seconds(plan.longest_breach_ms)],
      ["changes of direction", `${plan.reversals}`],
      ["first token p50, p90, p99", `${p50}, ${p90}, ${p99} ms`],
      ["refused", `${report.refused}`],
      ["virtual time", seconds(report.duration_ms)],
    ],
  });
}

const share = (value: number): string => `${Number((100 * value).toFixed(2))} %`;
