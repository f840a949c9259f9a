/**
 * The configurations of a process's planners, of which the least numbers of workers and the budgets
 * may change while they run. A change stands in the store, so whoever decides later has it too.
 */
import { z } from "zod";
import type { Log, Store } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { LivePlans } from "./outside/min-endpoints.ts";
import type { PlannerConfig } from "./pipeline/config.ts";
import { plannerConfigOf } from "./pipeline/read-config.ts";

const keyOf = (model: string) => `planner-least/${encodeURIComponent(model)}`;

const changeable = z
  .object({
    min_endpoint: z.int(),
    prefill_min_endpoint: z.int(),
    decode_min_endpoint: z.int(),
    min_gpu_budget: z.int(),
    max_gpu_budget: z.int(),
  })
  .partial();
type Changed = z.infer<typeof changeable>;

/** What is not as it was started with: the rest follows the flags of a later start. */
function changedFrom(base: PlannerConfig, now: PlannerConfig): Changed {
  const fields = Object.entries(changeable.parse(now));
  return Object.fromEntries(
    fields.filter(([field, value]) => base[field as keyof Changed] !== value),
  );
}

type Live = {
  readonly base: PlannerConfig;
  now: PlannerConfig;
  /** Under which epoch of its planner `now` was read; before, another one may have changed it. */
  read?: number | undefined;
};

export class LiveConfigs implements LivePlans {
  readonly #store: Store;
  readonly #log: Log;
  readonly #epochOf: (model: string) => number | undefined;
  readonly #live = new Map<string, Live>();

  /** @param epochOf under which this process decides about the model now; undefined: it does not */
  constructor(store: Store, log: Log, epochOf: (model: string) => number | undefined) {
    this.#store = store;
    this.#log = log;
    this.#epochOf = epochOf;
  }

  add(model: string, base: PlannerConfig): void {
    if (!this.#live.has(model)) this.#live.set(model, { base, now: base });
  }

  models(): readonly string[] {
    return [...this.#live.keys()].filter((model) => this.#decides(model)).sort();
  }

  /** And knows what was changed by whoever decided before. */
  #decides(model: string): boolean {
    const epoch = this.#epochOf(model);
    return epoch !== undefined && this.#live.get(model)?.read === epoch;
  }

  config(model: string): PlannerConfig | undefined {
    return this.#decides(model) ? this.now(model) : undefined;
  }

  now(model: string): PlannerConfig | undefined {
    return this.#live.get(model)?.now;
  }

  async change(model: string, config: PlannerConfig): Promise<void> {
    const live = this.#live.get(model);
    if (live === undefined) throw new Error(`no planner decides about ${model} here`);
    const text = JSON.stringify(changedFrom(live.base, config));
    await this.#store.put(keyOf(model), new TextEncoder().encode(text));
    live.now = config;
  }

  /** What was changed by whoever decided before. Rejects when the store cannot be used. */
  async load(model: string): Promise<void> {
    const live = this.#live.get(model);
    const epoch = this.#epochOf(model);
    const bytes = await this.#store.get(keyOf(model));
    if (live === undefined) return;
    live.read = epoch;
    if (bytes === undefined) return;
    try {
      const changed = changeable.parse(JSON.parse(new TextDecoder().decode(bytes)));
      live.now = plannerConfigOf({ ...live.base, ...changed }).config;
      if (Object.keys(changed).length > 0) {
        this.#log.log("info", "planner: least numbers that were set over HTTP hold", {
          ...{ model, ...changed },
        });
      }
    } catch (error) {
      // Another mode or other limits since then: what was started with holds.
      this.#log.log("warn", "planner: least numbers that were set before do not hold any more", {
        ...{ model, why: errorText(error) },
      });
    }
  }
}
