/**
 * What a planner of one model sees of the cluster: it asks the inspectors of all processes for what
 * they have counted, and all pools for their workers, one question each with a bound.
 */
import type {
  GetLoad,
  InspectMessage,
  LoadFigures,
  Pool,
  PoolMessage,
  WorkerRecord,
} from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import type { Sample } from "../../inspector/inspector.ts";
import type { PlanSnapshot } from "../pipeline/snapshot.ts";
import { intervalsOf } from "./intervals.ts";
import { type Sla, trafficOf } from "./traffic.ts";
import { limitsOf, workerViews } from "./worker-views.ts";

/** Where the parts of a cluster are now. */
export type Around = {
  /** Inspectors of all processes. */
  readonly processes: () => readonly Ref<InspectMessage>[];
  readonly pools: () => readonly Ref<PoolMessage>[];
  readonly workers: () => readonly WorkerRecord[];
};

/** A process that does not answer within this is left out, and counted at its next answer. */
const ANSWER_MS = 2_000;
/** Of processes that are gone the last answers are kept for a while, but not without end. */
const NODES_MAX = 1_024;

type Look = { readonly sample: Sample; readonly at_ms: number };

export class ClusterObserver {
  readonly #system: ActorSystem;
  readonly #around: Around;
  readonly #model: string;
  readonly #sla: Sla;
  #before: Look | undefined;

  constructor(system: ActorSystem, around: Around, model: string, sla: Sla) {
    this.#system = system;
    this.#around = around;
    this.#model = model;
    this.#sla = sla;
  }

  /** From here on counts anew: what came before the first look is not of its interval. */
  forget(): void {
    this.#before = undefined;
  }

  /** Undefined: the first look; or no pool answered, which is not a cluster without workers. */
  async look(): Promise<PlanSnapshot | undefined> {
    const { clock } = this.#system.capabilities;
    const [sample, pools] = await Promise.all([this.#figures(), this.#pools()]);
    const now: Look = { sample, at_ms: clock.now_ms() };
    const before = this.#before;
    this.#before = before === undefined ? now : { ...now, sample: merged(before.sample, sample) };
    if (before === undefined || pools === undefined) return undefined;
    const interval_ms = now.at_ms - before.at_ms;
    const intervals = intervalsOf(before.sample, sample, interval_ms);
    const registered = this.#around.workers();
    const at_ms = clock.wall_ms();
    const cards = registered.flatMap(({ card }) => (card?.name === this.#model ? [card] : []));
    return {
      ...{ model: this.#model, at_ms, interval_ms },
      traffic: trafficOf(this.#model, intervals, this.#sla),
      workers: workerViews(this.#model, pools, registered, intervals, at_ms),
      limits: limitsOf(cards),
    };
  }

  async #figures(): Promise<Sample> {
    const { clock } = this.#system.capabilities;
    const sample = new Map<string, { readonly at_ms: number; readonly said: LoadFigures }>();
    const ask: GetLoad = { kind: "get_load" };
    await Promise.allSettled(
      this.#around.processes().map(async (ref) => {
        const said = await this.#system.ask(ref, ask, { deadline_ms: ANSWER_MS });
        sample.set(said.node, { at_ms: clock.now_ms(), said });
      }),
    );
    return sample;
  }

  /** Undefined: one of them does not answer, so nobody knows how many workers there are. */
  async #pools(): Promise<readonly Pool[] | undefined> {
    const refs = this.#around.pools();
    if (refs.length === 0) return undefined;
    try {
      return await Promise.all(
        refs.map((ref) => {
          return this.#system.ask(ref, { kind: "get_pool" }, { deadline_ms: ANSWER_MS });
        }),
      );
    } catch {
      return undefined;
    }
  }
}

/** A process that did not answer this time is measured from its last answer. */
function merged(before: Sample, now: Sample): Sample {
  const kept = [...before].filter(([node]) => !now.has(node)).slice(-NODES_MAX);
  return new Map([...kept, ...now]);
}
