/** The timers of one actor; they end with it. Made when the actor sets its first timer. */

import type { Clock, Timer } from "../capabilities.ts";

class ActorTimer implements Timer {
  readonly id: number;
  handle: Timer | undefined = undefined;
  /** Index in `#live`. */
  place: number;

  constructor(id: number, place: number) {
    this.id = id;
    this.place = place;
  }
}

/** An actor that has ended gets this timer, which never fires. */
const never: Timer = { id: 0 };

export class ActorTimers {
  /** Shared by actors that have ended; it sets no timer. */
  static readonly ended = new ActorTimers(undefined);

  readonly #clock: Clock | undefined;
  /** In no order. A Map would cost more than all else of a short life (slot-map.ts). */
  readonly #live: ActorTimer[] = [];
  #next_id = 1;

  constructor(clock: Clock | undefined) {
    this.#clock = clock;
  }

  /** Runs once, `delay_ms` from now. */
  after(delay_ms: number, run: () => void): Timer {
    const clock = this.#clock;
    if (clock === undefined) return never;
    const timer = this.#add();
    timer.handle = clock.after(delay_ms, () => {
      this.#remove(timer);
      run();
    });
    return timer;
  }

  /**
   * The n-th run is n periods after the start: lateness of one does not shift the rest. Throws
   * RangeError when a period is not above 0.
   */
  every(period_ms: number, run: () => void): Timer {
    if (!(period_ms > 0)) throw new RangeError(`a period is more than 0 ms, not ${period_ms}`);
    const clock = this.#clock;
    if (clock === undefined) return never;
    const timer = this.#add();
    let due_ms = clock.now_ms();
    const arm = (): void => {
      const now_ms = clock.now_ms();
      // Periods that passed while the process was held up are left out, not made up for.
      due_ms += period_ms * Math.max(1, Math.ceil((now_ms - due_ms) / period_ms));
      timer.handle = clock.after(due_ms - now_ms, () => {
        arm();
        run();
      });
    };
    arm();
    return timer;
  }

  cancel(timer: Timer): void {
    if (!(timer instanceof ActorTimer) || !this.#remove(timer)) return;
    if (timer.handle !== undefined) this.#clock?.cancel(timer.handle);
  }

  cancelAll(): void {
    for (const { handle } of this.#live) if (handle !== undefined) this.#clock?.cancel(handle);
    this.#live.length = 0;
  }

  #add(): ActorTimer {
    const timer = new ActorTimer(this.#next_id++, this.#live.length);
    this.#live.push(timer);
    return timer;
  }

  /** The last timer takes its index. False: it has fired, was removed, or is another actor's. */
  #remove(timer: ActorTimer): boolean {
    const live = this.#live;
    if (live[timer.place] !== timer) return false;
    const last = live.pop()!;
    if (last === timer) return true;
    last.place = timer.place;
    live[last.place] = last;
    return true;
  }
}
