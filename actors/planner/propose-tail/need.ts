/** The fewest workers that keep the share of requests within the limits that is asked for. */
import type { PlannerConfig } from "../pipeline/config.ts";
import type { PlanRole } from "../pipeline/snapshot.ts";
import { ENDLESS, expected, loadOf, type Spreads, type Work } from "./work.ts";

export type Need = {
  readonly workers: number;
  /** Expected with them, asked for, and planned for. */
  readonly share: number;
  readonly goal: number;
  readonly aim: number;
  /** With as many workers as one likes; the goal is a share of it. */
  readonly best: number;
  readonly load: number;
};

export type NeedSides = {
  readonly role: PlanRole;
  readonly config: PlannerConfig;
  readonly spreads: Spreads;
  /** What load makes late, measured over expected. */
  readonly lost_scale: number;
};

/**
 * Many workers that are less loaded than this hardly wait, and a few more than that cover what
 * chance does to few: more of them would change nothing, whatever the tails seem to say.
 */
const LEAST_LOAD = 0.3;
const SPARE = 4;

/** Of what may be late, so much is planned for: the rest is for what comes between decisions. */
const PLANNED = 0.6;

export function needOf(work: Work, sides: NeedSides): Need {
  const { config, role } = sides;
  const useful = Math.ceil(loadOf(work, 1) / LEAST_LOAD) + SPARE;
  const most = Math.min(config.max_workers, useful);
  // Two roles share what is allowed to be late.
  const late = (1 - config.sla_share) / (role === "aggregated" ? 1 : 2);
  const best = plainShare(work, ENDLESS, sides);
  // Prompts that take too long by themselves are late however many workers there are: the share is
  // asked of the others.
  const aim = best * (1 - PLANNED * late);
  // The share rises with the number of workers.
  let [low, high] = [0, most];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (shareWith(work, middle, best, sides) >= aim) high = middle;
    else low = middle;
  }
  const { load } = expected(work, high, sides.spreads, sides.config);
  const share = shareWith(work, high, best, sides);
  return { workers: high, share, goal: best * (1 - late), aim, best, load };
}

function shareWith(work: Work, workers: number, best: number, sides: NeedSides): number {
  const share = plainShare(work, workers, sides);
  return share === 0 ? 0 : Math.max(0, best - sides.lost_scale * (best - share));
}

function plainShare(work: Work, workers: number, { role, config, spreads }: NeedSides): number {
  const { ttft_share, itl_share } = expected(work, workers, spreads, config);
  return (role === "decode" ? 1 : ttft_share) * (role === "prefill" ? 1 : itl_share);
}
