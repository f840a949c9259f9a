/** Messages that no actor will handle. All are counted; the last few are kept for people. */

import type { Clock } from "../capabilities.ts";
import type { Mailbox } from "../kernel/mailbox.ts";
import type { Message } from "../kernel/message.ts";
import type { Meta, Ref } from "../kernel/ref.ts";

type DeadLetterReason = "stopped" | "drop_oldest" | "drop_newest";

export type DeadLetter = {
  readonly path: string;
  readonly kind: string;
  readonly reason: DeadLetterReason;
  readonly wall_ms: number;
};

type Kept = {
  readonly ref: Ref;
  readonly kind: string;
  readonly reason: DeadLetterReason;
  readonly wall_ms: number;
};

const KEPT = 64;

export class DeadLetters {
  count = 0;
  readonly #recent: Kept[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Fails the ask when the message was one. */
  add(ref: Ref, kind: string, meta: Meta | undefined, reason: DeadLetterReason): void {
    // Paths are made at a read, so that a flood to a dead actor stays cheap.
    const wall_ms = this.#clock.wall_ms();
    this.#recent[this.count % KEPT] = { ref, kind, reason, wall_ms };
    this.count++;
    const port = meta?.port;
    if (port === undefined) return;
    if (reason === "stopped") port.fail("down", "the actor has ended");
    else port.fail("mailbox_full", `dropped by its mailbox (${reason})`);
  }

  /** Adds the messages left in the mailbox of an actor that ended. */
  addAll(ref: Ref, mailbox: Mailbox): void {
    while (mailbox.count > 0) {
      const { kind } = mailbox.shift();
      this.add(ref, kind, mailbox.meta, "stopped");
    }
  }

  /** Offers a message to a full mailbox. A message lost by this is a dead letter. */
  offer(ref: Ref, mailbox: Mailbox, message: Message, meta: Meta | undefined): boolean {
    const accepted = mailbox.offer(message, meta, (lost, lost_meta, why) =>
      this.add(ref, lost.kind, lost_meta, why),
    );
    if (!accepted) meta?.port?.fail("mailbox_full", `it holds ${mailbox.capacity} messages`);
    return accepted;
  }

  /** Oldest first. */
  recent(): readonly DeadLetter[] {
    const start = this.count > KEPT ? this.count % KEPT : 0;
    const ordered = [...this.#recent.slice(start), ...this.#recent.slice(0, start)];
    return ordered.map(({ ref, ...rest }) => ({ path: ref.address.path, ...rest }));
  }
}
