/**
 * References to actors. One interface stands for an actor of this process (a `Cell`) and for one of
 * another process (a proxy of `runtime/remote/`); its holder sees no difference.
 */

import type { TraceContext } from "../observe/trace.ts";
import type { AskErrorCode } from "./errors.ts";
import type { ExitReason } from "./exit-reason.ts";
import type { Address, Message } from "./message.ts";

export interface Ref<in M extends Message = never> {
  readonly address: Address;
  readonly local: boolean;

  /**
   * False when the mailbox refused it (full) or the actor is gone (dead letter). Never throws.
   * Carries the trace of the message whose handler is running.
   */
  tell(message: M): boolean;

  // Below: for the kernel and the remote layer.

  /** `tell` with metadata. A refused message fails `meta.port` at once. */
  deliver(message: M, meta: Meta | undefined): boolean;
  /** `watcher.ended` is called exactly once, soon, also when the actor is gone already. */
  watch(watcher: Watcher): void;
  unwatch(watcher: Watcher): void;
}

/** Metadata of a message: deadline, reply port, trace. A plain tell without a trace has none. */
export interface Meta {
  readonly trace: TraceContext | undefined;
  /** Absolute, on the scale of `clock.now_ms`. */
  readonly deadline_ms: number | undefined;
  readonly port: ReplyPort | undefined;
}

/** Where the answer to one ask goes. The first call counts; later ones return false. */
export interface ReplyPort {
  /** True: the port has had its one call. */
  readonly settled: boolean;
  reply(value: unknown): boolean;
  fail(code: AskErrorCode, detail: string): boolean;
}

/** Watches one actor at a time. */
export interface Watcher {
  ended(reason: ExitReason): void;
  /** Its index in the watched actor's list, kept by that actor. NOWHERE at first. */
  place: number;
}

/** A watcher's place while it watches nobody. */
export const NOWHERE = -1;

/**
 * The trace of the message that is being handled right now, so that a plain `ref.tell` carries it
 * on. One turn runs at a time in a process, hence one place. It covers a handler up to its first
 * `await`; after that, `ctx.tell` and `ctx.ask` carry the trace all the same.
 */
export const ambient: { trace: TraceContext | undefined } = { trace: undefined };

/** The metadata of a tell made while a traced message was handled. */
export class TellMeta implements Meta {
  readonly trace: TraceContext | undefined;
  readonly deadline_ms: number | undefined = undefined;
  readonly port: ReplyPort | undefined = undefined;

  constructor(trace: TraceContext) {
    this.trace = trace;
  }
}

/** Two references to one life of one actor; they may be two objects. */
export function sameActor(a: Ref, b: Ref): boolean {
  if (a === b) return true;
  const x = a.address;
  const y = b.address;
  return x.incarnation === y.incarnation && x.path === y.path && x.node === y.node;
}

/** "node/path#incarnation", for logs. */
export function formatAddress(address: Address): string {
  return `${address.node}${address.path}#${address.incarnation.toString(16)}`;
}
