/** Takes plans while its process runs, and counts the faults injected so far. */
import type { FaultMessage, FaultsSet } from "../../proto/index.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { FaultInjector } from "./injector.ts";
import { FaultPlanError, readPlan } from "./plan.ts";

export class FaultActor extends Actor<FaultMessage> {
  readonly #injector: FaultInjector;

  constructor(injector: FaultInjector) {
    super();
    this.#injector = injector;
  }

  override receive(message: FaultMessage): void {
    try {
      this.#injector.set(readPlan(message.plan));
    } catch (error) {
      if (!(error instanceof FaultPlanError)) throw error;
      this.ctx.refuse(error.message);
      return;
    }
    const done = [...this.#injector.done].map(([what, times]) => ({ what, times }));
    this.ctx.reply({ kind: "faults_set", node: this.ctx.system.node, done } satisfies FaultsSet);
  }

  override inspect(): Snapshot {
    const { seed, rules } = this.#injector.plan;
    return {
      seed,
      rules: rules.map((rule) => ({ ...rule })),
      done: Object.fromEntries(this.#injector.done),
    };
  }
}
