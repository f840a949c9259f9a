/**
 * Turns for lines: as many are under way as `allowed` says, and the others wait in order. Turns can
 * be taken back, the youngest first, when others need the workers.
 */
export interface Turn {
  /** Aborted: the turn is taken back. */
  readonly taken_back: AbortSignal;
  leave(): void;
}

type Given = { readonly back: AbortController; readonly stays: boolean };

export class Slots {
  #allowed = 1;
  /** In the order in which they were given. */
  readonly #given = new Set<Given>();
  readonly #waiting: (() => void)[] = [];

  get taken(): number {
    return this.#given.size;
  }

  get allowed(): number {
    return this.#allowed;
  }

  set allowed(count: number) {
    this.#allowed = count;
    this.#give();
  }

  /** Undefined: `stopped` came first. `stays`: this turn is not taken back. */
  async take(stopped: AbortSignal, stays = false): Promise<Turn | undefined> {
    if (stopped.aborted) return undefined;
    if (this.#waiting.length === 0 && this.taken < this.#allowed) return this.#turn(stays);
    return new Promise((resolve) => {
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        resolve(undefined);
      };
      const go = () => {
        stopped.removeEventListener("abort", stop);
        resolve(this.#turn(stays));
      };
      stopped.addEventListener("abort", stop, { once: true });
      this.#waiting.push(go);
    });
  }

  /** Takes turns back, the youngest first, until at most `most` are left or the others stay. */
  takeBack(most: number): void {
    const spare = [...this.#given].filter(({ stays, back }) => !stays && !back.signal.aborted);
    const count = Math.min(spare.length, this.taken - most);
    for (const { back } of spare.slice(spare.length - Math.max(0, count))) back.abort();
  }

  #turn(stays: boolean): Turn {
    const given: Given = { back: new AbortController(), stays };
    this.#given.add(given);
    return {
      taken_back: given.back.signal,
      leave: () => {
        this.#given.delete(given);
        this.#give();
      },
    };
  }

  #give(): void {
    while (this.taken < this.#allowed) {
      const go = this.#waiting.shift();
      if (go === undefined) return;
      go();
    }
  }
}
