/**
 * The last events of one worker's cache, by id, for whoever missed some. It is a ring: what is
 * older than its capacity must be fetched as a whole dump.
 */
import type { KvEvent } from "../../llm/kv-event.ts";

export type KvRange =
  | { readonly kind: "events"; readonly events: readonly KvEvent[] }
  /** The first id asked for is no longer here. */
  | { readonly kind: "too_old"; readonly oldest_id: number }
  /** The id asked for was never given: the asker knows another worker's log. */
  | { readonly kind: "too_new"; readonly last_id: number };

export class KvEventLog {
  /** -1 before the first. */
  last_event_id = -1;
  private readonly ring: KvEvent[] = [];
  private listener: ((event: KvEvent) => void) | undefined;

  constructor(private readonly capacity = 16_384) {}

  /** Hears each event as it happens. One listener. */
  onEvent(listener: (event: KvEvent) => void): void {
    this.listener = listener;
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
    this.ring[event.event_id % this.capacity] = event;
    this.listener?.(event);
  }

  /** At most `limit` events from `first_id` on; none when `first_id` is the next one to come. */
  range(first_id: number, limit = Number.POSITIVE_INFINITY): KvRange {
    const last_id = this.last_event_id;
    if (first_id > last_id + 1) return { kind: "too_new", last_id };
    const oldest_id = Math.max(0, last_id + 1 - this.capacity);
    if (first_id < oldest_id) return { kind: "too_old", oldest_id };
    const events: KvEvent[] = [];
    const end = Math.min(last_id + 1, first_id + limit);
    for (let id = first_id; id < end; id++) events.push(this.ring[id % this.capacity]!);
    return { kind: "events", events };
  }
}
