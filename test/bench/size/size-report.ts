/** What sizing found, for people and as JSON. */
import type { GoodputLimits } from "../goodput.ts";
import type { PlanFigures } from "../replay/plan/plan-figures.ts";
import type { Deployment } from "../replay/set-up/world.ts";
import { rounded } from "../statistics.ts";
import { nameOf, planFlags } from "./plan.ts";
import type { Sizing } from "./size-plan.ts";
import { faultOf, type Trial } from "./trial.ts";

/** A planner on the same trace, beside the plan. */
export type Comparison = {
  readonly figures: PlanFigures;
  /** What is there before it decides. */
  readonly begins: Deployment;
  /** Its worker-hours by those of the plan; undefined: there is no plan. */
  readonly hours_ratio: number | undefined;
};

export function sizeJson(
  { question, goal, plan, most, neighbours, complete, stopped, trials }: Sizing,
  requests: number,
  wall_ms: number,
  compared: Comparison | undefined,
) {
  const { sla, share, out_of_reach, cost } = question;
  const shown = (trial: Trial) => trialJson(trial, sla, cost);
  return {
    requests,
    sla: { ttft_ms: sla.ttft_ms, itl_ms: sla.itl_ms, share },
    holds: plan !== undefined && goal >= share,
    goal: rounded(goal, 4),
    out_of_reach: rounded(out_of_reach, 4),
    plan: plan === undefined ? null : shown(plan),
    ...(most === undefined ? {} : { most_workers: shown(most) }),
    neighbours: neighbours.map(shown),
    ...{ complete, stopped, trials, wall_ms: rounded(wall_ms, 0) },
    ...(compared === undefined
      ? {}
      : { planner: { ...compared.figures, hours_ratio: compared.hours_ratio } }),
  };
}

function trialJson(trial: Trial, sla: GoodputLimits, cost: (plan: Deployment) => number) {
  const { deployment, share, worker_hours, ttft_p95_ms, itl_p95_ms } = trial;
  const { workers, prefill, mode, policy, objective, host_blocks, disk_blocks } = deployment;
  return {
    workers,
    ...(prefill > 0 ? { prefill, decode: workers - prefill } : {}),
    router_mode: mode,
    ...(mode === "kv" ? { router_policy: policy } : {}),
    ...(mode === "kv" && policy === "adaptive" ? { router_objective: objective } : {}),
    ...{ kv_host_blocks: host_blocks, kv_disk_blocks: disk_blocks },
    ...{ cost: rounded(cost(deployment), 3), share, worker_hours, ttft_p95_ms, itl_p95_ms },
    outside: { ttft: trial.late_first, itl: trial.slow_tokens, refused: trial.refused },
    ...{ why: lackOf(trial, sla), flags: planFlags(deployment).join(" ") },
  };
}

export function sizeText(
  sizing: Sizing,
  requests: number,
  wall_ms: number,
  compared: Comparison | undefined,
): string {
  const { question, goal, plan, most, neighbours, complete, stopped, trials } = sizing;
  const { sla, share, out_of_reach, space } = question;
  const lines = [`${requests} requests, ${limitsText(sla)}, ${percent(share)} of them wanted`];
  if (most !== undefined) lines.push(...shortText(sizing, most));
  if (plan === undefined && complete) {
    lines.push(`no plan with up to ${space.workers_most} workers holds ${percent(goal)}`);
    lines.push("raise --max-workers, or the limits");
  }
  if (plan === undefined && !complete) {
    lines.push(`no plan that holds ${percent(goal)} was found until then`);
  }
  if (plan !== undefined) {
    lines.push(`plan         ${nameOf(plan.deployment)}`);
    lines.push(
      `             ${percent(plan.share ?? 0)} within both limits, ${percent(goal)} asked for; ` +
        `p95 TTFT ${plan.ttft_p95_ms} ms, ITL ${plan.itl_p95_ms} ms; ` +
        `${plan.worker_hours} worker-hours`,
    );
    lines.push(`             bun run replay TRACE ${planFlags(plan.deployment).join(" ")}`);
  }
  if (neighbours.length > 0) lines.push("with one worker less:");
  for (const trial of neighbours) {
    lines.push(`  ${nameOf(trial.deployment).padEnd(44)} ${verdict(trial, goal, sla)}`);
  }
  if (compared !== undefined) lines.push(...plannerText(compared, out_of_reach));
  const ended = stopped ? "it was stopped" : "the time was up (--time-limit)";
  const rest = complete ? "" : `; ${ended}, so there may be a cheaper one`;
  lines.push(`${trials} replays in ${(wall_ms / 1_000).toFixed(0)} s${rest}`);
  return lines.join("\n");
}

/** Why the share that is asked for is not held. */
function shortText({ question, goal }: Sizing, most: Trial): string[] {
  const { share, out_of_reach, sla } = question;
  const lines = [
    `no plan      reaches ${percent(share)}: with ${nameOf(most.deployment)}, ` +
      `${percent(most.share ?? 0)} are within both limits (${lackOf(most, sla)})`,
  ];
  if (out_of_reach > 0) {
    lines.push(
      `             ${percent(out_of_reach)} have prompts that alone take longer than the ` +
        `TTFT limit of ${sla.ttft_ms} ms on an idle worker, all cached that came before`,
    );
  }
  if (goal < share) {
    lines.push(
      `             so the plan below holds ${percent(share)} of the others: ` +
        `${percent(goal)} of all`,
    );
  }
  return lines;
}

function verdict(trial: Trial, goal: number, sla: GoodputLimits): string {
  const { share = 0, ttft_p95_ms, itl_p95_ms } = trial;
  const holds = share >= goal ? "holds it, at a higher cost" : lackOf(trial, sla);
  return `${percent(share)}: ${holds}; p95 TTFT ${ttft_p95_ms} ms, ITL ${itl_p95_ms} ms`;
}

/** Which limit requests were outside of. */
function lackOf(trial: Trial, { ttft_ms, itl_ms }: GoodputLimits): string {
  const { late_first, slow_tokens, refused } = trial;
  const fault = faultOf(trial);
  if (late_first + slow_tokens + refused === 0) return "nothing was outside";
  if (fault === "refused") return `${percent(refused)} refused`;
  return fault === "itl"
    ? `${percent(slow_tokens)} over the ITL limit of ${itl_ms} ms`
    : `${percent(late_first)} over the TTFT limit of ${ttft_ms} ms`;
}

function plannerText({ figures, begins, hours_ratio }: Comparison, out_of_reach: number): string[] {
  const { sla_attainment, worker_hours, longest_breach_ms, reversals } = figures;
  const ratio = hours_ratio === undefined ? "" : `, ${hours_ratio} times those of the plan`;
  const reach = out_of_reach > 0 ? ` (${percent(1 - out_of_reach)} can be)` : "";
  return [
    `planner      from ${nameOf(begins)}:`,
    `             ${percent(sla_attainment)} within both limits${reach}; ` +
      `${worker_hours} worker-hours${ratio}`,
    `             outside them for ${(longest_breach_ms / 1_000).toFixed(0)} s at the longest; ` +
      `${figures.decisions.length} decisions, ${reversals} reversals`,
  ];
}

function limitsText({ ttft_ms, itl_ms }: GoodputLimits): string {
  const parts = [
    ...(ttft_ms === undefined ? [] : [`TTFT ${ttft_ms} ms`]),
    ...(itl_ms === undefined ? [] : [`ITL ${itl_ms} ms`]),
  ];
  return parts.join(", ");
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
