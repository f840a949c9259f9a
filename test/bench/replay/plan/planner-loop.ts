/**
 * A planner beside a replay: once an interval it sees what it would see of a cluster, decides, and
 * its decision is carried out, all in virtual time.
 */
import type { PlanAction } from "../../../../actors/planner/pipeline/decision.ts";
import type {
  PlanRole,
  PlanSnapshot,
  WorkerLimits,
  WorkerView,
} from "../../../../actors/planner/pipeline/snapshot.ts";
import type { GoodputLimits } from "../../goodput.ts";
import type { SimulatedWorker } from "../simulated-worker.ts";
import type { Fleet, RoleCount, WorkerLife } from "./fleet.ts";
import { workerName } from "./fleet.ts";
import { IntervalTraffic } from "./interval-traffic.ts";
import { type ActOutcome, type PoolWorld, type StartRules, VirtualPool } from "./virtual-pool.ts";

export type PlanRules = StartRules & {
  readonly interval_ms: number;
  readonly sla: GoodputLimits;
  readonly decide: (snapshot: PlanSnapshot) => readonly PlanAction[];
  /** An action that it decided has ended. */
  readonly ended?: (action: PlanAction, outcome: ActOutcome, at_ms: number) => void;
};

/** Workers at one moment; a role without workers is left out. */
export type ReplicaPoint = { readonly at_ms: number } & Readonly<
  Partial<Record<PlanRole, RoleCount>>
>;

export type LoopWorld = PoolWorld & {
  /** Undefined: it does not serve yet. */
  readonly engine: (number: number) => SimulatedWorker | undefined;
  readonly limits: WorkerLimits;
};

/** Requests that nobody works on wait that long for a planner to do something. */
const PATIENCE_MS = 3_600_000;

export class PlannerLoop {
  readonly traffic: IntervalTraffic;
  readonly pool: VirtualPool;
  readonly replicas: ReplicaPoint[] = [];
  readonly #rules: PlanRules;
  readonly #world: LoopWorld;
  readonly #fleet: Fleet;
  /** Of each worker that serves, the cached tokens that a snapshot has told already. */
  readonly #told_cached = new Map<number, number>();

  constructor(fleet: Fleet, rules: PlanRules, world: LoopWorld) {
    this.#fleet = fleet;
    this.#rules = rules;
    this.#world = world;
    this.traffic = new IntervalTraffic(rules.sla);
    this.pool = new VirtualPool(fleet, rules, world);
  }

  start(at_ms: number): void {
    this.#world.at(at_ms, () => {
      this.#notePoint();
      this.#later();
    });
  }

  #later(): void {
    this.#world.at(this.#world.now_ms() + this.#rules.interval_ms, () => this.#tick());
  }

  #tick(): void {
    const snapshot = this.#look();
    for (const action of this.#rules.decide(snapshot)) {
      this.pool.act(action, (outcome) => {
        this.#rules.ended?.(action, outcome, this.#world.now_ms());
      });
    }
    this.#notePoint();
    const waits_ms = snapshot.traffic?.oldest_queued_ms ?? 0;
    const idle = snapshot.workers.every(({ running, waiting }) => running + waiting === 0);
    if (waits_ms < PATIENCE_MS || !idle) this.#later();
  }

  #notePoint(): void {
    this.replicas.push({ at_ms: this.#world.now_ms(), ...this.#fleet.counts() });
  }

  #look(): PlanSnapshot {
    const at_ms = this.#world.now_ms();
    const { interval_ms } = this.#rules;
    return {
      ...{ model: "replay", at_ms, interval_ms },
      traffic: this.traffic.take(at_ms),
      workers: this.#fleet.present().map((life) => this.#viewOf(life, at_ms)),
      limits: this.#world.limits,
    };
  }

  #viewOf(life: WorkerLife, at_ms: number): WorkerView {
    const { number, role, since_ms } = life;
    const state = life.state === "gone" ? "retiring" : life.state;
    const name = workerName(number);
    const identity = { worker: name, machine: "replay", role, state, since_ms };
    const engine = this.#world.engine(number);
    if (engine === undefined) return { ...identity, ...silent };
    const { scheduler, onboarding, timing } = engine;
    const block_size = this.#world.limits.block_size;
    const cached = scheduler.totals.cached;
    const cached_tokens = cached - (this.#told_cached.get(number) ?? 0);
    this.#told_cached.set(number, cached);
    const served_ms = state === "serving" ? at_ms - since_ms : this.#rules.interval_ms;
    return {
      ...identity,
      reports: true,
      running: scheduler.running_count,
      waiting: scheduler.waiting_count + onboarding,
      queued_prefill_tokens: scheduler.uncomputedTokens(),
      kv_used_tokens: scheduler.pool.used * block_size,
      kv_total_tokens: scheduler.pool.capacity * block_size,
      passes: timing.takeForPlanner(
        Math.min(served_ms, this.#rules.interval_ms),
        scheduler.guesses.accepted,
      ),
      cached_tokens,
    };
  }
}

/** Of a worker that is not there yet. */
const silent = {
  reports: false,
  running: 0,
  waiting: 0,
  queued_prefill_tokens: 0,
  kv_used_tokens: 0,
  kv_total_tokens: 0,
  passes: undefined,
  cached_tokens: 0,
} as const;
