/** A store of blocks that several machines share, and the one that forgets with its process. */

/**
 * Values by name, a few megabytes each at most. What is in it may be gone at any time: it is
 * bounded, and what nobody wants any more leaves first. Calls reject when it cannot be used now.
 */
export interface BlockStore {
  readonly name: string;
  get(name: string): Promise<Uint8Array | undefined>;
  /** The bytes may change once it has returned. */
  put(name: string, bytes: Uint8Array): Promise<void>;
}

export type StoreLimits = {
  readonly capacity_bytes: number;
  readonly ttl_ms: number;
};

/** Leaves first: what was used longest ago. */
export class MemoryBlockStore implements BlockStore {
  readonly name = "memory";
  readonly #limits: StoreLimits;
  readonly #now_ms: () => number;
  /** Least recently used first. */
  readonly #values = new Map<string, { readonly bytes: Uint8Array; readonly used_ms: number }>();
  #bytes = 0;

  constructor(limits: StoreLimits, now_ms: () => number) {
    this.#limits = limits;
    this.#now_ms = now_ms;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    this.#trim();
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    this.#values.delete(name);
    this.#values.set(name, { ...value, used_ms: this.#now_ms() });
    return value.bytes.slice();
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#drop(name);
    this.#values.set(name, { bytes: bytes.slice(), used_ms: this.#now_ms() });
    this.#bytes += bytes.length;
    this.#trim();
  }

  #trim(): void {
    const since_ms = this.#now_ms() - this.#limits.ttl_ms;
    for (const [name, { used_ms }] of this.#values) {
      if (this.#bytes <= this.#limits.capacity_bytes && used_ms > since_ms) return;
      this.#drop(name);
    }
  }

  #drop(name: string): void {
    this.#bytes -= this.#values.get(name)?.bytes.length ?? 0;
    this.#values.delete(name);
  }
}
