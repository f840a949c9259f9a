/** A store that is opened by its first call, and again by a later one where that failed. */
import type { Store } from "../capabilities.ts";

export class OpenedLateStore implements Store {
  readonly #open: () => Promise<Store>;
  #opening: Promise<Store> | undefined;

  constructor(open: () => Promise<Store>) {
    this.#open = open;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#opened()).get(key);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    const mine = value.slice();
    return (await this.#opened()).put(key, mine);
  }

  async create(key: string, value: Uint8Array): Promise<boolean> {
    const mine = value.slice();
    return (await this.#opened()).create(key, mine);
  }

  async replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean> {
    const [from, to] = [was.slice(), value.slice()];
    return (await this.#opened()).replace(key, from, to);
  }

  async delete(key: string): Promise<void> {
    return (await this.#opened()).delete(key);
  }

  async list(prefix: string, limit: number, after?: string): Promise<readonly string[]> {
    return (await this.#opened()).list(prefix, limit, after);
  }

  /** Closes nothing that was never opened. */
  async close(): Promise<void> {
    await (await this.#opening?.catch(() => undefined))?.close();
  }

  #opened(): Promise<Store> {
    if (this.#opening !== undefined) return this.#opening;
    const opening = this.#open();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }
}
