/** The models that one key may use, as if there were no others. */
import type { WorkerRole } from "../../../proto/index.ts";
import type { ModelState } from "../models/models.ts";
import type { ServedModel } from "../models/served-model.ts";

/** What may be asked about models; all of them are a ModelDirectory. */
export interface ServedModels {
  /** Undefined unless it is ready. */
  get(name: string): ServedModel | undefined;
  state(name: string): ModelState;
  whyBroken(name: string): string;
  /** Ready ones, by name. */
  ready(): readonly ServedModel[];
  /** LoRA adapters of ready ones, as models. */
  adapters(): readonly ServedModel[];
  /** Live workers that make answers of a model. */
  workers(name: string): number;
  /** The same and those that compute prompts for them, by role. */
  roles(name: string): Readonly<Record<WorkerRole, number>>;
  /** Set where there may be models that are not shown. */
  readonly restricted?: boolean;
}

export class AllowedModels implements ServedModels {
  readonly restricted = true;
  readonly all: ServedModels;
  readonly #allowed: readonly RegExp[];

  /** `names`: `*` stands for any part of a name. */
  constructor(all: ServedModels, names: readonly string[]) {
    this.all = all;
    this.#allowed = names.map(patternOf);
  }

  get(name: string): ServedModel | undefined {
    return this.#may(name) ? this.all.get(name) : undefined;
  }

  state(name: string): ModelState {
    return this.#may(name) ? this.all.state(name) : "unknown";
  }

  whyBroken(name: string): string {
    return this.#may(name) ? this.all.whyBroken(name) : "";
  }

  ready(): readonly ServedModel[] {
    return this.all.ready().filter(({ name }) => this.#may(name));
  }

  adapters(): readonly ServedModel[] {
    return this.all.adapters().filter(({ name }) => this.#may(name));
  }

  workers(name: string): number {
    return this.#may(name) ? this.all.workers(name) : 0;
  }

  roles(name: string): Readonly<Record<WorkerRole, number>> {
    return this.#may(name) ? this.all.roles(name) : { aggregated: 0, prefill: 0, decode: 0 };
  }

  #may(name: string): boolean {
    return this.#allowed.some((pattern) => pattern.test(name));
  }
}

function patternOf(name: string): RegExp {
  const parts = name.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
