/**
 * Changes that were asked for, each under its name: one that is asked for again, because its answer
 * was lost or the pool was restarted, is joined or gets the same answer, and is not done twice.
 */

/** Finished changes that are remembered; the oldest go first. */
const REMEMBERED = 1_000;

type Entry = { readonly answer: Promise<unknown>; readonly asked: number; over: boolean };

export type NamedChange = {
  /** Empty: it is always new. */
  readonly name: string;
  /** Of who decides; 0 is never over. */
  readonly epoch: number;
  /** What the epoch is about, as several deciders have one each. */
  readonly about: string;
  /** Workers that are asked for. */
  readonly asked: number;
};

export class ChangeBook {
  readonly #entries = new Map<string, Entry>();
  readonly #epochs = new Map<string, number>();

  /** The highest of all changes so far. */
  get epoch(): number {
    return Math.max(0, ...this.#epochs.values());
  }

  /** The highest of the changes about this. */
  epochOf(about: string): number {
    return this.#epochs.get(about) ?? 0;
  }

  /** From here on lower ones are over. */
  raise(about: string, epoch: number): void {
    this.#epochs.set(about, Math.max(this.epochOf(about), epoch));
  }

  /** What the change of this name asked for; 0: it is not known. */
  asked(name: string): number {
    return this.#entries.get(name)?.asked ?? 0;
  }

  /** Changes that are under way. */
  get open(): number {
    let open = 0;
    for (const { over } of this.#entries.values()) if (!over) open++;
    return open;
  }

  /**
   * The answer of a change, which is begun if it is new. Undefined: its epoch is over, so whoever
   * asks decides no more.
   */
  once<Answer>(
    { name, epoch, about, asked }: NamedChange,
    begin: () => Promise<Answer>,
  ): Promise<Answer> | undefined {
    const known = name === "" ? undefined : this.#entries.get(name);
    if (known !== undefined) return known.answer as Promise<Answer>;
    if (epoch !== 0 && epoch < this.epochOf(about)) return undefined;
    if (epoch !== 0) this.raise(about, epoch);
    const answer = begin();
    if (name === "") return answer;
    const entry = { answer, asked, over: false };
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
