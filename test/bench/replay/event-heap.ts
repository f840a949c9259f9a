/** What happens next in virtual time: a binary heap; equal times go in the order they came. */
export class EventHeap<Event> {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #events: Event[] = [];
  #pushed = 0;

  get size(): number {
    return this.#events.length;
  }

  push(at_ms: number, event: Event): void {
    let at = this.#events.length;
    const order = this.#pushed++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#times[parent]! <= at_ms) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, at_ms, order, event);
  }

  pop(): { readonly at_ms: number; readonly event: Event } | undefined {
    if (this.#events.length === 0) return undefined;
    const popped = { at_ms: this.#times[0]!, event: this.#events[0]! };
    const at_ms = this.#times.pop()!;
    const order = this.#orders.pop()!;
    const event = this.#events.pop()!;
    if (this.#events.length > 0) this.#sink(at_ms, order, event);
    return popped;
  }

  #sink(at_ms: number, order: number, event: Event): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#events.length) break;
      if (child + 1 < this.#events.length && this.#before(child + 1, child)) child++;
      const earlier =
        this.#times[child]! < at_ms ||
        (this.#times[child]! === at_ms && this.#orders[child]! < order);
      if (!earlier) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, at_ms, order, event);
  }

  #before(a: number, b: number): boolean {
    if (this.#times[a]! !== this.#times[b]!) return this.#times[a]! < this.#times[b]!;
    return this.#orders[a]! < this.#orders[b]!;
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#times[from]!, this.#orders[from]!, this.#events[from]!);
  }

  #set(at: number, at_ms: number, order: number, event: Event): void {
    this.#times[at] = at_ms;
    this.#orders[at] = order;
    this.#events[at] = event;
  }
}
