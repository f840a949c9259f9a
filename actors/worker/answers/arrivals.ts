/**
 * How long requests waited at their worker before they got into the engine. Only those that had to
 * wait are noted; a request is known by its message, which stays one object until it is admitted.
 */
import type { Generate } from "../../../proto/index.ts";

/** On the clock's scale. */
export type Arrival = {
  readonly arrived_ms: number;
  /** It waited so long for blocks from elsewhere. */
  readonly transfer_ms: number;
};

type Held = { readonly arrived_ms: number; transfer_from_ms: number; transfer_ms: number };

export class Arrivals {
  /** Weak, as some are cancelled while they wait. */
  readonly #held = new WeakMap<Generate, Held>();
  readonly #now_ms: () => number;

  constructor(now_ms: () => number) {
    this.#now_ms = now_ms;
  }

  /** It waits for something. */
  held(generate: Generate): void {
    this.#heldSince(generate);
  }

  /** It waits for blocks. */
  waitsForBlocks(generate: Generate): void {
    this.#heldSince(generate).transfer_from_ms = this.#now_ms();
  }

  /** Its blocks are here, or will not be. */
  blocksCame(generate: Generate): void {
    const held = this.#held.get(generate);
    if (held === undefined || held.transfer_from_ms === 0) return;
    held.transfer_ms += this.#now_ms() - held.transfer_from_ms;
    held.transfer_from_ms = 0;
  }

  of(generate: Generate): Arrival {
    return this.#held.get(generate) ?? { arrived_ms: this.#now_ms(), transfer_ms: 0 };
  }

  #heldSince(generate: Generate): Held {
    let held = this.#held.get(generate);
    if (held === undefined) {
      held = { arrived_ms: this.#now_ms(), transfer_from_ms: 0, transfer_ms: 0 };
      this.#held.set(generate, held);
    }
    return held;
  }
}
