/**
 * How long turns take, and whose turn it is. While somebody watches it stands between a system and
 * its scheduler; at all other times it is not there, and costs nothing.
 */

import type { Runnable, Scheduler } from "../kernel/scheduler.ts";

/**
 * About so many turns are timed from one look to the next, and all of them when there are fewer: a
 * timed one takes half a microsecond more.
 */
const TIMED_MAX = 1_000;
/** Until the first look: one turn of so many. */
const FIRST_STEP = 64;
/** Actors that come and go between two looks: no more of them than this. */
const SUMS_MAX = 20_000;

/** Of the turns that were timed since the last look. */
export type TurnSum = { ms: number; messages: number };

export class TurnTimes implements Scheduler {
  /** Whose turn it is; known only while somebody `follows`. */
  running: Runnable | undefined = undefined;
  /** So many want to know whose turn it is, at each turn. */
  follows = 0;
  readonly inner: Scheduler;
  readonly now_ms: () => number;
  #sums = new Map<Runnable, TurnSum>();
  /** One turn of so many, and one more or less, so that actors in step are all met. */
  #step = FIRST_STEP;
  #left = 1;
  #timed = 0;

  constructor(inner: Scheduler, now_ms: () => number) {
    this.inner = inner;
    this.now_ms = now_ms;
  }

  get quiet(): boolean {
    return this.inner.quiet;
  }

  enqueue(runnable: Runnable): void {
    this.inner.enqueue(this.#turnOf(runnable));
  }

  enqueueUrgent(runnable: Runnable): void {
    this.inner.enqueueUrgent(this.#turnOf(runnable));
  }

  idle(): Promise<void> {
    return this.inner.idle();
  }

  /** Timings since the last call, by actor; messages and milliseconds of a part of its turns. */
  take(): ReadonlyMap<object, TurnSum> {
    const sums = this.#sums;
    this.#sums = new Map();
    this.#step = Math.max(1, Math.round((this.#timed * this.#step) / TIMED_MAX));
    this.#left = Math.min(this.#left, this.#step);
    this.#timed = 0;
    return sums;
  }

  add(runnable: Runnable, ms: number, messages: number): void {
    const sum = this.#sums.get(runnable);
    if (sum !== undefined) {
      sum.ms += ms;
      sum.messages += messages;
    } else if (this.#sums.size < SUMS_MAX) {
      this.#sums.set(runnable, { ms, messages });
    }
  }

  #turnOf(runnable: Runnable): Runnable {
    if (--this.#left > 0) {
      return this.follows > 0 ? new WatchedTurn(this, runnable, false) : runnable;
    }
    this.#timed++;
    this.#left = this.#step === 1 ? 1 : this.#step - 1 + (this.#timed % 3);
    return new WatchedTurn(this, runnable, true);
  }
}

class WatchedTurn implements Runnable {
  readonly #times: TurnTimes;
  readonly #of: Runnable;
  readonly #timed: boolean;

  constructor(times: TurnTimes, of: Runnable, timed: boolean) {
    this.#times = times;
    this.#of = of;
    this.#timed = timed;
  }

  get id(): string {
    return this.#of.id;
  }

  runTurn(budget: number): number {
    const times = this.#times;
    times.running = this.#of;
    const began_ms = this.#timed ? times.now_ms() : 0;
    const done = this.#of.runTurn(budget);
    if (this.#timed && done > 0) times.add(this.#of, times.now_ms() - began_ms, done);
    times.running = undefined;
    return done;
  }
}
