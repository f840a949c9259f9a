/** Messages nobody will handle: counted all, the last few kept for people. */

import type { Meta, Ref } from "./ref.ts";

export type DeadLetterReason = "stopped" | "drop_oldest" | "drop_newest";

export type DeadLetter = {
  readonly path: string;
  readonly kind: string;
  readonly reason: DeadLetterReason;
};

const KEPT = 64;

export class DeadLetters {
  count = 0;
  readonly #recent: { ref: Ref; kind: string; reason: DeadLetterReason }[] = [];

  /** Fails the ask when the message was one. */
  add(ref: Ref, kind: string, meta: Meta | undefined, reason: DeadLetterReason): void {
    // Paths are made when somebody reads: a flood to a dead actor stays cheap.
    this.#recent[this.count % KEPT] = { ref, kind, reason };
    this.count++;
    const port = meta?.port;
    if (port === undefined) return;
    if (reason === "stopped") port.fail("down", "the actor has ended");
    else port.fail("mailbox_full", `dropped by its mailbox (${reason})`);
  }

  /** Oldest first. */
  recent(): readonly DeadLetter[] {
    const start = this.count > KEPT ? this.count % KEPT : 0;
    const ordered = [...this.#recent.slice(start), ...this.#recent.slice(0, start)];
    return ordered.map(({ ref, kind, reason }) => ({ path: ref.address.path, kind, reason }));
  }
}
