/**
 * Decides which actor runs next. The default scheduler runs actors in a microtask, in the order in
 * which they got work, awaited ones first; the scheduler of `simulation.ts` draws the order.
 */

/** An actor that has something to do. */
export interface Runnable {
  /** Node and path: for the trace of a simulation. */
  readonly id: string;
  /** Handles at most `budget` messages and returns how many it did, signals included. */
  runTurn(budget: number): number;
}

export interface Scheduler {
  /** Called once for each time an actor becomes ready; it is not enqueued again before its turn. */
  enqueue(runnable: Runnable): void;
  /**
   * The same for an actor that a signal or an ask waits for: its turn comes before the ordinary
   * ones. It may be in both queues at once; a turn that finds nothing to do does nothing.
   */
  enqueueUrgent(runnable: Runnable): void;
  /** True: no actor is ready. */
  readonly quiet: boolean;
  /** Resolves when no actor is ready and the reactions of all settled promises have run. */
  idle(): Promise<void>;
}

/** An actor with many messages gives way to others after this many. */
const TURN_MESSAGES = 64;

/**
 * After so many messages, counted over all actors, or so much time, sockets and timers get their
 * turn. Microtasks alone would starve them: a macrotask comes only when no microtask is left.
 */
const TICK_MESSAGES = 1024;
const TICK_MS = 10;
/** The clock is read after so many messages, not after each. */
const CLOCK_MESSAGES = 64;

/**
 * Urgent actors go first, and no tick cuts their turns, so that what they send leaves together.
 * After this many of their messages in a row an ordinary actor has a turn nevertheless.
 */
const URGENT_MESSAGES = 1024;
/**
 * After a burst of this many urgent messages, sockets have their turn before ordinary actors, so
 * that the messages sent in the burst leave at once.
 */
const BURST_MESSAGES = 16;

export class MicrotaskScheduler implements Scheduler {
  readonly #urgent = new TurnRing();
  readonly #others = new TurnRing();
  #armed = false;
  #left = TICK_MESSAGES;
  #clock_at = TICK_MESSAGES - CLOCK_MESSAGES;
  #tick_start_ms = 0;
  /** Messages of urgent turns since the last ordinary turn. */
  #in_a_row = 0;
  readonly #now_ms: () => number;

  /** Under a virtual clock no time passes during turns, so the number of messages alone counts. */
  constructor(now_ms: () => number) {
    this.#now_ms = now_ms;
  }

  get quiet(): boolean {
    return this.#others.count === 0 && this.#urgent.count === 0;
  }

  enqueue(runnable: Runnable): void {
    this.#others.push(runnable);
    if (!this.#armed) this.#arm();
  }

  enqueueUrgent(runnable: Runnable): void {
    this.#urgent.push(runnable);
    if (!this.#armed) this.#arm();
  }

  async idle(): Promise<void> {
    do await macrotask();
    while (!this.quiet);
  }

  #arm(): void {
    this.#armed = true;
    queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    const urgent = this.#urgent;
    const others = this.#others;
    for (;;) {
      if (urgent.count > 0 && this.#in_a_row < URGENT_MESSAGES) {
        const done = urgent.shift().runTurn(TURN_MESSAGES);
        this.#left -= done;
        this.#in_a_row += done;
        continue;
      }
      const burst = this.#in_a_row >= BURST_MESSAGES && others.count > 0;
      this.#in_a_row = 0;
      if (burst && urgent.count > 0) this.#left -= others.shift().runTurn(TURN_MESSAGES);
      if (burst || (this.#left <= this.#clock_at && this.#tickIsOver())) {
        setImmediate(this.#drain);
        return;
      }
      if (others.count > 0) this.#left -= others.shift().runTurn(TURN_MESSAGES);
      else if (urgent.count === 0) break;
    }
    this.#armed = false;
  };

  /**
   * The count is not reset when the queue is empty: a chain of asks empties it again and again, and
   * must give way too. After a pause the clock is far ahead, which costs one early hand-over.
   */
  #tickIsOver(): boolean {
    this.#clock_at = this.#left - CLOCK_MESSAGES;
    const now_ms = this.#now_ms();
    if (this.#left > 0 && now_ms - this.#tick_start_ms < TICK_MS) return false;
    this.#left = TICK_MESSAGES;
    this.#clock_at = TICK_MESSAGES - CLOCK_MESSAGES;
    this.#tick_start_ms = now_ms;
    return true;
  }
}

/** First in, first out. It never shrinks. */
class TurnRing {
  count = 0;
  #ring: (Runnable | undefined)[] = new Array(64).fill(undefined);
  #mask = 63;
  #head = 0;

  push(runnable: Runnable): void {
    if (this.count > this.#mask) this.#grow();
    this.#ring[(this.#head + this.count) & this.#mask] = runnable;
    this.count++;
  }

  /** Only while `count > 0`. */
  shift(): Runnable {
    const runnable = this.#ring[this.#head] as Runnable;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.count--;
    return runnable;
  }

  #grow(): void {
    const size = this.#mask + 1;
    const ring: (Runnable | undefined)[] = new Array(size * 2).fill(undefined);
    for (let i = 0; i < this.count; i++) ring[i] = this.#ring[(this.#head + i) & this.#mask];
    this.#ring = ring;
    this.#mask = size * 2 - 1;
    this.#head = 0;
  }
}

/** Resolves after all reactions of promises that need nothing from outside the process. */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
