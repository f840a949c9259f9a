/**
 * Tells the subscribers of this worker its load: after each change, at most every 50 ms, and once a
 * second in any case as a heartbeat.
 */
import type { WorkerLoad, WorkerNews } from "../../../proto/index.ts";
import type { Clock, Timer } from "../../../runtime/capabilities.ts";
import { type Ref, sameActor } from "../../../runtime/kernel/ref.ts";
import type { LoadLine, ProcessReports } from "./process-reports.ts";
import { LOAD_GAP_MS, LOAD_HEARTBEAT_MS } from "./report-intervals.ts";

/** `line`: set if the router hears of all workers of this process together. */
type Subscriber = {
  readonly ref: Ref<LoadMessage>;
  readonly subscription: number;
  readonly line: LoadLine | undefined;
};
type LoadMessage = WorkerLoad | WorkerNews;

export class LoadPublisher {
  readonly #clock: Clock;
  readonly #load: () => WorkerLoad;
  /** Undefined: this worker is the only one of its process. */
  readonly #reports: ProcessReports | undefined;
  readonly #subscribers = new Map<number, Subscriber>();
  #timer: Timer | undefined;
  /** When `timer` fires. */
  #due_ms = Number.POSITIVE_INFINITY;
  #last_ms = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, load: () => WorkerLoad, reports?: ProcessReports) {
    this.#clock = clock;
    this.#load = load;
    this.#reports = reports;
  }

  get subscriber_count(): number {
    return this.#subscribers.size;
  }

  /**
   * `monitor` watches the subscriber. A router that subscribes again doubts its old connection: the
   * old monitor is returned, and the caller ends it. `subscription`: the router's number for this
   * worker; 0: none.
   */
  subscribe(ref: Ref<LoadMessage>, monitor: number, subscription = 0): number | undefined {
    let old: number | undefined;
    for (const [known_monitor, known] of this.#subscribers) {
      if (sameActor(known.ref, ref)) old = known_monitor;
    }
    if (old !== undefined) this.unsubscribe(old);
    const gathered = subscription > 0 ? this.#reports : undefined;
    const line = gathered?.loadLine(ref as Ref<WorkerNews>, subscription, this.#load);
    this.#subscribers.set(monitor, { ref, subscription, line });
    ref.tell({ ...this.#load(), subscription });
    if (this.#timer === undefined && line === undefined) this.#schedule(LOAD_HEARTBEAT_MS);
    return old;
  }

  /** True when the monitor was a subscriber's. */
  unsubscribe(monitor: number): boolean {
    this.#subscribers.get(monitor)?.line?.close();
    return this.#subscribers.delete(monitor);
  }

  changed(): void {
    let alone = 0;
    for (const { line } of this.#subscribers.values()) {
      if (line === undefined) alone++;
      else line.changed();
    }
    if (alone < this.#subscribers.size) this.#reports?.tellChanges();
    if (alone === 0) return;
    const now_ms = this.#clock.now_ms();
    const earliest_ms = this.#last_ms + LOAD_GAP_MS;
    if (now_ms >= earliest_ms) this.#publish();
    else if (earliest_ms < this.#due_ms) this.#schedule(earliest_ms - now_ms);
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    for (const { line } of this.#subscribers.values()) line?.close();
    this.#subscribers.clear();
  }

  #publish(): void {
    this.#last_ms = this.#clock.now_ms();
    const load = this.#load();
    for (const { ref, subscription, line } of this.#subscribers.values()) {
      if (line === undefined) ref.tell({ ...load, subscription });
    }
    this.#schedule(LOAD_HEARTBEAT_MS);
  }

  #schedule(delay_ms: number): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#due_ms = this.#clock.now_ms() + delay_ms;
    this.#timer = this.#clock.after(delay_ms, () => this.#fired());
  }

  #fired(): void {
    this.#timer = undefined;
    this.#due_ms = Number.POSITIVE_INFINITY;
    if (this.#subscribers.size > 0) this.#publish();
  }
}
