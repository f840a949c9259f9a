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

  async create(key: string, value: Uint8Array): Promise<boolean> {
    if (this.#records.has(key)) return false;
    this.#records.set(key, value.slice());
    return true;
  }

  async replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean> {
    const held = this.#records.get(key);
    if (held === undefined || Buffer.compare(held, was) !== 0) return false;
    this.#records.set(key, value.slice());
    return true;
  }

  async delete(key: string): Promise<void> {
    this.#records.delete(key);
  }

  async list(prefix: string, limit: number, after?: string): Promise<readonly string[]> {
    const isBehind = (key: string) => after === undefined || byCodePoint(key, after) > 0;
    const keys = [...this.#records.keys()].filter((key) => key.startsWith(prefix) && isBehind(key));
    return keys.sort(byCodePoint).slice(0, limit);
  }

  async close(): Promise<void> {}
}

/** SQLite and Redis order keys by their UTF-8 bytes; UTF-16 order differs beyond the BMP. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
