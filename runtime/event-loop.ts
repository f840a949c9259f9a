/** How long this process's event loop was ever held up: a timer's lateness, sampled. */
import type { Clock, Timer } from "./capabilities.ts";

export interface BlockMeter {
  /** The longest block seen since the start, in ms. */
  block_ms_max(): number;
  /** The longest since the last call of this, in ms: for gauges that are scraped. */
  takeBlock_ms(): number;
  stop(): void;
}

const period_ms = 10;

export function watchEventLoop(clock: Clock): BlockMeter {
  let longest_ms = 0;
  let recent_ms = 0;
  let timer: Timer;
  const arm = () => {
    const due_ms = clock.now_ms() + period_ms;
    timer = clock.after(period_ms, () => {
      const late_ms = Math.max(0, clock.now_ms() - due_ms);
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
