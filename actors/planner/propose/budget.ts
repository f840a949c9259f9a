/**
 * Budgets of GPUs (Dynamo 1.x, `core/budget.py`). A ceiling is never passed. A floor may be missed
 * when there is a ceiling too, as workers come in whole numbers: equal ones pin the total, and the
 * roles trade workers.
 */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { Targets } from "../pipeline/decision.ts";
import { gpusOf, leastOf, rolesOf } from "../pipeline/roles.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";

export type Budgeted = {
  readonly targets: Targets;
  /** A sentence with the figures; undefined: the budget changed nothing. */
  readonly why: string | undefined;
};

/**
 * Targets within minima and budget. Over the ceiling both roles shrink by one factor, prefill
 * rounded down and kept so that decode's minimum fits, and decode takes what is left. Under the
 * floor they grow the same way, rounded up. The configuration was read: its least
 * numbers fit.
 */
export function withinBudget(config: PlannerConfig, wanted: Targets): Budgeted {
  const roles = rolesOf(config);
  const asked: Targets = Object.fromEntries(
    roles.map((role) => [role, Math.max(wanted[role] ?? 0, leastOf(config, role))]),
  );
  const targets = roles.length === 2 ? bothRoles(config, asked) : oneRole(config, roles[0]!, asked);
  const before = gpusIn(config, asked);
  const after = gpusIn(config, targets);
  if (roles.every((role) => targets[role] === asked[role])) return { targets, why: undefined };
  const { max_gpu_budget: max, min_gpu_budget: min } = config;
  const limit = after < before ? `at most ${max}` : `at least ${min}`;
  return { targets, why: `${before} GPUs were wanted, ${limit} are allowed: ${after}.` };
}

export function gpusIn(config: PlannerConfig, targets: Targets): number {
  return rolesOf(config).reduce(
    (sum, role) => sum + (targets[role] ?? 0) * gpusOf(config, role),
    0,
  );
}

function oneRole(config: PlannerConfig, role: PlanRole, asked: Targets): Targets {
  const { max_gpu_budget: max, min_gpu_budget: min } = config;
  const gpus = gpusOf(config, role);
  const total = gpusIn(config, asked);
  const most = max >= 0 ? Math.floor(max / gpus) : Number.POSITIVE_INFINITY;
  if (max >= 0 && total > max) return { [role]: most };
  return min >= 0 && total < min ? { [role]: Math.min(Math.ceil(min / gpus), most) } : asked;
}

function bothRoles(config: PlannerConfig, asked: Targets): Targets {
  const max = config.max_gpu_budget;
  const total = gpusIn(config, asked);
  if (max < 0 || total <= max) return raised(config, asked);
  // Rounding down may leave it under the floor.
  return raised(config, shrunk(config, asked.prefill ?? 0, total));
}

function raised(config: PlannerConfig, targets: Targets): Targets {
  const { max_gpu_budget: max, min_gpu_budget: min } = config;
  const total = gpusIn(config, targets);
  if (min < 0 || total >= min) return targets;
  const grown = grownBy(config, targets.prefill ?? 0, total);
  if (max < 0 || gpusIn(config, grown) <= max) return grown;
  const full = filled(config, targets);
  return gpusIn(config, full) > total ? raised(config, full) : full;
}

function shrunk(config: PlannerConfig, prefill_asked: number, total: number): Targets {
  const max = config.max_gpu_budget;
  const p_gpus = gpusOf(config, "prefill");
  const d_gpus = gpusOf(config, "decode");
  const d_min = leastOf(config, "decode");
  const p_most = Math.floor((max - d_min * d_gpus) / p_gpus);
  const share = Math.floor((prefill_asked * max) / total);
  const prefill = Math.max(leastOf(config, "prefill"), Math.min(p_most, share));
  const decode = Math.max(d_min, Math.floor((max - prefill * p_gpus) / d_gpus));
  return { prefill, decode };
}

function grownBy(config: PlannerConfig, prefill_asked: number, total: number): Targets {
  const min = config.min_gpu_budget;
  const p_gpus = gpusOf(config, "prefill");
  // Of nothing, each role gets half.
  const share = total > 0 ? (prefill_asked * min) / total : min / 2 / p_gpus;
  const prefill = Math.max(leastOf(config, "prefill"), Math.ceil(share));
  const rest = Math.max(0, min - prefill * p_gpus) / gpusOf(config, "decode");
  return { prefill, decode: Math.max(leastOf(config, "decode"), Math.ceil(rest)) };
}

/** Rounding left it under the floor: more workers as long as they fit under the ceiling. */
function filled(config: PlannerConfig, { prefill = 0, decode = 0 }: Targets): Targets {
  const { max_gpu_budget: max, min_gpu_budget: min } = config;
  const more = (total: number, gpus: number) =>
    Math.max(0, Math.min(Math.ceil((min - total) / gpus), Math.floor((max - total) / gpus)));
  const d_gpus = gpusOf(config, "decode");
  const decodes = decode + more(gpusIn(config, { prefill, decode }), d_gpus);
  const left = more(gpusIn(config, { prefill, decode: decodes }), gpusOf(config, "prefill"));
  return { prefill: prefill + left, decode: decodes };
}
