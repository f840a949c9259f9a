/** A limit on concurrency: at most `most` have their turn at once; others wait in order. */
export class Turns<T> {
  readonly #most: number;
  readonly #begin: (one: T) => void;
  readonly #running = new Set<T>();
  readonly #waiting = new Set<T>();

  /** `begin` is called when the turn of `one` begins; `over` ends the turn. */
  constructor(most: number, begin: (one: T) => void) {
    this.#most = most;
    this.#begin = begin;
  }

  ask(one: T): void {
    if (this.#running.size >= this.#most) {
      this.#waiting.add(one);
      return;
    }
    this.#running.add(one);
    this.#begin(one);
  }

  /** Ends the turn of `one`, or its wait for a turn. */
  over(one: T): void {
    this.#waiting.delete(one);
    if (!this.#running.delete(one)) return;
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      this.ask(next);
      return;
    }
  }
}
