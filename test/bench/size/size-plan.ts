/** Sizes a trace: what can be reached at all, the cheapest plan, and what its neighbours lack. */
import type { GoodputLimits } from "../goodput.ts";
import type { Deployment } from "../replay/set-up/world.ts";
import { withinReach } from "../replay/sla/reach.ts";
import type { Lanes } from "./lanes.ts";
import { keyOf } from "./plan.ts";
import { type SearchSpace, search } from "./search.ts";
import { type Question, scoreOf, type Trial } from "./trial.ts";

export type SizeQuestion = {
  readonly sla: GoodputLimits;
  /** Of all requests. */
  readonly share: number;
  /** Of all requests, those that no number of workers serves within the limits. */
  readonly out_of_reach: number;
  readonly space: SearchSpace;
  readonly cost: (deployment: Deployment) => number;
};

export type SizeWorld = {
  readonly lanes: Lanes;
  /** True: the time is up. */
  readonly late: () => boolean;
  /** True: somebody wants what there is; the lanes are closed. */
  readonly stopped: () => boolean;
  /** `done` trials of, at a guess, `all`. */
  readonly tried: (trial: Trial, done: number, all: number) => void;
};

export type Sizing = {
  readonly question: SizeQuestion;
  /** What the plan holds: `share`, or that share of the requests within reach. */
  readonly goal: number;
  /** Undefined: none was found. */
  readonly plan: Trial | undefined;
  /** With the most workers, where `share` is not held; undefined: it is, or nobody looked. */
  readonly most: Trial | undefined;
  /** Cheaper plans that differ in one thing, and do not hold. */
  readonly neighbours: readonly Trial[];
  /** False: the time was up, or it was stopped. */
  readonly complete: boolean;
  readonly stopped: boolean;
  readonly trials: number;
};

export async function sized(question: SizeQuestion, world: SizeWorld): Promise<Sizing> {
  const run = new Sizer(question, world);
  return await run.size();
}

const TO_THE_END = 1;

class Sizer {
  readonly #question: SizeQuestion;
  readonly #world: SizeWorld;
  /** By plan and by when the trial is stopped. */
  readonly #trials = new Map<string, Promise<Trial | undefined>>();
  readonly #done: Trial[] = [];
  #asked = 0;
  /** Trials that are not asked for yet, at a guess. */
  #later: number;

  constructor(question: SizeQuestion, world: SizeWorld) {
    this.#question = question;
    this.#world = world;
    this.#later = question.space.routers.length + question.space.tiers.length;
  }

  async size(): Promise<Sizing> {
    const question = this.#question;
    const { share, out_of_reach, space } = question;
    const goal = withinReach(share, out_of_reach);
    // With nothing within reach, every plan would do.
    const search_space = out_of_reach < 1 ? space : { ...space, workers_most: 0 };
    const { plan, complete } = await search(search_space, {
      attempt: (deployment) => this.#attempt(deployment, goal),
      holds: (trial) => (trial.share ?? 0) >= goal,
      cost: question.cost,
      lanes: this.#world.lanes.count,
    });
    const short = plan === undefined || goal < share;
    const { base, workers_most } = space;
    const most_workers = { ...base, prefill: 0, workers: workers_most };
    const [most] = short ? await this.#inFull([most_workers]) : [];
    const cheaper = plan === undefined ? [] : this.#neighboursOf(plan.deployment);
    this.#later = 0;
    const neighbours = await this.#inFull(cheaper);
    return {
      ...{ question, goal, plan, most, neighbours },
      ...{ complete: complete && !this.#isOver(), stopped: this.#world.stopped() },
      trials: this.#done.length,
    };
  }

  #isOver(): boolean {
    return this.#world.late() || this.#world.stopped();
  }

  /** Undefined: the time is up. */
  async #attempt(deployment: Deployment, goal: number): Promise<Trial | undefined> {
    return this.#isOver() ? undefined : await this.#trial(deployment, 1 - goal);
  }

  /** Those that there is time for. */
  async #inFull(deployments: readonly Deployment[]): Promise<readonly Trial[]> {
    const trials = await Promise.all(
      deployments.map((each) => (this.#isOver() ? undefined : this.#trial(each, TO_THE_END))),
    );
    return trials.filter((trial) => trial !== undefined);
  }

  /** Undefined: it was broken off. */
  async #trial(deployment: Deployment, outside_most: number): Promise<Trial | undefined> {
    const key = keyOf(deployment);
    const known = await (this.#trials.get(key) ?? this.#trials.get(`${key} ${outside_most}`));
    if (known?.share !== undefined || (known !== undefined && outside_most < TO_THE_END)) {
      return known;
    }
    const asked = this.#ask({ deployment, sla: this.#question.sla, outside_most });
    this.#trials.set(outside_most < TO_THE_END ? `${key} ${outside_most}` : key, asked);
    return await asked;
  }

  async #ask(question: Question): Promise<Trial | undefined> {
    this.#asked++;
    const trial = await this.#world.lanes.run(question);
    if (trial === undefined) return undefined;
    this.#done.push(trial);
    this.#world.tried(trial, this.#done.length, this.#asked + this.#later);
    return trial;
  }

  /** Plans with one worker less: the same, with one thing changed, or split otherwise. */
  #neighboursOf(plan: Deployment): Deployment[] {
    const fewer = plan.workers - 1;
    if (fewer < 1) return [];
    const { routers, tiers } = this.#question.space;
    const same = { ...plan, workers: fewer, prefill: 0 };
    const splits = this.#done.filter(
      ({ deployment }) => deployment.workers === fewer && deployment.prefill > 0,
    );
    const [split] = splits.toSorted((a, b) => scoreOf(b) - scoreOf(a));
    const all = [
      same,
      ...(split === undefined ? [] : [split.deployment]),
      ...routers.map((router) => ({ ...same, ...router })),
      ...tiers.map((tier) => ({ ...same, ...tier })),
    ];
    return [...new Map(all.map((each) => [keyOf(each), each])).values()];
  }
}
