/** The numbered events of one engine's cache, for one listener, which keeps them. */
import type { KvEvent } from "../../llm/blocks/kv-event.ts";

export class KvEventLog {
  /** -1 before the first. */
  last_event_id = -1;
  #listener: ((event: KvEvent) => void) | undefined;

  /** Hears each event as it happens. One listener. */
  onEvent(listener: (event: KvEvent) => void): void {
    this.#listener = listener;
  }

  nextId(): number {
    return this.last_event_id + 1;
  }

  /** The event must carry `nextId()`. */
  append(event: KvEvent): void {
    if (event.event_id !== this.last_event_id + 1) {
      throw new RangeError(`event ${event.event_id} after ${this.last_event_id}`);
    }
    this.last_event_id = event.event_id;
    this.#listener?.(event);
  }
}
