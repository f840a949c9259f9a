/**
 * The deadlines of asks: one bucket a millisecond, one clock timer for the earliest bucket. An ask
 * enters and leaves its bucket in constant time, which a timer each would not allow at a million
 * asks a second. A deadline is never early and at most one millisecond late.
 */

import type { Clock, Timer } from "../capabilities.ts";

/** An entry is its own list node. */
export interface Deadline {
  readonly deadline_ms: number;
  bucket: Bucket | undefined;
  earlier: Deadline | undefined;
  later: Deadline | undefined;
  overdue(): void;
}

class Bucket {
  readonly due_ms: number;
  first: Deadline | undefined = undefined;

  constructor(due_ms: number) {
    this.due_ms = due_ms;
  }
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();
  /** Binary heap of the buckets' times. */
  readonly #heap: number[] = [];
  #latest: Bucket | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #timer_due_ms = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: Deadline): void {
    const due_ms = Math.ceil(entry.deadline_ms);
    let bucket = this.#latest;
    if (bucket === undefined || bucket.due_ms !== due_ms) {
      if (bucket !== undefined && bucket.first === undefined) this.#buckets.delete(bucket.due_ms);
      bucket = this.#buckets.get(due_ms) ?? this.#open(due_ms);
      this.#latest = bucket;
    }
    entry.bucket = bucket;
    entry.earlier = undefined;
    entry.later = bucket.first;
    if (bucket.first !== undefined) bucket.first.earlier = entry;
    bucket.first = entry;
  }

  remove(entry: Deadline): void {
    const { bucket, earlier, later } = entry;
    if (bucket === undefined) return;
    if (earlier === undefined) bucket.first = later;
    else earlier.later = later;
    if (later !== undefined) later.earlier = earlier;
    entry.bucket = undefined;
    entry.earlier = undefined;
    entry.later = undefined;
    // Asks with long deadlines would leave an empty bucket for every millisecond, so empty ones are
    // dropped. Only their numbers in the heap stay.
    if (bucket.first === undefined && bucket !== this.#latest) this.#buckets.delete(bucket.due_ms);
  }

  /** Stops the timer; entries are left as they are. */
  close(): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #open(due_ms: number): Bucket {
    const bucket = new Bucket(due_ms);
    this.#buckets.set(due_ms, bucket);
    heapPush(this.#heap, due_ms);
    if (this.#timer === undefined || due_ms < this.#timer_due_ms) this.#arm(due_ms);
    return bucket;
  }

  #arm(due_ms: number): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer_due_ms = due_ms;
    const delay_ms = Math.max(0, due_ms - this.#clock.now_ms());
    this.#timer = this.#clock.after(delay_ms, () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    const now_ms = this.#clock.now_ms();
    while (this.#heap.length > 0) {
      const due_ms = this.#heap[0] as number;
      const bucket = this.#buckets.get(due_ms);
      // Empty buckets are dropped without waiting for their time, so an idle system arms no timer.
      if (bucket?.first !== undefined && due_ms > now_ms) break;
      heapPop(this.#heap);
      this.#buckets.delete(due_ms);
      if (bucket === this.#latest) this.#latest = undefined;
      for (let entry = bucket?.first; entry !== undefined; entry = bucket?.first) {
        this.remove(entry);
        entry.overdue();
      }
    }
    // An overdue entry may have added a new one, which armed the timer already.
    const next_ms = this.#heap[0];
    if (next_ms === undefined) return;
    if (this.#timer === undefined || next_ms < this.#timer_due_ms) this.#arm(next_ms);
  }
}

function heapPush(heap: number[], value: number): void {
  let at = heap.length;
  heap.push(value);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up] as number;
    if (parent <= value) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = value;
}

function heapPop(heap: number[]): void {
  const value = heap.pop();
  if (value === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const small =
      right < heap.length && (heap[right] as number) < (heap[left] as number) ? right : left;
    if ((heap[small] as number) >= value) break;
    heap[at] = heap[small] as number;
    at = small;
  }
  heap[at] = value;
}
