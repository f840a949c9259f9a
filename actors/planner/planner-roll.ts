/**
 * Sees to it that each model that is served has its planner in this process. A model is known by a
 * worker's record or by a pool that could start one; it is planned for as long as the process lives.
 */
import type { Pool, PoolMessage, WorkerRecord } from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ChildSpec } from "../../runtime/supervision/child-spec.ts";
import type { SupervisorMessage } from "../../runtime/supervision/supervisor.ts";

export type PlannerRollOptions = {
  readonly pools: () => readonly Ref<PoolMessage>[];
  readonly workers: () => readonly WorkerRecord[];
  /** Named in the configuration: planned though no worker of it is known here. */
  readonly named: readonly FoundModel[];
  /** The supervisor of the planners; undefined while it restarts. */
  readonly planners: () => Ref<SupervisorMessage> | undefined;
  /** The planner of a model, which is restarted as long as the supervisor lives. */
  readonly planner: (found: FoundModel) => ChildSpec;
};

export type FoundModel = {
  readonly model: string;
  /** Some of its workers compute prompts for others. */
  readonly pairs: boolean;
};

export type PlannerRollMessage =
  | { readonly kind: "look" }
  | { readonly kind: "found"; readonly models: readonly FoundModel[] };

const LOOK_MS = 2_000;
const ANSWER_MS = 1_500;
const START_MS = 5_000;

export class PlannerRoll extends Actor<PlannerRollMessage> {
  readonly #options: PlannerRollOptions;
  #supervisor: Ref<SupervisorMessage> | undefined;
  readonly #planned = new Set<string>();

  constructor(options: PlannerRollOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    this.ctx.every(LOOK_MS, { kind: "look" });
    this.ctx.self.tell({ kind: "look" });
  }

  override receive(message: PlannerRollMessage): void {
    if (message.kind === "look") this.#look();
    else for (const model of message.models) this.#plan(model);
  }

  override inspect(): Snapshot {
    return { models: [...this.#planned] };
  }

  #look(): void {
    const { system, self } = this.ctx;
    const served = this.#options.workers().flatMap(({ card, role }) => {
      return card === undefined ? [] : [{ model: card.name, role }];
    });
    const asked = this.#options.pools().map(async (ref): Promise<Pool> => {
      return await system.ask(ref, { kind: "get_pool" }, { deadline_ms: ANSWER_MS });
    });
    void Promise.allSettled(asked).then((pools) => {
      const said = pools.flatMap((pool) => (pool.status === "fulfilled" ? [pool.value] : []));
      const workers = [...served, ...said.flatMap((pool) => pool.workers)];
      const names = [...workers.map(({ model }) => model), ...said.flatMap((pool) => pool.models)];
      const models = [...new Set(names)].map((model) => {
        const own = workers.filter((each) => each.model === model);
        // An idle model may have no worker that says it.
        const starts = said.some(({ pairs, models: can }) => pairs && can.includes(model));
        return { model, pairs: starts || own.some(({ role }) => role !== "aggregated") };
      });
      self.tell({ kind: "found", models: [...models, ...this.#options.named] });
    });
  }

  #plan(found: FoundModel): void {
    const supervisor = this.#options.planners();
    if (supervisor === undefined) return;
    if (supervisor !== this.#supervisor) this.#planned.clear();
    this.#supervisor = supervisor;
    const { model } = found;
    if (this.#planned.has(model)) return;
    this.#planned.add(model);
    const { system, log } = this.ctx;
    const spec = this.#specOf(found);
    if (spec === undefined) return;
    const message = { kind: "start_child", spec } as const;
    system.ask(supervisor, message, { deadline_ms: START_MS }).catch((error: unknown) => {
      this.#planned.delete(model);
      log.log("warn", "a planner did not start", { model, error: errorText(error) });
    });
  }

  /** Undefined: its configuration does not fit its kind of workers, and another look ends alike. */
  #specOf(found: FoundModel): ChildSpec | undefined {
    try {
      return this.#options.planner(found);
    } catch (error) {
      const { model } = found;
      this.ctx.log.log("error", "a planner cannot start", { model, error: errorText(error) });
      return undefined;
    }
  }
}

/** Part of a path; a model's name may have slashes. */
export const plannerIdOf = (model: string): string => encodeURIComponent(model);
