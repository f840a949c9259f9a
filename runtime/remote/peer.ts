/**
 * One connection to another node, outbound half: messages are encoded straight into a batch that
 * goes out as one frame at the end of the tick, or earlier when it is large. Frames that the peer
 * does not take wait in a queue bounded in bytes; when it is full, a tell is refused.
 */

import { codecs as proto } from "../../proto/index.ts";
import type { Clock, Log } from "../capabilities.ts";
import { CodecError, type CodecTable, type Writer } from "../codec.ts";
import { errorText } from "../error-text.ts";
import type { AskErrorCode } from "../kernel/errors.ts";
import type { ExitReason } from "../kernel/exit-reason.ts";
import type { Address, Message } from "../kernel/message.ts";
import type { Meta, Watcher } from "../kernel/ref.ts";
import { formatTraceparent } from "../observe/trace.ts";
import type { Link } from "../transport/transport.ts";
import { Batch } from "./envelope.ts";
import type { Identity } from "./handshake.ts";
import { type Interned, InternTable } from "./intern-table.ts";
import { Pending } from "./pending.ts";
import { control, exitToWire, incarnationBytes } from "./wire.ts";

export type PeerLimits = {
  readonly frame_limit_bytes: number;
  /** Bytes that may wait for this peer; answers and signals may go over by a quarter. */
  readonly queue_limit_bytes: number;
};

/** The actor that a signal is for, and the ask that it answers; unset fields are not sent. */
type ControlEnds = { readonly to?: number; readonly answer?: number };

/** A batch of this size goes out at once: larger ones only cost memory. */
const FLUSH_BYTES = 64 * 1024;

export type PeerStats = {
  sent: number;
  received: number;
  /** Tells and asks refused because the queue was full. */
  refused: number;
  /** Encoded bytes not sent when the connection ended; an upper bound. */
  lost_bytes: number;
  /** Messages that could not be encoded or decoded. */
  broken: number;
  late_answers: number;
};

export class Peer {
  state: "connecting" | "up" | "closed" = "connecting";
  /** Known from the peer's first frame on. */
  identity: Identity | undefined = undefined;
  readonly pending = new Pending();
  readonly stats: PeerStats = {
    sent: 0,
    received: 0,
    refused: 0,
    lost_bytes: 0,
    broken: 0,
    late_answers: 0,
  };
  last_heard_ms: number;
  /** The peer announced that it may be silent until then. */
  quiet_until_ms = 0;

  readonly #clock: Clock;
  readonly #log: Log;
  readonly #codecs: CodecTable;
  readonly #limits: PeerLimits;
  readonly #batch = new Batch();
  readonly #interned = new InternTable();
  #link: Link | undefined = undefined;
  /** Ends of the frames in the batch, but for the last one. */
  #cuts: number[] = [];
  #armed = false;
  #saidSomething = false;

  constructor(clock: Clock, log: Log, codecs: CodecTable, limits: PeerLimits) {
    this.#clock = clock;
    this.#log = log;
    this.#codecs = codecs;
    this.#limits = limits;
    this.last_heard_ms = clock.now_ms();
  }

  get queued_bytes(): number {
    return this.#batch.size_bytes + (this.#link?.queued_bytes ?? 0);
  }

  attach(link: Link): void {
    this.#link = link;
  }

  /** Sends a frame of the handshake at once, past the batch. */
  sendNow(frame: Uint8Array): void {
    this.#link?.send(frame);
  }

  up(identity: Identity): void {
    this.identity = identity;
    this.state = "up";
    this.last_heard_ms = this.#clock.now_ms();
    this.#flush();
  }

  /** Ends this connection; idempotent. Fails every ask and watch that waits for the peer. */
  close(why: string): void {
    if (this.state === "closed") return;
    this.#flush();
    this.state = "closed";
    this.stats.lost_bytes += this.queued_bytes;
    this.#link?.close();
    this.pending.fail(why);
  }

  send(ref: Interned, message: Message, meta: Meta | undefined): boolean {
    if (this.queued_bytes >= this.#limits.queue_limit_bytes) {
      this.stats.refused++;
      meta?.port?.fail("mailbox_full", "the queue to its node is full");
      return false;
    }
    const slot = this.#slotOf(ref);
    const start_bytes = this.#batch.size_bytes;
    let ask = 0;
    try {
      const codec = this.#codecs.of(message.kind);
      const batch = this.#batch;
      batch.begin(codec.id, slot);
      if (meta !== undefined) ask = this.#writeMeta(meta);
      codec.encode(message, batch.body(), this.#codecs);
      batch.end();
      this.#check(start_bytes);
    } catch (error) {
      this.#batch.rollback(start_bytes);
      if (ask !== 0) this.pending.takeAsk(ask);
      this.#broken(`cannot send "${message.kind}" to ${ref.address.path}`, error);
      meta?.port?.fail("refused", errorText(error));
      return false;
    }
    this.#written(start_bytes);
    return true;
  }

  /** The value of an ask that came from the peer: a message with a codec, or nothing. */
  answer(ask: number, value: unknown): void {
    if (value === undefined) {
      this.#control(control.nothing, { answer: ask });
      return;
    }
    if (this.state === "closed") return;
    const start_bytes = this.#batch.size_bytes;
    try {
      const message = value as Message;
      const codec = this.#codecs.of(String(message?.kind));
      const batch = this.#batch;
      batch.begin(codec.id, 0);
      batch.answer(ask);
      codec.encode(message, batch.body(), this.#codecs);
      batch.end();
      this.#check(start_bytes);
    } catch (error) {
      this.#batch.rollback(start_bytes);
      this.#broken("cannot send an answer", error);
      this.answerFailed(ask, "refused", errorText(error));
      return;
    }
    this.#written(start_bytes);
    this.#overfull();
  }

  answerFailed(ask: number, code: AskErrorCode, message: string): void {
    this.#control(control.ask_failed, { answer: ask }, (writer) =>
      proto.AskFailed.encode({ code, message }, writer),
    );
  }

  watch(ref: Interned, watcher: Watcher): void {
    const monitor = this.pending.addWatcher(watcher);
    this.#control(control.monitor, { to: this.#slotOf(ref) }, (writer) =>
      proto.Monitor.encode({ monitor }, writer),
    );
  }

  unwatch(ref: Interned, watcher: Watcher): void {
    const monitor = this.pending.dropWatcher(watcher);
    if (monitor === undefined) return;
    this.#control(control.demonitor, { to: this.#slotOf(ref) }, (writer) =>
      proto.Demonitor.encode({ monitor }, writer),
    );
  }

  /** An actor that the peer monitors ended. */
  down(monitor: number, reason: ExitReason): void {
    this.#control(control.down, {}, (writer) =>
      proto.Down.encode({ monitor, reason: exitToWire(reason) }, writer),
    );
  }

  /** Called at each heartbeat: sends a ping if no other message went out. */
  beat(now_ms: number): void {
    this.pending.sweepAsks(now_ms);
    if (this.state === "up" && !this.#saidSomething) this.#control(control.ping, {});
    this.#saidSomething = false;
  }

  /** Announces at once that this node may be silent for `for_ms`; see `RemoteNode.quiet`. */
  quiet(for_ms: number): void {
    // A zero is not written, and the ping without it is the ordinary one.
    const quiet_ms = Math.max(1, Math.ceil(for_ms));
    this.#control(control.ping, {}, (writer) => proto.Ping.encode({ quiet_ms }, writer));
    this.#flush();
  }

  /** Time of the peer's silence, without the time that it announced. */
  silent_ms(now_ms: number): number {
    return now_ms - Math.max(this.last_heard_ms, this.quiet_until_ms);
  }

  /** The link's queue is empty again. */
  drained(): void {
    this.#flush();
  }

  #writeMeta(meta: Meta): number {
    const { port, deadline_ms, trace } = meta;
    const batch = this.#batch;
    let ask = 0;
    if (port !== undefined) {
      const due_ms = deadline_ms ?? Number.POSITIVE_INFINITY;
      ask = this.pending.addAsk(port, due_ms);
      batch.ask(ask, due_ms - this.#clock.now_ms());
    }
    if (trace !== undefined) {
      const { correlation } = trace;
      if (correlation !== undefined) batch.correlation(correlation);
      batch.traceparent(formatTraceparent(trace));
    }
    return ask;
  }

  #control(type: number, ends: ControlEnds, write?: (writer: Writer) => unknown): void {
    if (this.state === "closed") return;
    const start_bytes = this.#batch.size_bytes;
    const batch = this.#batch;
    batch.begin(type, ends.to ?? 0);
    if (ends.answer !== undefined) batch.answer(ends.answer);
    write?.(batch.body());
    batch.end();
    this.#written(start_bytes);
    this.#overfull();
  }

  /** Signals are never dropped: a peer that does not take them is given up instead. */
  #overfull(): void {
    const { queue_limit_bytes, frame_limit_bytes } = this.#limits;
    const limit_bytes = queue_limit_bytes * 1.25 + frame_limit_bytes;
    if (this.queued_bytes > limit_bytes) this.close("it does not take what it is sent");
  }

  #check(start_bytes: number): void {
    const size_bytes = this.#batch.size_bytes - start_bytes;
    const { frame_limit_bytes } = this.#limits;
    if (size_bytes <= frame_limit_bytes) return;
    throw new CodecError(
      "too_big",
      `${size_bytes} bytes are over the limit of ${frame_limit_bytes}; send it in parts`,
    );
  }

  #written(start_bytes: number): void {
    this.stats.sent++;
    const { size_bytes } = this.#batch;
    if (size_bytes - this.#lastCut() > this.#limits.frame_limit_bytes) this.#cuts.push(start_bytes);
    if (size_bytes - this.#lastCut() >= FLUSH_BYTES) {
      this.#cuts.push(size_bytes);
      this.#flush();
    } else if (!this.#armed) {
      this.#armed = true;
      this.#clock.defer(this.#flushDeferred);
    }
  }

  readonly #flushDeferred = (): void => {
    this.#armed = false;
    this.#flush();
  };

  #lastCut(): number {
    return this.#cuts.length === 0 ? 0 : (this.#cuts[this.#cuts.length - 1] as number);
  }

  /** Sends frame by frame; frames that the link refuses stay here until it has drained. */
  #flush(): void {
    const link = this.#link;
    const batch = this.#batch;
    const end_bytes = batch.size_bytes;
    if (this.state !== "up" || link === undefined || end_bytes === 0) return;
    this.#saidSomething = true;
    if (this.#lastCut() !== end_bytes) this.#cuts.push(end_bytes);
    let from_bytes = 0;
    for (const cut_bytes of this.#cuts) {
      if (!link.send(batch.view(from_bytes, cut_bytes))) {
        const sent_bytes = from_bytes;
        batch.drop(sent_bytes);
        this.#cuts = this.#cuts.filter((cut) => cut > sent_bytes).map((cut) => cut - sent_bytes);
        return;
      }
      from_bytes = cut_bytes;
    }
    batch.clear();
    this.#cuts.length = 0;
  }

  #slotOf(ref: Interned): number {
    if (ref.slot_peer === this) {
      if (this.#interned.holds(ref.slot, ref.key)) return ref.slot;
      this.#interned.lost();
    }
    ref.slot_peer = this;
    ref.slot = this.#interned.slotOf(ref.key, ref.address, this.#intern);
    return ref.slot;
  }

  readonly #intern = (slot: number, { path, incarnation }: Address): void => {
    this.#control(control.intern, {}, (writer) =>
      proto.Intern.encode({ slot, path, incarnation: incarnationBytes(incarnation) }, writer),
    );
  };

  #broken(what: string, error: unknown): void {
    this.stats.broken++;
    this.#log.log("error", what, { peer: this.identity?.node, error: errorText(error) });
  }
}
