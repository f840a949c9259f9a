/**
 * What a planner sees of workers that are not this cluster's: how many there are, as its connector
 * says, and the traffic, as Prometheus knows it. The workers' own figures are unknown here, so the
 * loop that needs them says so and the one by traffic plans.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { Connector } from "../connect/connector.ts";
import type { PlanSnapshot, Traffic, WorkerLimits, WorkerView } from "../pipeline/snapshot.ts";

export type OutsideObserverOptions = {
  readonly model: string;
  readonly clock: Clock;
  readonly connector: Pick<Connector, "view">;
  readonly traffic: (interval_ms: number) => Promise<Traffic | undefined>;
};

/** Some scrapes, as Prometheus knows nothing of an interval that holds less than two. */
const WINDOW_MS = 60_000;

const unknown_limits: WorkerLimits = {
  ...{ context_length: 0, max_batch_tokens: 0, max_kv_tokens: 0, max_seqs: 0, block_size: 0 },
};
const unknown_figures = {
  ...{ reports: false, running: 0, waiting: 0, queued_prefill_tokens: 0, kv_used_tokens: 0 },
  ...{ kv_total_tokens: 0, passes: undefined, cached_tokens: 0 },
} as const;

type Since = Pick<WorkerView, "state" | "since_ms">;

export class OutsideObserver {
  readonly #options: OutsideObserverOptions;
  /** When each worker came into its state, as far as it was seen. */
  #since = new Map<string, Since>();
  #before_ms: number | undefined = undefined;

  constructor(options: OutsideObserverOptions) {
    this.#options = options;
  }

  /** What came before the next look is not of its interval. */
  forget(): void {
    this.#before_ms = undefined;
  }

  /** Undefined: the first look; or nobody says how many workers there are. */
  async look(): Promise<PlanSnapshot | undefined> {
    const { model, clock, connector, traffic } = this.#options;
    const now_ms = clock.now_ms();
    const interval_ms = now_ms - (this.#before_ms ?? now_ms);
    this.#before_ms = now_ms;
    const window_ms = Math.max(WINDOW_MS, interval_ms);
    const [seen, pool] = await Promise.all([traffic(window_ms), connector.view(model)]);
    if (interval_ms <= 0 || pool === undefined) return undefined;
    const at_ms = clock.wall_ms();
    const since = new Map<string, Since>();
    const workers = pool.workers.map((each): WorkerView => {
      const { worker, state } = each;
      const known = this.#since.get(worker);
      const since_ms = known?.state === state ? known.since_ms : at_ms;
      since.set(worker, { state, since_ms });
      return { ...each, since_ms, ...unknown_figures };
    });
    this.#since = since;
    return {
      ...{ model, at_ms, interval_ms, workers, limits: unknown_limits },
      traffic: seen && ofInterval(seen, interval_ms / window_ms),
    };
  }
}

/** Counts of the window as they are in an interval of it; means and tails stay. */
function ofInterval(traffic: Traffic, share: number): Traffic {
  const { started, ended, failed } = traffic;
  return {
    ...traffic,
    ...{ started: started * share, ended: ended * share, failed: failed * share },
  };
}
