/**
 * Who wants to know this worker's load, and when they are told: at a change at once, but never
 * more often than every 50 ms, and every second in any case, which doubles as a heartbeat.
 */
import type { WorkerLoad } from "../../proto/index.ts";
import type { Clock, Timer } from "../../runtime/capabilities.ts";
import { type Ref, sameActor } from "../../runtime/ref.ts";

export const LOAD_GAP_MS = 50;
export const LOAD_HEARTBEAT_MS = 1_000;

export class LoadPublisher {
  private readonly clock: Clock;
  private readonly load: () => WorkerLoad;
  private readonly subscribers = new Map<number, Ref<WorkerLoad>>();
  private timer: Timer | undefined;
  /** When `timer` fires. */
  private due_ms = Number.POSITIVE_INFINITY;
  private last_ms = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, load: () => WorkerLoad) {
    this.clock = clock;
    this.load = load;
  }

  get subscriber_count(): number {
    return this.subscribers.size;
  }

  /**
   * `monitor` watches the subscriber. One that subscribes again does so because it doubts its old
   * connection; the monitor over that one is returned, to be given up.
   */
  subscribe(subscriber: Ref<WorkerLoad>, monitor: number): number | undefined {
    let old: number | undefined;
    for (const [known_monitor, known] of this.subscribers) {
      if (sameActor(known, subscriber)) old = known_monitor;
    }
    if (old !== undefined) this.subscribers.delete(old);
    this.subscribers.set(monitor, subscriber);
    subscriber.tell(this.load());
    if (this.timer === undefined) this.schedule(LOAD_HEARTBEAT_MS);
    return old;
  }

  /** True when the monitor was a subscriber's. */
  unsubscribe(monitor: number): boolean {
    return this.subscribers.delete(monitor);
  }

  changed(): void {
    if (this.subscribers.size === 0) return;
    const now_ms = this.clock.now_ms();
    const earliest_ms = this.last_ms + LOAD_GAP_MS;
    if (now_ms >= earliest_ms) this.publish();
    else if (earliest_ms < this.due_ms) this.schedule(earliest_ms - now_ms);
  }

  stop(): void {
    if (this.timer !== undefined) this.clock.cancel(this.timer);
    this.timer = undefined;
    this.subscribers.clear();
  }

  private publish(): void {
    this.last_ms = this.clock.now_ms();
    const load = this.load();
    for (const subscriber of this.subscribers.values()) subscriber.tell(load);
    this.schedule(LOAD_HEARTBEAT_MS);
  }

  private schedule(delay_ms: number): void {
    if (this.timer !== undefined) this.clock.cancel(this.timer);
    this.due_ms = this.clock.now_ms() + delay_ms;
    this.timer = this.clock.after(delay_ms, () => this.fired());
  }

  private fired(): void {
    this.timer = undefined;
    this.due_ms = Number.POSITIVE_INFINITY;
    if (this.subscribers.size > 0) this.publish();
  }
}
