/** Measures how long this process's event loop was blocked, by the lateness of a timer. */
import type { Clock, Timer } from "../capabilities.ts";

export interface BlockMeter {
  /** The longest block seen since the start, in ms. */
  block_ms_max(): number;
  /** The longest since the last call of this, in ms: for gauges that are scraped. */
  takeBlock_ms(): number;
  stop(): void;
}

/** Period of a busy process. A block shorter than a period is seen in part, or not at all. */
const BUSY_MS = 10;
/** Period of an idle process, which the timer's wake-ups would otherwise keep busy. */
const IDLE_MS = 100;
/** A later timer shows a busy process. In an idle one it is one to a few ms late. */
const LATE_ENOUGH_MS = 5;
/** The process is idle after this many timers on time in a row. */
const CALM = 50;

export function watchEventLoop(clock: Clock): BlockMeter {
  let longest_ms = 0;
  let recent_ms = 0;
  let on_time = CALM;
  let timer: Timer;
  const arm = () => {
    const period_ms = on_time < CALM ? BUSY_MS : IDLE_MS;
    const due_ms = clock.now_ms() + period_ms;
    timer = clock.after(period_ms, () => {
      const late_ms = Math.max(0, clock.now_ms() - due_ms);
      on_time = late_ms < LATE_ENOUGH_MS ? on_time + 1 : 0;
      longest_ms = Math.max(longest_ms, late_ms);
      recent_ms = Math.max(recent_ms, late_ms);
      arm();
    });
  };
  arm();
  return {
    block_ms_max: () => longest_ms,
    takeBlock_ms: () => {
      const taken_ms = recent_ms;
      recent_ms = 0;
      return taken_ms;
    },
    stop: () => clock.cancel(timer),
  };
}
