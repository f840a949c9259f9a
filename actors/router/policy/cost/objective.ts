/**
 * `--router-objective`: the goal of the adaptive policy. Work on a prompt delays later prompts and
 * the answers at the same worker, and no placement is best for all: a request that is sent to its
 * cached blocks makes less work for others, and waits longer for its own first token.
 *
 *   ttft      first tokens come soon: no other request counts
 *   goodput   most answers within limits for both: later prompts count in full, answers by a fifth
 *   e2e       whole answers come soon: answers count in full as well
 */
import type { AdaptiveOptions } from "./adaptive-cost.ts";

export const routerObjectives = ["ttft", "e2e", "goodput"] as const;
export type RouterObjective = (typeof routerObjectives)[number];

export function isRouterObjective(text: string): text is RouterObjective {
  return (routerObjectives as readonly string[]).includes(text);
}

/** Best in goodput over the traces of docs/routing.md. */
export const DEFAULT_OBJECTIVE: RouterObjective = "goodput";

/** How long a request stays with the router while its best worker is busy. */
export type Holding = {
  /** A worker with more passes of prompt tokens to compute than this is busy. */
  readonly hold_passes: number;
  /** Bound of the wait, in times that the request's own prompt takes. */
  readonly patience: number;
};

export const neverHeld: Holding = {
  hold_passes: Number.POSITIVE_INFINITY,
  patience: Number.POSITIVE_INFINITY,
};

type Objective = Holding & { readonly reach: number };

/**
 * Late binding lets shorter prompts pass longer ones: good for the mean, bad for long prompts, so
 * `patience` bounds the wait. In overload, whole answers are best served without a bound.
 */
const objectives: Readonly<Record<RouterObjective, Objective>> = {
  ttft: { reach: 0, hold_passes: 0.1, patience: 0.3 },
  goodput: { reach: 0.6, hold_passes: 0.3, patience: 0.3 },
  e2e: { reach: 1, hold_passes: 0.5, patience: Number.POSITIVE_INFINITY },
};

export function holdingFor(objective: RouterObjective): Holding {
  return objectives[objective];
}

/**
 * The weights of an objective. `reach`, 0 to 1, is how far it looks beyond the request's own first
 * token: up to 0.5 at later prompts, above it at answers too.
 */
export function weightsFor(
  objective: RouterObjective,
  reach = objectives[objective].reach,
): Partial<AdaptiveOptions> {
  const answers = Math.max(0, 2 * reach - 1);
  return {
    crowd_weight: 4 * Math.min(1, 2 * reach),
    stall_weight: 7 * answers,
    overfull_weight: answers,
  };
}
