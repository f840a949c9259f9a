/**
 * How long requests waited at their worker before they got into the engine. Only those that had to
 * wait are noted; a request is known by its message, which stays one object until it is admitted.
 */
import type { CachedFrom, Generate } from "../../../proto/index.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";

/** On the clock's scale. */
export type Arrival = {
  readonly arrived_ms: number;
  /** It waited so long for blocks from elsewhere. */
  readonly transfer_ms: number;
  /** The span that its answer lies below; undefined: there is none. */
  readonly trace: TraceContext | undefined;
};

/** With what an answer begins. */
export type Opening = {
  readonly arrival: Arrival;
  /** Of the tokens delivered in each choice, so many at the end are not with the reader. */
  readonly unsent: number;
  readonly cached_from?: CachedFrom;
};

type Held = Omit<Arrival, "transfer_ms"> & { transfer_from_ms: number; transfer_ms: number };

/** What is known while a message is handled. */
type Now = { readonly now_ms: () => number; readonly trace: () => TraceContext | undefined };

export class Arrivals {
  /** Weak, as some are cancelled while they wait. */
  readonly #held = new WeakMap<Generate, Held>();
  readonly #now: Now;

  constructor(now: Now) {
    this.#now = now;
  }

  /** It waits for something. */
  held(generate: Generate): void {
    this.#heldSince(generate);
  }

  /** It waits for blocks. */
  waitsForBlocks(generate: Generate): void {
    this.#heldSince(generate).transfer_from_ms = this.#now.now_ms();
  }

  /** Its blocks are here, or will not be. */
  blocksCame(generate: Generate): void {
    const held = this.#held.get(generate);
    if (held === undefined || held.transfer_from_ms === 0) return;
    held.transfer_ms += this.#now.now_ms() - held.transfer_from_ms;
    held.transfer_from_ms = 0;
  }

  of(generate: Generate): Arrival {
    const held = this.#held.get(generate);
    if (held !== undefined) return held;
    return { arrived_ms: this.#now.now_ms(), transfer_ms: 0, trace: this.#now.trace() };
  }

  #heldSince(generate: Generate): Held {
    let held = this.#held.get(generate);
    if (held === undefined) {
      held = { ...this.of(generate), transfer_from_ms: 0 };
      this.#held.set(generate, held);
    }
    return held;
  }
}
