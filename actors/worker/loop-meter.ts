/**
 * How long the event loop of this process was held up: a timer that should fire every 10 ms, and
 * by how much it is late. Native calls and garbage collection show here as they show to a client.
 */
import type { Clock, Timer } from "../../runtime/capabilities.ts";

const PERIOD_MS = 10;

export class LoopMeter {
  private readonly clock: Clock;
  private timer: Timer | undefined;
  private due_ms = 0;
  private block_ms_max = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  start(): void {
    this.due_ms = this.clock.now_ms() + PERIOD_MS;
    this.timer = this.clock.after(PERIOD_MS, () => this.fired());
  }

  stop(): void {
    if (this.timer !== undefined) this.clock.cancel(this.timer);
    this.timer = undefined;
  }

  /** The longest since `start`, in ms. */
  get longest_ms(): number {
    return this.block_ms_max;
  }

  private fired(): void {
    const late_ms = this.clock.now_ms() - this.due_ms;
    if (late_ms > this.block_ms_max) this.block_ms_max = late_ms;
    this.start();
  }
}
