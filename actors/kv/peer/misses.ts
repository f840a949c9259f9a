/** Blocks that their owner did not have a moment ago: nobody asks for them again so soon. Pure. */

/** Beyond that the oldest is forgotten. */
const MISSES_MOST = 65_536;

export class Misses {
  readonly #keep_ms: number;
  /** In the order they were noted in: until when. */
  readonly #until_ms = new Map<bigint, number>();

  constructor(keep_ms: number) {
    this.#keep_ms = keep_ms;
  }

  get size(): number {
    return this.#until_ms.size;
  }

  note(hash: bigint, now_ms: number): void {
    this.#until_ms.delete(hash);
    this.#until_ms.set(hash, now_ms + this.#keep_ms);
    for (const [oldest, until_ms] of this.#until_ms) {
      if (until_ms > now_ms && this.#until_ms.size <= MISSES_MOST) return;
      this.#until_ms.delete(oldest);
    }
  }

  has(hash: bigint, now_ms: number): boolean {
    return (this.#until_ms.get(hash) ?? 0) > now_ms;
  }

  /** It may be there now. */
  forget(hash: bigint): void {
    this.#until_ms.delete(hash);
  }
}
