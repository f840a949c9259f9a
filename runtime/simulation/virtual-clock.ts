/**
 * Time that goes only when it is told to. Timers fire in the order (time, sequence), so the same
 * program does the same thing every time.
 */

import type { Clock, Timer } from "../capabilities.ts";
import { macrotask } from "../kernel/scheduler.ts";

type Due = Timer & { readonly at_ms: number; readonly run: () => void };

/** 2026-01-01T00:00:00Z */
const DEFAULT_WALL_MS = 1_767_225_600_000;

export class VirtualClock implements Clock {
  readonly #wall_start_ms: number;
  #now_ms = 0;
  #last_id = 0;
  /** Waits until all work that follows from a timer is done; tests may set a better one. */
  settle: () => Promise<void> = macrotask;
  /** Binary heap by (at_ms, id). */
  readonly #heap: Due[] = [];
  readonly #live = new Set<number>();

  constructor(wall_start_ms = DEFAULT_WALL_MS) {
    this.#wall_start_ms = wall_start_ms;
  }

  now_ms(): number {
    return this.#now_ms;
  }

  wall_ms(): number {
    return this.#wall_start_ms + this.#now_ms;
  }

  after(delay_ms: number, run: () => void): Timer {
    const id = ++this.#last_id;
    const at_ms = this.#now_ms + Math.max(0, delay_ms);
    if (!Number.isFinite(at_ms)) throw new RangeError(`a delay is finite, not ${delay_ms} ms`);
    const due = { id, at_ms, run };
    this.#live.add(id);
    this.#push(due);
    return due;
  }

  cancel(timer: Timer): void {
    this.#live.delete(timer.id);
  }

  defer(run: () => void): void {
    queueMicrotask(run);
  }

  /** Timers set and not fired. */
  get pending(): number {
    return this.#live.size;
  }

  get next_due_ms(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.at_ms;
  }

  /** Goes to the next timer and fires it alone; false when there is none, or none until then. */
  fireNext(until_ms = Number.POSITIVE_INFINITY): boolean {
    this.#dropCancelled();
    const due = this.#heap[0];
    if (due === undefined || due.at_ms > until_ms) return false;
    this.#pop();
    this.#live.delete(due.id);
    this.#now_ms = Math.max(this.#now_ms, due.at_ms);
    due.run();
    return true;
  }

  /**
   * Lets `delay_ms` pass. All work that follows from a timer, promises included, is done before the
   * next timer.
   */
  async advance(delay_ms: number): Promise<void> {
    const until_ms = this.#now_ms + delay_ms;
    await this.settle();
    while (this.fireNext(until_ms)) await this.settle();
    this.#now_ms = until_ms;
  }

  /** Runs until no timer is left; returns how many fired. Throws after `limit` timers. */
  async runUntilIdle(limit = 100_000): Promise<number> {
    let fired = 0;
    await this.settle();
    while (this.fireNext()) {
      fired++;
      if (fired > limit) throw new Error(`still busy after ${limit} timers: does one repeat?`);
      await this.settle();
    }
    return fired;
  }

  #dropCancelled(): void {
    for (let due = this.#heap[0]; due !== undefined; due = this.#heap[0]) {
      if (this.#live.has(due.id)) return;
      this.#pop();
    }
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Due;
      if (!before(due, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const due = heap.pop();
    if (due === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let small = 2 * at + 1;
      if (small >= heap.length) break;
      const right = small + 1;
      if (right < heap.length && before(heap[right] as Due, heap[small] as Due)) small = right;
      if (!before(heap[small] as Due, due)) break;
      heap[at] = heap[small] as Due;
      at = small;
    }
    heap[at] = due;
  }
}

function before(a: Due, b: Due): boolean {
  return a.at_ms < b.at_ms || (a.at_ms === b.at_ms && a.id < b.id);
}
