/** Hears somebody who may say more than there is time for. */
import type { Clock, Timer } from "../../../../runtime/capabilities.ts";

export type Pace = {
  /** Taken at once, one after the other. */
  readonly at_once: number;
  /** And then one in this time: the last that was said. */
  readonly every_ms: number;
};

/** What is passed over by something newer is not looked at. */
export class Paced<T> {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #take: (said: T) => void;
  #left: number;
  #last: { readonly said: T } | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, pace: Pace, take: (said: T) => void) {
    this.#clock = clock;
    this.#pace = pace;
    this.#take = take;
    this.#left = pace.at_once;
  }

  hear(said: T): void {
    this.#last = { said };
    this.#next();
  }

  /** Nothing is taken any more. */
  end(): void {
    this.#last = undefined;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #next(): void {
    if (this.#left === 0 || this.#last === undefined) return;
    const { said } = this.#last;
    this.#last = undefined;
    this.#left--;
    this.#timer ??= this.#clock.after(this.#pace.every_ms, this.#again);
    this.#take(said);
  }

  readonly #again = (): void => {
    this.#timer = undefined;
    this.#left++;
    this.#next();
    if (this.#left === this.#pace.at_once) return;
    this.#timer ??= this.#clock.after(this.#pace.every_ms, this.#again);
  };
}
