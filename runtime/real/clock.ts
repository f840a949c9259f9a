/** The machine's clock. */

import type { Clock, Timer } from "../capabilities.ts";

class RealTimer implements Timer {
  readonly id: number;
  readonly handle: ReturnType<typeof setTimeout>;

  constructor(id: number, handle: ReturnType<typeof setTimeout>) {
    this.id = id;
    this.handle = handle;
  }
}

/** The longest delay a platform timer takes; longer ones would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

export function realClock(): Clock {
  let last_id = 0;
  return {
    now_ms: () => performance.now(),
    wall_ms: () => Date.now(),
    after(delay_ms, run) {
      const bounded_ms = Math.min(Math.max(0, Math.ceil(delay_ms)), DELAY_MAX_MS);
      return new RealTimer(++last_id, setTimeout(run, bounded_ms));
    },
    cancel(timer) {
      if (timer instanceof RealTimer) clearTimeout(timer.handle);
    },
    // After the microtasks of this tick, all turns of actors among them.
    defer: (run) => void setImmediate(run),
  };
}
