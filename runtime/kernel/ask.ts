/**
 * Ask = tell + monitor + deadline. The port is all three: it travels as the message's metadata,
 * hangs in the asked actor's list (which fails it when the actor ends) and in a deadline bucket.
 * Whichever comes first settles it, exactly once; the rest is a late reply, counted and dropped.
 */

import type { Clock } from "../capabilities.ts";
import type { TraceContext } from "../observe/trace.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { AskError, type AskErrorCode } from "./errors.ts";
import type { Message } from "./message.ts";
import { formatAddress, type Meta, type Ref, type ReplyPort } from "./ref.ts";

export type AskOptions = {
  /** In ms from now. The deadline of the message being handled bounds it too. */
  readonly deadline_ms: number;
  /** In place of the current message's trace. */
  readonly trace?: TraceContext;
};

/** The part of the system that asks need. */
export interface AskHost {
  readonly deadlines: Deadlines;
  readonly counters: { late_replies: number; asks: number };
}

/** The asked actor's list of ports that wait for it. */
export interface AskTarget {
  asks: AskPort | undefined;
}

export class AskPort implements Meta, ReplyPort, Deadline {
  readonly trace: TraceContext | undefined;
  readonly deadline_ms: number;
  readonly port: ReplyPort;

  // Links of the deadline bucket, then of the asked actor's list.
  bucket: Deadline["bucket"] = undefined;
  earlier: Deadline | undefined = undefined;
  later: Deadline | undefined = undefined;
  target: AskTarget | undefined = undefined;
  before: AskPort | undefined = undefined;
  behind: AskPort | undefined = undefined;

  settled = false;
  readonly #host: AskHost;
  readonly #ref: Ref;
  readonly #kind: string;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: AskError) => void;

  constructor(
    host: AskHost,
    ref: Ref,
    kind: string,
    deadline_ms: number,
    trace: TraceContext | undefined,
    resolve: (value: unknown) => void,
    reject: (error: AskError) => void,
  ) {
    this.trace = trace;
    this.deadline_ms = deadline_ms;
    this.port = this;
    this.#host = host;
    this.#ref = ref;
    this.#kind = kind;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  reply(value: unknown): boolean {
    if (!this.#settle()) {
      this.#host.counters.late_replies++;
      return false;
    }
    this.#resolve(value);
    return true;
  }

  fail(code: AskErrorCode, detail: string): boolean {
    if (!this.#settle()) return false;
    const whom = formatAddress(this.#ref.address);
    this.#reject(new AskError(code, `asked ${whom} "${this.#kind}": ${detail}`));
    return true;
  }

  overdue(): void {
    this.fail("deadline", "no answer in time");
  }

  /** Called by the actor that takes the message. */
  waitFor(target: AskTarget): void {
    this.target = target;
    this.behind = target.asks;
    if (target.asks !== undefined) target.asks.before = this;
    target.asks = this;
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#host.deadlines.remove(this);
    const { target, before, behind } = this;
    if (target === undefined) return true;
    if (before === undefined) target.asks = behind;
    else before.behind = behind;
    if (behind !== undefined) behind.before = before;
    this.target = undefined;
    this.before = undefined;
    this.behind = undefined;
    return true;
  }
}

/**
 * The earlier of the asker's own deadline and that of the message it is handling, absolute on the
 * scale of `clock.now_ms`.
 */
export function askDeadline_ms(
  clock: Clock,
  options: AskOptions,
  current: Meta | undefined,
): number {
  const own_ms = clock.now_ms() + options.deadline_ms;
  const inherited_ms = current?.deadline_ms;
  return inherited_ms !== undefined && inherited_ms < own_ms ? inherited_ms : own_ms;
}

/** `deadline_ms` is absolute. Rejects with AskError, or RangeError when it is not finite. */
export function ask(
  host: AskHost,
  ref: Ref,
  message: Message,
  deadline_ms: number,
  trace: TraceContext | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    askWith(host, ref, message, deadline_ms, trace, resolve, reject);
  });
}

/**
 * Calls one of the two, exactly once, in the turn that settles the ask. `deadline_ms` is absolute.
 * Throws RangeError when it is not finite.
 */
export function askWith(
  host: AskHost,
  ref: Ref,
  message: Message,
  deadline_ms: number,
  trace: TraceContext | undefined,
  took: (value: unknown) => void,
  failed: (error: AskError) => void,
): void {
  if (!(deadline_ms < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`an ask needs a finite deadline_ms, not ${deadline_ms}`);
  }
  const port = new AskPort(host, ref, message.kind, deadline_ms, trace, took, failed);
  host.counters.asks++;
  host.deadlines.add(port);
  ref.deliver(message as never, port);
}
