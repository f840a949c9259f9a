/** Busy thresholds of each model: what was set while the router runs, else what the flags say. */
import type { BusyIs, ModelBusy } from "../../../proto/index.ts";
import type { BusyThresholds } from "./filters.ts";

const NONE: BusyThresholds = {};

export class BusyBook {
  readonly #flags: () => BusyThresholds;
  readonly #set = new Map<string, ModelBusy>();
  /** By model, made when something is set: they are asked for at each decision. */
  readonly #whole = new Map<string, BusyThresholds>();

  constructor(flags: () => BusyThresholds = () => NONE) {
    this.#flags = flags;
  }

  of(model: string): BusyThresholds {
    return this.#whole.get(model) ?? this.#flags();
  }

  /** Changes what it names, and returns all that is set for the model now. */
  change(change: ModelBusy, wall_ms: number): ModelBusy {
    const before = this.#set.get(change.model);
    // A clock that was set back must not make the change older than the one before it.
    const set_ms = Math.max(wall_ms, (before?.set_ms ?? 0) + 1);
    const busy = { ...before, ...change, set_ms };
    this.take(busy);
    return busy;
  }

  /** What another router was told. */
  take(busy: ModelBusy): void {
    const before = this.#set.get(busy.model);
    if (before !== undefined && before.set_ms >= busy.set_ms) return;
    this.#set.set(busy.model, busy);
    const flags = this.#flags();
    this.#whole.set(busy.model, {
      active_decode_blocks: busy.decode_blocks ?? flags.active_decode_blocks,
      active_prefill_tokens: busy.prefill_tokens ?? flags.active_prefill_tokens,
      active_prefill_frac: busy.prefill_frac ?? flags.active_prefill_frac,
    });
  }

  set(): readonly ModelBusy[] {
    return [...this.#set.values()];
  }

  /** Those of the flags, then what is set. */
  answer(): BusyIs {
    const { active_decode_blocks, active_prefill_tokens } = this.#flags();
    const flags = {
      model: "",
      ...(active_decode_blocks === undefined ? {} : { decode_blocks: active_decode_blocks }),
      ...(active_prefill_tokens === undefined ? {} : { prefill_tokens: active_prefill_tokens }),
      set_ms: 0,
    };
    return { kind: "busy_is", supported: true, busy: [flags, ...this.set()] };
  }
}
