/**
 * The face of the planner: how many workers of each role a model has, decided while it is served.
 * Types alone, so that what only shows its decisions loads nothing of it.
 *
 *   roll ── one a model ──▶ planner ── each tick: observe ▶ tick (pure) ▶ journal ▶ Connector
 */
export type { PlannerConfig } from "./pipeline/config.ts";
export type { Decision, PlanAction, RoleReport } from "./pipeline/decision.ts";
export type {
  ListedDecision,
  PlanEnded,
  PlanHead,
  PlanPage,
  PlanPending,
  PlanPoint,
  PlanStanding,
  PlanTotals,
  RoleCounts,
} from "./report/plan-page.ts";
