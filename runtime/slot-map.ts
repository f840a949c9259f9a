/**
 * A map whose entries come and go, as requests do. JavaScriptCore's own `Map` keeps dead values: a
 * table that has become too small or too empty points to the one that follows it, so one that is
 * old and dead holds all later ones, and what was in them, until the next full collection. With a
 * Map of requests, half of their objects outlived every young collection
 * (docs/decisions/007-fast-door.md). Here the map holds numbers, and the values lie in an array.
 *
 *   keys  "a" ─▶ 2   "b" ─▶ 0          values  │ B │ – │ A │      free  1
 *
 * Iteration is in the order of insertion, as in a Map.
 */
export class SlotMap<K extends string | number, V> {
  readonly #places = new Map<K, number>();
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.size;
  }

  has(key: K): boolean {
    return this.#places.has(key);
  }

  get(key: K): V | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#values[place];
  }

  set(key: K, value: V): void {
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#free.pop() ?? this.#values.length;
      this.#places.set(key, place);
    }
    this.#values[place] = value;
  }

  /** Removes the entry and returns its value. */
  take(key: K): V | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    this.#places.delete(key);
    const value = this.#values[place];
    this.#values[place] = undefined;
    this.#free.push(place);
    return value;
  }

  delete(key: K): boolean {
    if (!this.#places.has(key)) return false;
    this.take(key);
    return true;
  }

  clear(): void {
    this.#places.clear();
    this.#values.length = 0;
    this.#free.length = 0;
  }

  keys(): IterableIterator<K> {
    return this.#places.keys();
  }

  *values(): Generator<V, void> {
    for (const place of this.#places.values()) yield this.#values[place] as V;
  }

  *[Symbol.iterator](): Generator<readonly [K, V], void> {
    for (const [key, place] of this.#places) yield [key, this.#values[place] as V];
  }
}
