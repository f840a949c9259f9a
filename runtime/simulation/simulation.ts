/**
 * A deterministic simulation: events that may happen in any order happen in an order drawn from a
 * seed. One delivery loop owns all turns of all actors of all nodes, and time passes only when no
 * actor is ready. The same seed gives the same run, down to the hash of its trace.
 *
 * This holds as long as handlers await only capabilities: an answer, a virtual timer.
 */

import type { Random } from "../capabilities.ts";
import { macrotask, type Runnable, type Scheduler } from "../kernel/scheduler.ts";
import { forkRandom, pickIndex, SeededRandom } from "./random.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A turn handles one message of one actor, drawn among all ready actors. */
class SeededScheduler implements Scheduler {
  turns = 0;
  readonly #random: Random;
  readonly #ready: Runnable[] = [];
  readonly #onTurn: ((runnable: Runnable) => void) | undefined;

  constructor(random: Random, onTurn?: (runnable: Runnable) => void) {
    this.#random = random;
    this.#onTurn = onTurn;
  }

  get quiet(): boolean {
    return this.#ready.length === 0;
  }

  enqueue(runnable: Runnable): void {
    this.#ready.push(runnable);
  }

  enqueueUrgent(runnable: Runnable): void {
    this.enqueue(runnable);
  }

  /** False when no actor is ready. The caller then lets promises that the turn started settle. */
  step(): boolean {
    const ready = this.#ready;
    if (ready.length === 0) return false;
    const at = pickIndex(this.#random, ready.length);
    const drawn = ready[at] as Runnable;
    const last = ready.pop() as Runnable;
    if (at < ready.length) ready[at] = last;
    this.turns++;
    this.#onTurn?.(drawn);
    drawn.runTurn(1);
    return true;
  }

  /** Takes turns until no actor is ready; time stands still. */
  async idle(): Promise<void> {
    do await macrotask();
    while (this.step());
  }
}

export class Simulation {
  readonly seed: number;
  readonly clock = new VirtualClock();
  readonly scheduler: SeededScheduler;
  /** Randomness for faults and clients. Each node gets a fork. */
  readonly random: SeededRandom;
  readonly #order: Random;
  readonly #hash = new TraceHash();

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.#order = forkRandom(this.random);
    this.scheduler = new SeededScheduler(this.#order, (runnable) => this.note(runnable.id));
  }

  /** Adds to the trace. Every turn does; checks of invariants may. */
  note(what: string): void {
    this.#hash.add(what, this.clock.now_ms());
  }

  /** Hash of the actor and the time of each turn, as 16 hex digits. */
  get trace_hash(): string {
    return this.#hash.digest();
  }

  /**
   * Runs for `for_ms` of virtual time, or until no turn and no timer is left. Throws after
   * `turns_max` turns, because actors that tell each other for ever at one instant would stop time.
   */
  async run(for_ms = Number.POSITIVE_INFINITY, turns_max = 1_000_000): Promise<void> {
    const until_ms = this.clock.now_ms() + for_ms;
    const turns_end = this.scheduler.turns + turns_max;
    do {
      await macrotask();
      if (this.scheduler.turns > turns_end) {
        throw new Error(`seed ${this.seed}: still busy after ${turns_max} turns`);
      }
    } while (this.#next(until_ms));
    if (Number.isFinite(until_ms)) await this.clock.advance(until_ms - this.clock.now_ms());
  }

  /** Runs one turn or one timer; false when there is neither until `until_ms`. */
  #next(until_ms: number): boolean {
    const { clock, scheduler } = this;
    // Timers of one instant and turns mix: which comes first is drawn as well.
    const due = (clock.next_due_ms ?? Number.POSITIVE_INFINITY) <= clock.now_ms();
    if (due && this.#order.unit() < 0.5 && clock.fireNext(clock.now_ms())) return true;
    return scheduler.step() || clock.fireNext(until_ms);
  }
}

/** Two independent 32-bit FNV-1a style sums; good enough to tell two traces apart. */
class TraceHash {
  #a = 0x811c9dc5;
  #b = 0x01000193;

  add(text: string, at_ms: number): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    this.#mix(Math.round(at_ms * 1000) | 0);
  }

  digest(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#a) + hex(this.#b);
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#b = Math.imul((this.#b << 5) ^ (this.#b >>> 27) ^ word, 0x85ebca6b);
  }
}
