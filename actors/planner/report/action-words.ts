/** What a planner does, in words. */
import type { Decision, PlanAction } from "../pipeline/decision.ts";

/** A sentence an action; of an advisory planner: what it would do. */
export function decisionWords({ actions, advised = [] }: Decision): string[] {
  return [...actions.map(actionWords), ...advised.map((action) => `would ${actionWords(action)}`)];
}

export function actionWords(action: PlanAction): string {
  switch (action.kind) {
    case "add":
      return `start ${workers(action.count, action.role)}`;
    case "retire":
      return `retire ${workers(action.workers.length, action.role)}: ${names(action.workers)}`;
    case "cancel":
      return `give up ${workers(action.workers.length, action.role)}: ${names(action.workers)}`;
    case "change_role":
      return `make ${action.to} of ${names(action.workers)} (${action.from})`;
  }
}

const workers = (count: number, role: string): string =>
  `${count} ${role} worker${count === 1 ? "" : "s"}`;

const NAMES_MAX = 6;

const names = (all: readonly string[]): string =>
  all.length <= NAMES_MAX
    ? all.join(", ")
    : `${all.slice(0, NAMES_MAX).join(", ")} and ${all.length - NAMES_MAX} more`;
