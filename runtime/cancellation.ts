/**
 * What belongs to one request ends with it. A scope is cancelled once, by a person, a deadline or
 * its parent, and takes everything under it along:
 *
 *     request ──┬── prefill           cancel("client gone") on the request
 *               └── decode ── sample  reaches all three, children first told
 *
 * Across processes it goes on as a message: `scope.tellOnCancel(worker, { kind: "cancel", … })`.
 */

import type { Clock, Timer } from "./capabilities.ts";
import type { Message } from "./message.ts";
import type { Ref } from "./ref.ts";

/** Thrown by `throwIfCancelled`, and the reason of `signal`. */
export class CancelledError extends Error {
  override readonly name = "CancelledError";
  readonly code = "cancelled";
  readonly reason: string;

  constructor(reason: string) {
    super(`cancelled: ${reason}`);
    this.reason = reason;
  }
}

/** The reason when the deadline did it. */
export const deadlineReason = "deadline";

export class CancelScope {
  /** Absolute, on the scale of `clock.now_ms`; the parent's when that is earlier. */
  readonly deadline_ms: number | undefined;
  readonly #clock: Clock;
  readonly #listeners = new Set<(reason: string) => void>();
  #reason: string | undefined = undefined;
  #closed = false;
  #timer: Timer | undefined = undefined;
  #leaveParent: (() => void) | undefined = undefined;
  #abort: AbortController | undefined = undefined;

  constructor(clock: Clock, deadline_ms?: number, parent?: CancelScope) {
    this.#clock = clock;
    this.deadline_ms = earlier(deadline_ms, parent?.deadline_ms);
    this.#leaveParent = parent?.onCancel((reason) => this.cancel(reason));
    // The parent's own timer reaches this scope too; only an earlier deadline needs another.
    if (this.ended || this.deadline_ms === undefined) return;
    if (this.deadline_ms === parent?.deadline_ms) return;
    const delay_ms = Math.max(0, this.deadline_ms - clock.now_ms());
    this.#timer = clock.after(delay_ms, () => this.cancel(deadlineReason));
  }

  /** Why it was cancelled; undefined as long as it was not. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get cancelled(): boolean {
    return this.#reason !== undefined;
  }

  /** Cancelled or closed. */
  get ended(): boolean {
    return this.#closed || this.#reason !== undefined;
  }

  /** False when it had ended before: the first reason stays. */
  cancel(reason: string): boolean {
    if (this.ended) return false;
    this.#reason = reason;
    this.#release();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    // Last come, first told: inner parts are let go before what they stand on.
    for (const listener of listeners.reverse()) listener(reason);
    this.#abort?.abort(new CancelledError(reason));
    return true;
  }

  /** The work is done: nothing under it is cancelled, and nobody is told any more. */
  close(): void {
    if (this.ended) return;
    this.#closed = true;
    this.#release();
    this.#listeners.clear();
  }

  /** Calls at once when it was cancelled already. Returns what takes the listener away. */
  onCancel(listener: (reason: string) => void): () => void {
    if (this.#reason !== undefined) {
      listener(this.#reason);
    } else if (!this.#closed) {
      this.#listeners.add(listener);
    }
    return () => void this.#listeners.delete(listener);
  }

  /** Cancelled with this one; its own cancel and deadline stay its own. */
  child(deadline_ms?: number): CancelScope {
    return new CancelScope(this.#clock, deadline_ms, this);
  }

  /** How the scope crosses to whoever works for it, in this process or another. */
  tellOnCancel<M extends Message>(ref: Ref<M>, message: M): () => void {
    return this.onCancel(() => void ref.tell(message));
  }

  /** For what takes an AbortSignal, `fetch` for one. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(new CancelledError(this.#reason));
    }
    return this.#abort.signal;
  }

  throwIfCancelled(): void {
    if (this.#reason !== undefined) throw new CancelledError(this.#reason);
  }

  /** What is left until the deadline, for the asks made under it; at least 0. */
  left_ms(): number | undefined {
    if (this.deadline_ms === undefined) return undefined;
    return Math.max(0, this.deadline_ms - this.#clock.now_ms());
  }

  #release(): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#leaveParent?.();
    this.#leaveParent = undefined;
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
