/**
 * The next pair to merge: least key first, of equal keys the one furthest left. A binary heap over
 * typed arrays, so that a word of 100,000 characters makes no garbage and stays n log n.
 */
export class MergeQueue {
  #keys = new Float64Array(256);
  #lefts = new Int32Array(256);
  #rights = new Int32Array(256);
  #sizes = new Int32Array(256);
  #payloads = new Int32Array(256);
  #count = 0;

  /** The popped pair: indices of its symbols, their joint size when it was pushed, the payload. */
  left = 0;
  right = 0;
  size = 0;
  payload = 0;

  clear(): void {
    this.#count = 0;
  }

  push(key: number, left: number, right: number, size: number, payload: number): void {
    if (this.#count === this.#keys.length) this.#grow();
    let at = this.#count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(key, left, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, key, left, right, size, payload);
  }

  /** Takes the first pair into the fields; false when there is none. */
  pop(): boolean {
    if (this.#count === 0) return false;
    this.left = this.#lefts[0]!;
    this.right = this.#rights[0]!;
    this.size = this.#sizes[0]!;
    this.payload = this.#payloads[0]!;
    const last = --this.#count;
    if (last > 0) this.#sink(last);
    return true;
  }

  /** Puts entry `from` where the root was, and down to its place. */
  #sink(from: number): void {
    const key = this.#keys[from]!;
    const left = this.#lefts[from]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= from) break;
      if (
        child + 1 < from &&
        this.#before(this.#keys[child + 1]!, this.#lefts[child + 1]!, child)
      ) {
        child++;
      }
      if (
        !(this.#keys[child]! < key || (this.#keys[child] === key && this.#lefts[child]! < left))
      ) {
        break;
      }
      this.#move(child, at);
      at = child;
    }
    this.#set(at, key, left, this.#rights[from]!, this.#sizes[from]!, this.#payloads[from]!);
  }

  #before(key: number, left: number, entry: number): boolean {
    const other = this.#keys[entry]!;
    return key < other || (key === other && left < this.#lefts[entry]!);
  }

  #move(from: number, to: number): void {
    this.#keys[to] = this.#keys[from]!;
    this.#lefts[to] = this.#lefts[from]!;
    this.#rights[to] = this.#rights[from]!;
    this.#sizes[to] = this.#sizes[from]!;
    this.#payloads[to] = this.#payloads[from]!;
  }

  #set(at: number, key: number, left: number, right: number, size: number, payload: number): void {
    this.#keys[at] = key;
    this.#lefts[at] = left;
    this.#rights[at] = right;
    this.#sizes[at] = size;
    this.#payloads[at] = payload;
  }

  #grow(): void {
    const grown = 2 * this.#keys.length;
    const keys = new Float64Array(grown);
    keys.set(this.#keys);
    this.#keys = keys;
    const wider = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const fresh = new Int32Array(grown);
      fresh.set(old);
      return fresh;
    };
    this.#lefts = wider(this.#lefts);
    this.#rights = wider(this.#rights);
    this.#sizes = wider(this.#sizes);
    this.#payloads = wider(this.#payloads);
  }
}

/** The symbols of one word as a doubly linked list over its bytes; -1 ends it on both sides. */
export class SymbolList {
  starts = new Int32Array(256);
  sizes = new Int32Array(256);
  ids = new Int32Array(256);
  prev = new Int32Array(256);
  next = new Int32Array(256);
  count = 0;

  clear(): void {
    this.count = 0;
  }

  push(start: number, size: number, id: number): void {
    const at = this.count++;
    if (at === this.starts.length) this.#grow();
    this.starts[at] = start;
    this.sizes[at] = size;
    this.ids[at] = id;
    this.prev[at] = at - 1;
    this.next[at] = -1;
    if (at > 0) this.next[at - 1] = at;
  }

  /** Joins `right` into `left`; a symbol of size 0 is gone. */
  join(left: number, right: number, id: number): void {
    this.sizes[left] = this.sizes[left]! + this.sizes[right]!;
    this.sizes[right] = 0;
    this.ids[left] = id;
    const after = this.next[right]!;
    this.next[left] = after;
    if (after >= 0) this.prev[after] = left;
  }

  #grow(): void {
    const grown = 2 * this.starts.length;
    const wider = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const fresh = new Int32Array(grown);
      fresh.set(old);
      return fresh;
    };
    this.starts = wider(this.starts);
    this.sizes = wider(this.sizes);
    this.ids = wider(this.ids);
    this.prev = wider(this.prev);
    this.next = wider(this.next);
  }
}
