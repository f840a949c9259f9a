/**
 * Workers by the blocks that they use now: the reverse of `RoutedWorker.uses`. So a request's
 * shared blocks are counted without a look at each worker.
 */
import { blockName, type PlaceRequest } from "./place-request.ts";
import type { RoutedWorker } from "./worker-state.ts";

export class ActiveBlocks {
  /** One worker uses most blocks alone, so those need no list. */
  readonly #users = new Map<number, RoutedWorker | RoutedWorker[]>();

  get size(): number {
    return this.#users.size;
  }

  add(name: number, worker: RoutedWorker): void {
    const known = this.#users.get(name);
    if (known === undefined) this.#users.set(name, worker);
    else if (Array.isArray(known)) known.push(worker);
    else this.#users.set(name, [known, worker]);
  }

  remove(name: number, worker: RoutedWorker): void {
    const known = this.#users.get(name);
    if (!Array.isArray(known)) {
      if (known === worker) this.#users.delete(name);
      return;
    }
    const at = known.indexOf(worker);
    if (at < 0) return;
    const last = known.pop()!;
    if (at < known.length) known[at] = last;
    if (known.length === 1) this.#users.set(name, known[0]!);
  }

  /**
   * Adds to `shared`, at each worker's place, the leading blocks of the prompt that it uses. A
   * worker that uses a block uses all before it, as a block's name is made of its predecessor's.
   */
  count({ hashes }: PlaceRequest, shared: Int32Array): void {
    const full = hashes.length >>> 1;
    for (let block = 0; block < full; block++) {
      const users = this.#users.get(blockName(hashes, block));
      if (users === undefined) return;
      if (!Array.isArray(users)) shared[users.at]!++;
      else for (let i = 0; i < users.length; i++) shared[users[i]!.at]!++;
    }
  }
}
