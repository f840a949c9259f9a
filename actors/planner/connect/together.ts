/**
 * Changes that are asked in one turn, carried out as one: a decision about two roles is one for
 * whoever obeys it. One group after the other.
 */
import type { Clock } from "../../../runtime/capabilities.ts";

export class Together<One, Answer> {
  readonly #clock: Clock;
  /** Must not reject. */
  readonly #carryOut: (all: readonly One[]) => Promise<Answer>;
  #waiting: { readonly one: One; readonly answer: (answer: Answer) => void }[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, carryOut: (all: readonly One[]) => Promise<Answer>) {
    this.#clock = clock;
    this.#carryOut = carryOut;
  }

  /** The answer is the same for all of one turn. */
  ask(one: One): Promise<Answer> {
    return new Promise((answer) => {
      this.#waiting.push({ one, answer });
      if (this.#waiting.length > 1) return;
      this.#clock.defer(() => {
        const all = this.#waiting;
        this.#waiting = [];
        void this.inTurn(() => this.#carryOut(all.map(({ one: each }) => each))).then((said) => {
          for (const each of all) each.answer(said);
        });
      });
    });
  }

  /** Never beside a group that is carried out. */
  inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(run);
    this.#turn = done.catch(() => {});
    return done;
  }
}
