/** A store that forgets with its process: the simulator's, and the test double of the others. */
import type { Store } from "../capabilities.ts";

export class MemoryStore implements Store {
  readonly #records = new Map<string, Uint8Array>();

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#records.get(key)?.slice();
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    this.#records.set(key, value.slice());
  }

  async delete(key: string): Promise<void> {
    this.#records.delete(key);
  }

  async list(prefix: string, limit: number): Promise<readonly string[]> {
    const keys = [...this.#records.keys()].filter((key) => key.startsWith(prefix));
    return keys.sort(byCodePoint).slice(0, limit);
  }

  async close(): Promise<void> {}
}

/** SQLite and Redis order keys by their UTF-8 bytes; UTF-16 order differs beyond the BMP. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
