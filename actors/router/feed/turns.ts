/** At most so many have their turn at once; the others wait, in order. */
export class Turns<T> {
  readonly #most: number;
  readonly #begin: (one: T) => void;
  readonly #running = new Set<T>();
  readonly #waiting = new Set<T>();

  /** `begin`: it is this one's turn, until `over` is called for it. */
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

  /** It does not want a turn any more, or has had it: another one may. */
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
