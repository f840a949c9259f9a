/**
 * Which workers use a block now: the way back from `RoutedWorker.uses`, so that a request's shared
 * blocks are counted for those that have some, and not looked for at each worker there is.
 */
import { blockName, type PlaceRequest } from "./place-request.ts";
import type { RoutedWorker } from "./worker-state.ts";

export class ActiveBlocks {
  /** Most blocks are used by one worker alone, and need no list. */
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
   * Adds to `shared` at each worker's place the leading blocks of the prompt that it uses. A worker
   * that uses a block uses those before it, as a block's name is made of its predecessor's.
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
