/**
 * One number a role out of what the loops propose:
 *
 *   what a loop wants: the most of those that want something
 *   floors: fewer than the highest is not allowed
 *   nobody wants anything: the workers there are stay
 */
import type { Proposal, ReasonName } from "./decision.ts";
import type { PlanRole } from "./snapshot.ts";
import type { RoleTarget } from "./stages.ts";

/** @param present workers of the role when all that is under way is done */
export function reconciled(
  role: PlanRole,
  proposals: readonly Proposal[],
  present: number,
): RoleTarget {
  const own = proposals.filter((proposal) => proposal.role === role);
  const floor = highest(own.filter((proposal) => proposal.floor));
  const wish = highest(own.filter((proposal) => !proposal.floor));
  const base = wish ?? held(role, own, present);
  if (floor === undefined || floor.wanted <= base.wanted) return base;
  const { wanted, loop } = floor;
  // The load loop wanted to take some away, and the other one does not let it.
  const capped = wish?.reason === "scale_down" && wanted <= present;
  const reason: ReasonName = capped ? "scale_down_capped_by_throughput" : floor.reason;
  const why = capped ? `${wish.why}; but ${lowerFirst(floor.why)}` : floor.why;
  return { role, wanted, reason, why, loop };
}

function highest(
  proposals: readonly Proposal[],
): (RoleTarget & { readonly loop: Proposal["loop"] }) | undefined {
  let best: (RoleTarget & { readonly loop: Proposal["loop"] }) | undefined;
  for (const { role, wanted, passing = 0, reason, why, loop } of proposals) {
    if (wanted === undefined || (best !== undefined && best.wanted >= wanted)) continue;
    best = { role, wanted, passing, reason, why, loop };
  }
  return best;
}

/** With the reason of a loop that could not say. */
function held(role: PlanRole, own: readonly Proposal[], present: number): RoleTarget {
  const silent = own.find((proposal) => proposal.wanted === undefined);
  const reason = silent?.reason ?? "no_change";
  const why = silent?.why ?? `Nobody asked for another number of ${role} workers.`;
  return { role, wanted: present, reason, why };
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
