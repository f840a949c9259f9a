/**
 * A way between two memories, as a copy engine is one: one copy after the other, each at the full
 * bandwidth, seen a latency after its last byte. The time is the caller's.
 */
export type LinkSpeed = {
  /** 0: no time. */
  readonly bytes_per_ms: number;
  /** Of each copy; does not hold up the next one. */
  readonly latency_ms: number;
};

export class Link {
  readonly #speed: LinkSpeed;
  #free_ms = 0;

  constructor(speed: LinkSpeed) {
    this.#speed = speed;
  }

  /** When bytes that are ready at `ready_ms`, behind all that were given before, are there. */
  carry(bytes: number, ready_ms: number): number {
    const { bytes_per_ms, latency_ms } = this.#speed;
    const copy_ms = bytes_per_ms === 0 ? 0 : bytes / bytes_per_ms;
    this.#free_ms = Math.max(this.#free_ms, ready_ms) + copy_ms;
    return this.#free_ms + latency_ms;
  }
}
