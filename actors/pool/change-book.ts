/**
 * Changes that were asked for, each under its name: one that is asked for again, because its answer
 * was lost or the pool was restarted, is joined or gets the same answer, and is not done twice.
 */

/** Finished changes that are remembered; the oldest go first. */
const REMEMBERED = 1_000;

type Entry = { readonly answer: Promise<unknown>; over: boolean };

export class ChangeBook {
  readonly #entries = new Map<string, Entry>();
  #epoch = 0;

  /** The highest of all changes so far. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Changes that are under way. */
  get open(): number {
    let open = 0;
    for (const { over } of this.#entries.values()) if (!over) open++;
    return open;
  }

  /**
   * The answer of a change, which is begun if it is new. Undefined: its epoch is over, so whoever
   * asks decides no more. A change without a name is always new; epoch 0 is never over.
   */
  once<Answer>(
    name: string,
    epoch: number,
    begin: () => Promise<Answer>,
  ): Promise<Answer> | undefined {
    const known = name === "" ? undefined : this.#entries.get(name);
    if (known !== undefined) return known.answer as Promise<Answer>;
    if (epoch !== 0 && epoch < this.#epoch) return undefined;
    this.#epoch = Math.max(this.#epoch, epoch);
    const answer = begin();
    if (name === "") return answer;
    const entry = { answer, over: false };
    this.#entries.set(name, entry);
    const ended = () => {
      entry.over = true;
      this.#forget();
    };
    answer.then(ended, ended);
    return answer;
  }

  #forget(): void {
    let over = this.#entries.size - this.open - REMEMBERED;
    if (over <= 0) return;
    for (const [name, entry] of this.#entries) {
      if (!entry.over) continue;
      this.#entries.delete(name);
      if (--over <= 0) return;
    }
  }
}
