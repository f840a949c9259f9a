/** A decision's figures and texts for people. */
import type { ObservedLoad, Proposal, ReasonName, RoleReport } from "./decision.ts";
import { headCount } from "./head-count.ts";
import type { PendingChange } from "./planner-state.ts";
import type { PlanRole, PlanSnapshot } from "./snapshot.ts";
import type { RoleTarget } from "./stages.ts";

export function observedOf({ traffic, interval_ms }: PlanSnapshot): ObservedLoad {
  const per_s = interval_ms > 0 ? 1_000 / interval_ms : 0;
  return {
    requests_per_s: traffic && traffic.started * per_s,
    isl: traffic?.isl,
    osl: traffic?.osl,
    ttft_p50_ms: traffic?.ttft_ms?.p50,
    ttft_p95_ms: traffic?.ttft_ms?.p95,
    itl_p50_ms: traffic?.itl_ms?.p50,
    itl_p95_ms: traffic?.itl_ms?.p95,
    queue_p95_ms: traffic?.queue_ms?.p95,
    queued: traffic?.queued,
    attainment: traffic?.attainment,
  };
}

export function roleReports(
  targets: readonly RoleTarget[],
  proposals: readonly Proposal[],
  snapshot: PlanSnapshot,
  pending: readonly PendingChange[],
): readonly RoleReport[] {
  return targets.map(({ role, wanted, reason, why }) => {
    const { serving, starting, leaving, unseen } = headCount(snapshot, pending, role);
    return {
      role,
      serving: serving.length,
      starting: starting.length + unseen,
      retiring: leaving,
      target: wanted,
      throughput_reason: reasonOf(proposals, role, ["throughput"]),
      load_reason: reasonOf(proposals, role, ["load", "sla"]),
      reason,
      why,
    };
  });
}

function reasonOf(
  proposals: readonly Proposal[],
  role: PlanRole,
  loops: readonly Proposal["loop"][],
): ReasonName {
  const found = proposals.find((each) => each.role === role && loops.includes(each.loop));
  return found?.reason ?? "disabled";
}

/** The worst that any proposal expects of the workers that serve now. */
export function estimateOf(proposals: readonly Proposal[]) {
  const most = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  return {
    ttft_ms: most(proposals.map(({ estimated_ttft_ms }) => estimated_ttft_ms)),
    itl_ms: most(proposals.map(({ estimated_itl_ms }) => estimated_itl_ms)),
  };
}
