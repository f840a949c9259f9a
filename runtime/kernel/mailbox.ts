/**
 * A bounded ring of messages, each with its metadata in the slot beside it:
 *
 *      head                 head + count
 *       ▼                        ▼
 *   │ m │ meta │ m │ meta │ m │ meta │   │   │      pairs: a power of two of them is stored
 *
 * Two slots in one array instead of an envelope object, so that a plain tell allocates nothing.
 * Storage comes with the first message and grows up to `capacity`: an idle actor owns none.
 */

import type { Message } from "./message.ts";
import type { Meta } from "./ref.ts";

/**
 * How a full mailbox treats a new message. `reject`: `tell` returns false. `drop_newest`: the new
 * message is lost and `tell` returns true. `drop_oldest`: the longest waiting one is lost instead.
 */
export type WhenFull = "reject" | "drop_oldest" | "drop_newest";

export type MailboxOptions = { readonly capacity: number; readonly when_full: WhenFull };

export const defaultMailbox: MailboxOptions = Object.freeze({
  capacity: 65_536,
  when_full: "reject",
});

const SMALLEST_RING = 4;
/** Rings up to this size are kept for good; larger ones shrink when they stay mostly empty. */
const KEPT_RING = 64;

/** Told of every message the mailbox loses. */
type Dropped = (message: Message, meta: Meta | undefined, why: Exclude<WhenFull, "reject">) => void;

export class Mailbox {
  readonly capacity: number;
  readonly when_full: WhenFull;
  /** Messages waiting. */
  count = 0;
  /** How many of the waiting messages are asks. */
  asks = 0;
  /** Metadata of the message `shift` returned last. */
  meta: Meta | undefined = undefined;

  // Waiting is measured on one message at a time: it is marked, and timed when it leaves.
  #mark_ms = 0;
  #until_mark = -1;
  #last_wait_ms = 0;

  #slots: (Message | Meta | undefined)[] = [];
  #mask = -1;
  #head = 0;
  #peak = 0;

  /** `capacity` in messages, at least 1: `checkSpawnOptions` has seen to it. */
  constructor(options: MailboxOptions) {
    this.capacity = options.capacity;
    this.when_full = options.when_full;
  }

  /** The caller has made sure there is room: `count < capacity`. */
  push(message: Message, meta: Meta | undefined): void {
    if (this.count > this.#mask) this.#grow();
    const at = ((this.#head + this.count) & this.#mask) << 1;
    this.#slots[at] = message;
    this.#slots[at + 1] = meta;
    if (meta?.port !== undefined) this.asks++;
    this.count++;
  }

  /** Applies `when_full`. False: refused, the caller keeps the message. */
  offer(message: Message, meta: Meta | undefined, dropped: Dropped): boolean {
    if (this.count < this.capacity) {
      this.push(message, meta);
      return true;
    }
    switch (this.when_full) {
      case "reject":
        return false;
      case "drop_newest":
        dropped(message, meta, "drop_newest");
        return true;
      case "drop_oldest": {
        const oldest = this.shift();
        dropped(oldest, this.meta, "drop_oldest");
        this.push(message, meta);
        return true;
      }
    }
  }

  /** The oldest message; its metadata is then in `meta`. The caller has made sure of `count > 0`. */
  shift(): Message {
    const at = this.#head << 1;
    const slots = this.#slots;
    const message = slots[at] as Message;
    const meta = slots[at + 1] as Meta | undefined;
    this.meta = meta;
    if (meta?.port !== undefined) this.asks--;
    slots[at] = undefined;
    slots[at + 1] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.count--;
    return message;
  }

  /** Called at the start of a turn, before `handled` messages leave. */
  beginTurn(now_ms: number): void {
    if (this.count > this.#peak) this.#peak = this.count;
    if (this.#until_mark >= 0) return;
    this.#until_mark = this.count;
    this.#mark_ms = now_ms;
  }

  /** Called at the end of a turn in which `left` messages left. */
  endTurn(left: number, now_ms: number): void {
    if (this.#until_mark >= 0) {
      this.#until_mark -= left;
      if (this.#until_mark <= 0) {
        this.#until_mark = -1;
        this.#last_wait_ms = now_ms - this.#mark_ms;
      }
    }
    if (this.count === 0 && this.#mask >= KEPT_RING) this.#shrink();
  }

  /** A lower bound of how long the oldest message has waited; 0 when the mailbox is empty. */
  oldestAge_ms(now_ms: number): number {
    if (this.count === 0) return 0;
    const marked_ms = this.#until_mark >= 0 ? now_ms - this.#mark_ms : 0;
    return Math.max(marked_ms, this.#last_wait_ms);
  }

  #grow(): void {
    const old_size = this.#mask + 1;
    const size = old_size === 0 ? SMALLEST_RING : old_size * 2;
    const slots: (Message | Meta | undefined)[] = new Array(size << 1).fill(undefined);
    for (let i = 0; i < this.count; i++) {
      const from = ((this.#head + i) & this.#mask) << 1;
      slots[i << 1] = this.#slots[from];
      slots[(i << 1) + 1] = this.#slots[from + 1];
    }
    this.#slots = slots;
    this.#mask = size - 1;
    this.#head = 0;
  }

  /** Halves a ring that is four times too large: one burst does not cost memory for ever. */
  #shrink(): void {
    if (this.#peak * 4 <= this.#mask + 1) {
      this.#mask >>= 1;
      this.#slots = new Array((this.#mask + 1) << 1).fill(undefined);
      this.#head = 0;
    }
    this.#peak = 0;
  }
}
