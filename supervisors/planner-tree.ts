/**
 * The process that decides how many workers there are:
 *
 *     planner (one_for_one)
 *     ├── discovery
 *     ├── planes      NATS and Redis, where there are several machines
 *     ├── inspector
 *     ├── models (dynamic)
 *     │   ├── MODEL   its planner
 *     │   └── …
 *     └── roll        sees to it that each model has one
 */
import { ProcessInspector } from "../actors/inspector/inspector.ts";
import { PlannerRoll, type PlannerRollOptions } from "../actors/planner/planner-roll.ts";
import type { ChildSpec, SupervisorSpec } from "../runtime/supervision/child-spec.ts";
import { supervisor } from "../runtime/supervision/supervisor.ts";

export function plannerTree(roll: PlannerRollOptions, first: readonly ChildSpec[]): SupervisorSpec {
  const pace = { intensity: 5, period_ms: 10_000 };
  return {
    strategy: "one_for_one",
    ...pace,
    children: [
      ...first,
      { id: "inspector", start: () => new ProcessInspector({ role: "planner" }) },
      {
        id: "models",
        kind: "supervisor",
        start: supervisor({ strategy: "dynamic", ...pace, children: [] }),
      },
      { id: "roll", start: () => new PlannerRoll(roll) },
    ],
  };
}
