/** The GPU budget over the numbers of all roles. */
import type { PlannerConfig } from "../pipeline/config.ts";
import { leastOf } from "../pipeline/roles.ts";
import type { RoleTarget } from "../pipeline/stages.ts";
import { withinBudget } from "../propose/budget.ts";

/** No worker at all is no matter of a budget: its floor would start some. */
export function budgeted(
  roles: readonly RoleTarget[],
  config: PlannerConfig,
): readonly RoleTarget[] {
  if (roles.every(({ wanted }) => wanted === 0)) return roles;
  const wanted = Object.fromEntries(roles.map((target) => [target.role, target.wanted]));
  // A role that was let below its least number stays there.
  const least = (role: RoleTarget["role"]) =>
    Math.min(leastOf(config, role), wanted[role] ?? leastOf(config, role));
  const { targets, why } = withinBudget(
    {
      ...config,
      min_endpoint: least("aggregated"),
      prefill_min_endpoint: least("prefill"),
      decode_min_endpoint: least("decode"),
    },
    wanted,
  );
  return roles.map((target) => {
    const allowed = targets[target.role] ?? target.wanted;
    if (allowed === target.wanted) return target;
    return { ...target, wanted: allowed, reason: "budget", why: `${target.why} ${why}` };
  });
}
