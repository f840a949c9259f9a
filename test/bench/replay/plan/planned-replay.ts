/** A replay with a planner, from set-up to figures. */
import type { ShapeMarks } from "../arrival-shape.ts";
import { UsageError } from "../flag-values.ts";
import type { PlannerSetUp } from "../set-up/plan-flags.ts";
import type { TraceSource } from "../set-up/trace-source.ts";
import type { Deployment, World } from "../set-up/world.ts";
import { type ReplayResult, simulate } from "../simulate.ts";
import { outOfReach } from "../sla/reach.ts";
import type { TraceRequest } from "../trace.ts";
import { decisionLines, type PlanFigures, planFigures } from "./plan-figures.ts";
import type { PlanTold } from "./plan-html.ts";
import { PlannerDriver } from "./planner-driver.ts";
import type { StartRules } from "./virtual-pool.ts";

export type PlannedReplay = {
  readonly result: ReplayResult;
  readonly plan: PlanFigures;
  readonly told: PlanTold;
  /** What the router has learned. */
  readonly learned: unknown;
};

/** A planner looks at each of its intervals, also when nothing comes: more than a month's. */
const TICKS_MOST = 1_000_000;

/** Throws UsageError. */
function checkSpan(trace: readonly TraceRequest[], interval_ms: number, speedup: number): void {
  let [first_ms, last_ms] = [Number.POSITIVE_INFINITY, 0];
  for (const { arrival_ms } of trace) {
    if (arrival_ms === undefined) continue;
    first_ms = Math.min(first_ms, arrival_ms);
    last_ms = Math.max(last_ms, arrival_ms);
  }
  const ticks = (last_ms - first_ms) / speedup / interval_ms;
  if (!(ticks > TICKS_MOST)) return;
  const days = ((last_ms - first_ms) / 86_400_000).toPrecision(3);
  throw new UsageError(
    `the trace goes over ${days} days, more than ${TICKS_MOST} intervals of the planner: its times ` +
      "are in milliseconds; cut it where nothing comes, or give --arrival-speedup",
  );
}

/** @param deployment at the beginning. Throws UsageError. */
export function plannedReplay(
  { trace, trace_block_size, marks }: TraceSource,
  world: World,
  deployment: Deployment,
  { config, known }: Pick<PlannerSetUp, "config" | "known">,
  starts: StartRules,
): PlannedReplay {
  const driver = new PlannerDriver(config, starts, known);
  const settings = { ...world.settings(deployment), plan: driver.rules() };
  const { concurrency, arrival_speedup } = settings;
  if (concurrency === 0) checkSpan(trace, settings.plan.interval_ms, arrival_speedup);
  const router = world.router(deployment);
  const result = simulate(trace, settings, router);
  const { ttft_ms, itl_ms, sla_share } = config;
  const sla = { ttft_ms, itl_ms };
  const plan = planFigures(result, decisionLines(driver.decisions), {
    ...{ sla, sla_share },
    out_of_reach: outOfReach(trace, trace_block_size, world.mocker, settings.timing, sla),
    marks: compressed(marks, settings.arrival_speedup),
  });
  const told = { config: driver.config, decisions: driver.decisions };
  return { result, plan, told, learned: router.learned };
}

function compressed({ jump_ms, period_ms }: ShapeMarks, speedup: number): ShapeMarks {
  return {
    ...(jump_ms === undefined ? {} : { jump_ms: jump_ms / speedup }),
    ...(period_ms === undefined ? {} : { period_ms: period_ms / speedup }),
  };
}
