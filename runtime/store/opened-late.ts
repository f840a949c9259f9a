/** A store that is opened by its first call, and again by a later one where that failed. */
import type { Store } from "../capabilities.ts";
import { OpenOnce } from "./open-once.ts";

export class OpenedLateStore implements Store {
  readonly #opened: OpenOnce<Store>;

  constructor(open: () => Promise<Store>) {
    this.#opened = new OpenOnce(open);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#opened.get()).get(key);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    const mine = value.slice();
    return (await this.#opened.get()).put(key, mine);
  }

  async create(key: string, value: Uint8Array): Promise<boolean> {
    const mine = value.slice();
    return (await this.#opened.get()).create(key, mine);
  }

  async replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean> {
    const [from, to] = [was.slice(), value.slice()];
    return (await this.#opened.get()).replace(key, from, to);
  }

  async delete(key: string): Promise<void> {
    return (await this.#opened.get()).delete(key);
  }

  async list(prefix: string, limit: number, after?: string): Promise<readonly string[]> {
    return (await this.#opened.get()).list(prefix, limit, after);
  }

  /** Closes nothing that was never opened. */
  async close(): Promise<void> {
    await (await this.#opened.started?.catch(() => undefined))?.close();
  }
}
