/**
 * Several requests may want to begin the same answer; the first one that claims it may. A claim
 * lasts until its claimer ends or gives it back, because a request may wait for a worker up to its
 * own deadline. Claims say nothing of answers that are made already.
 */
export type ClaimHost = {
  readonly demonitor: (monitor: number) => void;
};

/** `name`: unique to this claim; earlier and later claims of the same answer have others. */
type Held = { readonly name: string; readonly monitor: number };

/**
 * Each claim is a request that some door has open, and doors bound those. Beyond this many a claim
 * is refused: to begin an answer twice would be worse than to let the request wait.
 */
const CLAIMS_MAX = 65_536;

export class Claims {
  readonly #host: ClaimHost;
  readonly #by_answer = new Map<string, Held>();
  readonly #by_monitor = new Map<number, string>();

  constructor(host: ClaimHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#by_answer.size;
  }

  /**
   * True: this claim holds the answer. `watch` monitors the claimer; it is called only for a new
   * claim.
   */
  claim(answer: string, name: string, watch: () => number): boolean {
    const held = this.#by_answer.get(answer);
    if (held !== undefined) return held.name === name;
    if (this.#by_answer.size >= CLAIMS_MAX) return false;
    const monitor = watch();
    this.#by_answer.set(answer, { name, monitor });
    this.#by_monitor.set(monitor, answer);
    return true;
  }

  /** Releases this claim only; another claim of the same answer stays. */
  release(answer: string, name: string): void {
    const held = this.#by_answer.get(answer);
    if (held?.name !== name) return;
    this.#by_answer.delete(answer);
    this.#by_monitor.delete(held.monitor);
    this.#host.demonitor(held.monitor);
  }

  /** A claimer ended. False: the monitor belongs to no claim. */
  claimerGone(monitor: number): boolean {
    const answer = this.#by_monitor.get(monitor);
    if (answer === undefined) return false;
    this.#by_monitor.delete(monitor);
    this.#by_answer.delete(answer);
    return true;
  }
}
