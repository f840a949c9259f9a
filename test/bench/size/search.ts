/**
 * Searches for the cheapest plan that holds an SLA, by replays:
 *
 *   1. workers of one kind: the fewest that hold it, by bisection
 *   2. with fewer: every other router setting, tier and split into prefill and decode workers, one
 *      thing changed at a time; what holds is made smaller until it does not
 *   3. again from what was found, until nothing holds that is cheaper
 *
 * More workers are taken to serve no worse, and the attainment of splits to have one top.
 */
import type { Deployment } from "../replay/set-up/world.ts";
import { isSame } from "./plan.ts";
import { scoreOf, type Trial } from "./trial.ts";

export type SearchSpace = {
  /** Where it begins; its workers do not count. */
  readonly base: Deployment;
  readonly workers_most: number;
  /** What a router may be set to. */
  readonly routers: readonly Pick<Deployment, "mode" | "policy" | "objective">[];
  /** Memory and disks that a machine may have. */
  readonly tiers: readonly Pick<Deployment, "host_blocks" | "disk_blocks">[];
  /** Prefill and decode workers are tried. */
  readonly splits: boolean;
};

export type SearchWorld = {
  /** Holds it, or is stopped when it cannot. Undefined: the time is up. */
  readonly attempt: (deployment: Deployment) => Promise<Trial | undefined>;
  readonly holds: (trial: Trial) => boolean;
  readonly cost: (deployment: Deployment) => number;
  /** How many trials run at the same time. */
  readonly lanes: number;
};

export type Found = {
  /** Undefined: none holds it. */
  readonly plan: Trial | undefined;
  /** False: the time was up before all was tried. */
  readonly complete: boolean;
};

export async function search(space: SearchSpace, world: SearchWorld): Promise<Found> {
  const run = new Search(space, world);
  const plan = await run.cheapest();
  return { plan, complete: run.complete };
}

class Search {
  complete = true;
  readonly #space: SearchSpace;
  readonly #world: SearchWorld;

  constructor(space: SearchSpace, world: SearchWorld) {
    this.#space = space;
    this.#world = world;
  }

  async cheapest(): Promise<Trial | undefined> {
    const { base, workers_most } = this.#space;
    let best = await this.#fewest((workers) => ({ ...base, prefill: 0, workers }), workers_most);
    for (;;) {
      const better = await this.#better(best);
      if (better === undefined) return best;
      best = better;
    }
  }

  /** The fewest workers that hold it, up to `most`. */
  async #fewest(
    planOf: (workers: number) => Deployment,
    most: number,
    least = 1,
  ): Promise<Trial | undefined> {
    let found: Trial | undefined;
    let below = least;
    let above = most;
    while (below <= above) {
      const counts = spread(below, above, this.#world.lanes);
      const trials = await this.#all(counts.map(planOf));
      const at = trials.findIndex((trial) => trial !== undefined && this.#world.holds(trial));
      if (!this.complete) return at < 0 ? found : trials[at];
      if (at >= 0) found = trials[at];
      const failed = at < 0 ? counts.length - 1 : at - 1;
      if (at >= 0) above = counts[at]! - 1;
      if (failed >= 0) below = counts[failed]! + 1;
    }
    return found;
  }

  /** A plan that holds and costs less than `best`. */
  async #better(best: Trial | undefined): Promise<Trial | undefined> {
    const { workers_most } = this.#space;
    const from = best?.deployment ?? { ...this.#space.base, prefill: 0, workers: workers_most + 1 };
    const fewer = from.workers - 1;
    if (fewer < 1) return undefined;
    const variants = this.#variants(from).map((each) => ({ ...each, workers: fewer }));
    const trials = await this.#all(variants.filter(({ prefill }) => prefill === 0));
    const holding = trials.filter((trial) => trial !== undefined && this.#world.holds(trial));
    const smaller = await Promise.all(
      this.#firstOfEach(holding).map((each) => this.#smaller(each)),
    );
    let [found] = this.#cheapestFirst(smaller.filter((trial) => this.#isBetter(trial, best)));
    if (found === undefined && this.#space.splits && fewer > 1 && this.complete) {
      const split = await this.#split({ ...from, workers: fewer });
      found = split && (await this.#smaller(split));
      if (found !== undefined && !this.#isBetter(found, best)) found = undefined;
    }
    return found;
  }

  /** The same with as few workers as hold it. */
  async #smaller(trial: Trial): Promise<Trial> {
    const { deployment } = trial;
    const { workers, prefill } = deployment;
    const found =
      prefill === 0
        ? await this.#fewest((count) => ({ ...deployment, workers: count }), workers - 1)
        : await this.#fewest((count) => inProportion(deployment, count), workers - 1, 2);
    return found ?? trial;
  }

  #isBetter({ deployment }: Trial, best: Trial | undefined): boolean {
    const { cost } = this.#world;
    return best === undefined || cost(deployment) < cost(best.deployment);
  }

  /** Of those that cost the same, the best first. */
  #cheapestFirst(trials: readonly Trial[]): readonly Trial[] {
    const { cost } = this.#world;
    return trials.toSorted(
      (a, b) => cost(a.deployment) - cost(b.deployment) || scoreOf(b) - scoreOf(a),
    );
  }

  /** One of those that cost the same: the others come next, if they are worth it. */
  #firstOfEach(trials: readonly (Trial | undefined)[]): readonly Trial[] {
    const { cost } = this.#world;
    const by_cost = new Map<number, Trial>();
    for (const trial of this.#cheapestFirst(trials.filter((each) => each !== undefined))) {
      const own = cost(trial.deployment);
      if (!by_cost.has(own)) by_cost.set(own, trial);
    }
    return [...by_cost.values()];
  }

  /** One thing changed, without splits. */
  #variants(from: Deployment): readonly Deployment[] {
    const { routers, tiers } = this.#space;
    const others = [
      ...routers.map((router) => ({ ...from, prefill: 0, ...router })),
      ...tiers.map((tier) => ({ ...from, prefill: 0, ...tier })),
    ];
    return others.filter((each) => !isSame(each, from));
  }

  /** How many of so many workers are to compute prompts for the others. */
  async #split(deployment: Deployment): Promise<Trial | undefined> {
    let below = 1;
    let above = deployment.workers - 1;
    const at = (prefill: number): Deployment => ({ ...deployment, mode: "kv", prefill });
    while (below <= above) {
      const third = Math.floor((above - below) / 3);
      const [left, right] = [below + third, above - third];
      const [a, b] = await this.#all(left === right ? [at(left)] : [at(left), at(right)]);
      for (const trial of [a, b]) {
        if (trial !== undefined && this.#world.holds(trial)) return trial;
      }
      if (!this.complete || a === undefined) return undefined;
      if (b !== undefined && scoreOf(b) > scoreOf(a)) below = left + 1;
      else above = right - 1;
    }
    return undefined;
  }

  async #all(deployments: readonly Deployment[]): Promise<readonly (Trial | undefined)[]> {
    const trials = await Promise.all(deployments.map((each) => this.#world.attempt(each)));
    if (trials.includes(undefined)) this.complete = false;
    return trials;
  }
}

/** As many workers compute prompts as before, of each hundred. */
function inProportion(deployment: Deployment, workers: number): Deployment {
  const prefill = Math.round((workers * deployment.prefill) / deployment.workers);
  return { ...deployment, workers, prefill: Math.min(workers - 1, Math.max(1, prefill)) };
}

/** At most `count` whole numbers between two, which leave parts of one size. */
function spread(below: number, above: number, count: number): readonly number[] {
  const parts = Math.min(count, above - below + 1) + 1;
  const numbers = Array.from({ length: parts - 1 }, (_, i) => {
    return below + Math.floor(((above - below + 1) * (i + 1)) / parts);
  });
  return [...new Set(numbers.map((each) => Math.min(above, each)))];
}
