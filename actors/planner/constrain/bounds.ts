/** The limits of a number of workers that hold at once: least, most, and the largest step. */
import type { PlannerConfig } from "../pipeline/config.ts";
import { leastOf } from "../pipeline/roles.ts";
import type { RoleTarget } from "../pipeline/stages.ts";

/**
 * @param present workers of the role when all that is under way is done
 * @param empty true: none at all is meant, which the least number does not hold up
 */
export function bounded(
  target: RoleTarget,
  config: PlannerConfig,
  present: number,
  empty: boolean,
): RoleTarget {
  const least = empty ? 0 : leastOf(config, target.role);
  return atMost(stepped(atLeast(target, least), config, present), config.max_workers);
}

function atLeast(target: RoleTarget, least: number): RoleTarget {
  if (target.wanted >= least) return target;
  const why = `${target.why} At least ${least} are kept (min_endpoint).`;
  return { ...target, wanted: least, reason: "min_endpoint", why };
}

function atMost(target: RoleTarget, most: number): RoleTarget {
  if (target.wanted <= most) return target;
  const why = `${target.why} But max_workers allows ${most}.`;
  return { ...target, wanted: most, reason: "max_workers", why };
}

/** Our own proposal jumps as far as it must; Dynamo's loops go so far at once. */
function stepped(target: RoleTarget, config: PlannerConfig, present: number): RoleTarget {
  const step = config.max_throughput_scaling_replicas;
  if (target.loop !== "throughput") return target;
  const wanted = Math.min(present + step, Math.max(present - step, target.wanted));
  if (wanted === target.wanted) return target;
  const why = `${target.why} One decision changes ${step} at most.`;
  return { ...target, wanted, reason: "step_limit", why };
}
