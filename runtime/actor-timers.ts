/** The timers of one actor, which die with it. Made when the actor sets its first one. */

import type { Clock, Timer } from "./capabilities.ts";

class ActorTimer implements Timer {
  readonly id: number;
  handle: Timer | undefined = undefined;

  constructor(id: number) {
    this.id = id;
  }
}

export class ActorTimers {
  readonly #clock: Clock;
  readonly #live = new Map<number, ActorTimer>();
  #next_id = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(delay_ms: number, run: () => void): Timer {
    const timer = this.#add();
    timer.handle = this.#clock.after(delay_ms, () => {
      this.#live.delete(timer.id);
      run();
    });
    return timer;
  }

  /** The n-th run is n periods after the start: lateness of one does not shift the rest. */
  every(period_ms: number, run: () => void): Timer {
    if (!(period_ms > 0)) throw new RangeError(`a period is more than 0 ms, not ${period_ms}`);
    const timer = this.#add();
    let due_ms = this.#clock.now_ms();
    const arm = (): void => {
      const now_ms = this.#clock.now_ms();
      // Periods that passed while the process was held up are left out, not made up for.
      due_ms += period_ms * Math.max(1, Math.ceil((now_ms - due_ms) / period_ms));
      timer.handle = this.#clock.after(due_ms - now_ms, () => {
        arm();
        run();
      });
    };
    arm();
    return timer;
  }

  cancel(timer: Timer): void {
    const live = this.#live.get(timer.id);
    if (live === undefined || live !== timer) return;
    this.#live.delete(timer.id);
    if (live.handle !== undefined) this.#clock.cancel(live.handle);
  }

  cancelAll(): void {
    for (const timer of this.#live.values()) {
      if (timer.handle !== undefined) this.#clock.cancel(timer.handle);
    }
    this.#live.clear();
  }

  #add(): ActorTimer {
    const timer = new ActorTimer(this.#next_id++);
    this.#live.set(timer.id, timer);
    return timer;
  }
}
