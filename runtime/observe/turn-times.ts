/**
 * How long turns take, and whose turn it is. While somebody watches, cells take their turns through
 * it; at all other times it is not there, and costs a look whether it is. Nothing else of the
 * kernel changes with it: what the compilers have made of the senders of messages stays good.
 */

/** Who takes a turn: a cell. */
export interface Taker {
  /** Node and path. */
  readonly id: string;
  /** Handles at most `budget` messages and returns how many it did, signals included. */
  takeTurn(budget: number): number;
}

/**
 * About so many turns are timed from one look to the next, and all of them when there are fewer: a
 * timed one takes a fifth of a microsecond more, and is remembered until the look.
 */
const TIMED_MAX = 500;
/** Until the first look: one turn of so many. */
const FIRST_STEP = 64;
/** Actors that come and go between two looks: no more of them than this. */
const SUMS_MAX = 20_000;

/** Of the turns that were timed since the last look. */
export type TurnSum = { ms: number; messages: number };

export class TurnTimes {
  /** Whose turn it is; known only while somebody `follows`. */
  running: Taker | undefined = undefined;
  /** So many want to know whose turn it is, at each turn. */
  follows = 0;
  readonly #now_ms: () => number;
  #sums = new Map<object, TurnSum>();
  /** One turn of so many, and one more or less, so that actors in step are all met. */
  #step = FIRST_STEP;
  #left = 1;
  #timed = 0;

  constructor(now_ms: () => number) {
    this.#now_ms = now_ms;
  }

  runTurn(of: Taker, budget: number): number {
    if (--this.#left <= 0) return this.#timedTurn(of, budget);
    return this.follows > 0 ? this.#followedTurn(of, budget) : of.takeTurn(budget);
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

  #followedTurn(of: Taker, budget: number): number {
    this.running = of;
    const done = of.takeTurn(budget);
    this.running = undefined;
    return done;
  }

  #timedTurn(of: Taker, budget: number): number {
    this.#timed++;
    this.#left = this.#step === 1 ? 1 : this.#step - 1 + (this.#timed % 3);
    const began_ms = this.#now_ms();
    const done = this.#followedTurn(of, budget);
    if (done > 0) this.#add(of, this.#now_ms() - began_ms, done);
    return done;
  }

  #add(of: Taker, ms: number, messages: number): void {
    const sum = this.#sums.get(of);
    if (sum !== undefined) {
      sum.ms += ms;
      sum.messages += messages;
    } else if (this.#sums.size < SUMS_MAX) {
      this.#sums.set(of, { ms, messages });
    }
  }
}
