/** Waits for a change of the keys: told where the place tells, and looked for from time to time. */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { PlanKeys } from "./virtual-keys.ts";

export class Notices {
  readonly #clock: Clock;
  readonly #end: () => void;
  /** A notice came since the last wait began. */
  #told = false;
  #wake: (() => void) | undefined = undefined;

  /** Begun before the first look, so that no change falls between look and wait. */
  constructor(keys: PlanKeys, clock: Clock) {
    this.#clock = clock;
    this.#end = keys.watch(() => {
      this.#told = true;
      this.#wake?.();
    });
  }

  /** Resolves at a notice or after the time; one wait at a time. */
  async next(most_ms: number): Promise<void> {
    if (!this.#told) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(most_ms, resolve);
        this.#wake = () => {
          this.#clock.cancel(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#told = false;
  }

  end(): void {
    this.#end();
    this.#told = true;
    this.#wake?.();
  }
}
