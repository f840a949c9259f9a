/** Rate limit (token bucket): `at_once` times at once, and one more every `each_ms`. */
import type { Clock } from "./capabilities.ts";

export type AllowanceOptions = { readonly at_once: number; readonly each_ms: number };

export class Allowance {
  readonly #clock: Clock;
  readonly #options: AllowanceOptions;
  #left: number;
  #counted_ms: number;

  constructor(clock: Clock, options: AllowanceOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#left = options.at_once;
    this.#counted_ms = clock.now_ms();
  }

  /** False: not now. */
  take(): boolean {
    this.#count();
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Undoes one `take`: what was done is not of the kind that is limited. */
  giveBack(): void {
    this.#left = Math.min(this.#options.at_once, this.#left + 1);
  }

  #count(): void {
    const { at_once, each_ms } = this.#options;
    const now_ms = this.#clock.now_ms();
    this.#left = Math.min(at_once, this.#left + (now_ms - this.#counted_ms) / each_ms);
    this.#counted_ms = now_ms;
  }
}

/**
 * Calls `make` no oftener than allowed. A caller beyond that gets the last result; a caller that
 * comes while a call is under way gets its result.
 */
export function sparingly<T>(
  clock: Clock,
  options: AllowanceOptions,
  make: () => Promise<T>,
): () => Promise<T> {
  const allowance = new Allowance(clock, options);
  let last: Promise<T> | undefined;
  let making = false;
  return () => {
    if (last !== undefined && making) return last;
    if (!allowance.take() && last !== undefined) return last;
    making = true;
    const made = make();
    last = made;
    const over = (kept: Promise<T> | undefined) => () => {
      making = false;
      if (last === made) last = kept;
    };
    made.then(over(made), over(undefined));
    return made;
  };
}
