/** The figures of a replay for people. */
import type { PlanFigures } from "./plan/plan-figures.ts";
import type { ReplayReport } from "./report.ts";

/** @param plan of a replay with a planner */
export function reportTable(report: ReplayReport, plan?: PlanFigures): string {
  const line = (name: string, { mean, p50, p90, p99 }: typeof report.ttft_ms) =>
    `${name.padEnd(12)} ${[mean, p50, p90, p99].map((value) => String(value).padStart(10)).join("")}`;
  const { reuse_by_tier: by } = report;
  const tierText = by ? ` (device ${by.device}, host ${by.host}, disk ${by.disk})` : "";
  const unfinished = report.unfinished ? `, ${report.unfinished} not ended` : "";
  const { accept_length: made } = report;
  const guessed = made === undefined ? "" : `, ${made} tokens a pass of an answer`;
  return [
    `${report.requests} requests, ${report.refused} refused${unfinished}, ${report.per_worker.length} workers`,
    `prefix reuse ${report.prefix_reuse}${tierText}, ${report.output_tokens_per_s} tokens/s, ` +
      `${report.preemptions} preemptions${guessed}`,
    `${"ms".padEnd(12)}       mean       p50       p90       p99`,
    line("ttft", report.ttft_ms),
    line("itl", report.itl_ms),
    line("e2e", report.e2e_ms),
    ...(report.goodput === undefined
      ? []
      : [
          `goodput      ${report.goodput.share} of the requests, ${report.goodput.req_per_s} req/s`,
        ]),
    ...(report.hand_off === undefined
      ? []
      : [
          line("hand-over", report.hand_off.ms),
          `handed over  ${report.hand_off.share} of prompts`,
        ]),
    line("router queue", report.queued_ms),
    ...report.by_priority.map((each) => line(`ttft prio ${each.strict_priority}`, each.ttft_ms)),
    ...(plan === undefined ? [] : planLines(plan)),
    `virtual ${(report.duration_ms / 1_000).toFixed(0)} s in ${report.wall_ms} ms`,
  ].join("\n");
}

/** Decisions that stand in the table; the JSON has all. */
const SHOWN = 40;

function planLines(plan: PlanFigures): string[] {
  const { recovery_ms, reversals_a_period, decisions } = plan;
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  const turns = `${plan.reversals} reversals`;
  return [
    `planner      ${plan.sla_attainment} within the SLA, ${plan.worker_hours} worker-hours, ` +
      (reversals_a_period === undefined ? turns : `${turns}, ${reversals_a_period} a period`),
    `outside it   ${seconds(plan.longest_breach_ms)} at the longest` +
      (recovery_ms === undefined ? "" : `; back ${seconds(recovery_ms)} after the load rose`),
    ...decisions.slice(0, SHOWN).map(decisionLine),
    ...(decisions.length > SHOWN ? [`… ${decisions.length - SHOWN} more: --json`] : []),
  ];
}

function decisionLine({ at_ms, targets, reason, why }: PlanFigures["decisions"][number]): string {
  const counts = Object.entries(targets).map(([role, count]) =>
    role === "aggregated" ? `${count}` : `${role} ${count}`,
  );
  const when = (at_ms / 1_000).toFixed(0).padStart(8);
  return `${when} s  → ${counts.join(", ").padEnd(4)} ${reason}: ${why}`;
}
