/** The machine's clock. */

import type { Clock, Timer } from "../capabilities.ts";
import { type Deadline, Deadlines } from "../kernel/deadlines.ts";

class RealTimer implements Timer {
  readonly id: number;
  readonly handle: ReturnType<typeof setTimeout>;

  constructor(id: number, handle: ReturnType<typeof setTimeout>) {
    this.id = id;
    this.handle = handle;
  }
}

/** A timer that is mostly cancelled: the time limit of something that ends before it. */
class LongTimer implements Timer, Deadline {
  bucket: Deadline["bucket"] = undefined;
  earlier: Deadline | undefined = undefined;
  later: Deadline | undefined = undefined;
  readonly id: number;
  readonly deadline_ms: number;
  readonly #run: () => void;

  constructor(id: number, deadline_ms: number, run: () => void) {
    this.id = id;
    this.deadline_ms = deadline_ms;
    this.#run = run;
  }

  overdue(): void {
    this.#run();
  }
}

/** From here on timers share one platform timer for each time on the coarse grid. */
const LONG_MS = 2_000;
const GRID_MS = 32;

/** The longest delay a platform timer takes; longer ones would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** Timers are never early; those of two seconds and more may be late by `GRID_MS`. */
export function realClock(long_ms = LONG_MS): Clock {
  let last_id = 0;
  const clock: Clock = {
    now_ms: () => performance.now(),
    wall_ms: () => Date.now(),
    after(delay_ms, run) {
      if (delay_ms >= long_ms && delay_ms < DELAY_MAX_MS) {
        const due_ms = Math.ceil((performance.now() + delay_ms) / GRID_MS) * GRID_MS;
        const timer = new LongTimer(++last_id, due_ms, run);
        long.add(timer);
        return timer;
      }
      const bounded_ms = Math.min(Math.max(0, Math.ceil(delay_ms)), DELAY_MAX_MS);
      return new RealTimer(++last_id, setTimeout(run, bounded_ms));
    },
    cancel(timer) {
      if (timer instanceof LongTimer) long.remove(timer);
      else if (timer instanceof RealTimer) clearTimeout(timer.handle);
    },
    // After the microtasks of this tick, all turns of actors among them.
    defer: (run) => void setImmediate(run),
  };
  // Its own one timer is due at most once on the grid, and an ordinary one.
  const long = new Deadlines({
    ...clock,
    after: (delay_ms, run) => new RealTimer(0, setTimeout(run, Math.ceil(delay_ms))),
  });
  return clock;
}
