/**
 * What may give way, lowest priority and oldest first: a heap whose items are checked when they are
 * taken, so that using a block costs one push and no search. Items that no longer hold are dropped
 * on the way, and swept out when they are as many as the live ones.
 */
type Item<T> = { readonly value: T; readonly priority: number; readonly stamp: number };

/** Below that many items nothing is swept out. */
const SWEEP_FROM = 64;

export class LeafQueue<T> {
  readonly #isLive: (value: T, stamp: number) => boolean;
  #heap: Item<T>[] = [];
  #sweep_at = SWEEP_FROM;

  /** @param isLive whether what was pushed with that stamp still holds */
  constructor(isLive: (value: T, stamp: number) => boolean) {
    this.#isLive = isLive;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** `stamp` grows; a value that is pushed again with another one stands where that puts it. */
  push(value: T, priority: number, stamp: number): void {
    if (this.#heap.length >= this.#sweep_at) this.#sweep();
    this.#add({ value, priority, stamp });
  }

  /** Takes the first `most` live ones, in order; the caller pushes back what stays. */
  take(most: number): readonly T[] {
    const found: T[] = [];
    while (found.length < most) {
      const item = this.#pop();
      if (item === undefined) break;
      const { value, stamp } = item;
      if (this.#isLive(value, stamp) && !found.includes(value)) found.push(value);
    }
    return found;
  }

  #add(item: Item<T>): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(item, heap[up]!)) break;
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = item;
  }

  #pop(): Item<T> | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  #sweep(): void {
    const all = this.#heap;
    this.#heap = [];
    for (const item of all) if (this.#isLive(item.value, item.stamp)) this.#add(item);
    this.#sweep_at = Math.max(SWEEP_FROM, this.#heap.length * 2);
  }
}

const isBefore = (a: Item<unknown>, b: Item<unknown>) =>
  a.priority === b.priority ? a.stamp < b.stamp : a.priority < b.priority;
