/** Turns for lines: as many are under way as `allowed` says, and the others wait in order. */
export class Slots {
  #allowed = 1;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  get taken(): number {
    return this.#taken;
  }

  get allowed(): number {
    return this.#allowed;
  }

  set allowed(count: number) {
    this.#allowed = count;
    this.#give();
  }

  /** False: `stopped` came first, and no turn was taken. */
  async take(stopped: AbortSignal): Promise<boolean> {
    if (stopped.aborted) return false;
    if (this.#waiting.length === 0 && this.#taken < this.#allowed) {
      this.#taken += 1;
      return true;
    }
    return new Promise((resolve) => {
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        resolve(false);
      };
      const go = () => {
        stopped.removeEventListener("abort", stop);
        resolve(true);
      };
      stopped.addEventListener("abort", stop, { once: true });
      this.#waiting.push(go);
    });
  }

  leave(): void {
    this.#taken -= 1;
    this.#give();
  }

  #give(): void {
    while (this.#taken < this.#allowed) {
      const go = this.#waiting.shift();
      if (go === undefined) return;
      this.#taken += 1;
      go();
    }
  }
}
