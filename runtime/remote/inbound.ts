/**
 * One connection to another node, inbound half: walks the envelopes of a frame in place, delivers
 * messages to local actors, and carries out the peer's control envelopes.
 */

import { codecs as proto } from "../../proto/index.ts";
import type { Log } from "../capabilities.ts";
import { CodecError, type CodecTable, type Reader } from "../codec.ts";
import { errorText } from "../error-text.ts";
import { AskPort } from "../kernel/ask.ts";
import type { Cell } from "../kernel/cell.ts";
import type { Life } from "../kernel/cell-identity.ts";
import type { AskErrorCode } from "../kernel/errors.ts";
import { noproc } from "../kernel/exit-reason.ts";
import type { Address, Message } from "../kernel/message.ts";
import { type Meta, NOWHERE, type Ref, TellMeta, type Watcher } from "../kernel/ref.ts";
import type { System } from "../kernel/system.ts";
import { parseTraceparent, type TraceContext } from "../observe/trace.ts";
import { SlotMap } from "../slot-map.ts";
import { type EnvelopeHead, FrameWalk } from "./envelope.ts";
import { SLOTS_MAX } from "./intern-table.ts";
import type { Peer } from "./peer.ts";
import { control, exitOfWire, FIRST_MESSAGE_TYPE, incarnationOf, WELL_KNOWN } from "./wire.ts";

/** An actor of ours or of the peer; the envelope that names the slot says which. */
type Slot = {
  readonly path: string;
  readonly incarnation: bigint;
  /** Not the cell itself, because slots live far longer than actors. */
  life: Life | undefined;
};

/** Makes the reference of an actor of ours that has ended. */
export type EndedRefs = (address: Address) => Ref;

/** The longest silence that a peer may announce; a longer one is cut to this. */
const QUIET_MAX_MS = 120_000;

/** An actor with more messages waiting is given time before the peer is read on. */
export const FLOOD_MESSAGES = 8_192;

export class Inbound {
  /** An actor found flooded since this field was last read. */
  flooded: Cell | undefined = undefined;

  readonly #system: System;
  readonly #peer: Peer;
  readonly #codecs: CodecTable;
  readonly #log: Log;
  readonly #ended: EndedRefs;
  readonly #slots: (Slot | undefined)[] = [];
  /** Watches of the peer on local actors, by its monitor number. */
  readonly #watched = new SlotMap<number, { target: Ref; watcher: Watcher }>();

  constructor(system: System, peer: Peer, codecs: CodecTable, ended: EndedRefs) {
    this.#system = system;
    this.#peer = peer;
    this.#codecs = codecs;
    this.#log = system.capabilities.log;
    this.#ended = ended;
  }

  /** Throws CodecError when the bytes are no frame; the connection cannot go on then. */
  frame(bytes: Uint8Array): void {
    const { stats } = this.#peer;
    const walk = new FrameWalk(bytes);
    const { head, reader } = walk;
    while (walk.next()) {
      stats.received++;
      if (head.answer !== 0) this.#answer(head, reader);
      else if (head.type >= FIRST_MESSAGE_TYPE) this.#message(head, reader);
      else this.#control(head, reader);
    }
  }

  /** The peer is gone, and with it its interest in our actors. */
  close(): void {
    for (const { target, watcher } of this.#watched.values()) target.unwatch(watcher);
    this.#watched.clear();
  }

  #message(head: EnvelopeHead, reader: Reader): void {
    const slot = this.#slot(head.to);
    let message: Message;
    try {
      message = this.#codecs.decode(head.type, reader, head.body_bytes);
    } catch (error) {
      this.#unreadable(slot, head, error);
      return;
    }
    const target = slot.life?.cell ?? this.#resolve(slot);
    const plain = head.ask === 0 && head.traceparent === "";
    if (target === undefined) {
      const { path, incarnation } = slot;
      const ended = this.#ended({ node: this.#system.node, path, incarnation });
      const meta = plain ? undefined : this.#meta(head, message, ended);
      this.#system.dead_letters.add(ended, message.kind, meta, "stopped");
    } else {
      target.deliver(message, plain ? undefined : this.#meta(head, message, target));
      if (target.mailbox_count > FLOOD_MESSAGES) this.flooded = target;
    }
  }

  #meta(head: EnvelopeHead, message: Message, target: Ref): Meta | undefined {
    const trace = traceOf(head);
    if (head.ask === 0) return trace === undefined ? undefined : new TellMeta(trace);
    const system = this.#system;
    const peer = this.#peer;
    const { ask } = head;
    const deadline_ms = system.capabilities.clock.now_ms() + head.remaining_ms;
    const port = new IncomingAsk(
      system,
      target,
      message.kind,
      deadline_ms,
      trace,
      (value) => peer.answer(ask, value),
      (error) => peer.answerFailed(ask, error.code, port.detail),
    );
    system.deadlines.add(port);
    return port;
  }

  #answer(head: EnvelopeHead, reader: Reader): void {
    const port = this.#peer.pending.takeAsk(head.answer);
    if (port === undefined) {
      this.#peer.stats.late_answers++;
      return;
    }
    if (head.type === control.nothing) {
      port.reply(undefined);
    } else if (head.type === control.ask_failed) {
      const { code, message } = proto.AskFailed.decode(reader, head.body_bytes);
      port.fail(code, message);
    } else {
      try {
        port.reply(this.#codecs.decode(head.type, reader, head.body_bytes));
      } catch (error) {
        this.#broken("cannot read an answer", error);
        port.fail("refused", errorText(error));
      }
    }
  }

  #control(head: EnvelopeHead, reader: Reader): void {
    const { body_bytes } = head;
    switch (head.type) {
      case control.intern: {
        const { slot, path, incarnation } = proto.Intern.decode(reader, body_bytes);
        if (slot < 1 || slot > SLOTS_MAX) throw new CodecError("bad_body", `no slot ${slot}`);
        this.#slots[slot] = { path, incarnation: incarnationOf(incarnation), life: undefined };
        return;
      }
      case control.monitor:
        this.#monitor(head, proto.Monitor.decode(reader, body_bytes).monitor);
        return;
      case control.demonitor: {
        const { monitor } = proto.Demonitor.decode(reader, body_bytes);
        const watched = this.#watched.take(monitor);
        watched?.target.unwatch(watched.watcher);
        return;
      }
      case control.down: {
        const { monitor, reason } = proto.Down.decode(reader, body_bytes);
        this.#peer.pending.takeWatcher(monitor)?.ended(exitOfWire(reason));
        return;
      }
      case control.ping: {
        if (body_bytes === 0) return;
        const { quiet_ms } = proto.Ping.decode(reader, body_bytes);
        const now_ms = this.#system.capabilities.clock.now_ms();
        this.#peer.quiet_until_ms = now_ms + Math.min(quiet_ms, QUIET_MAX_MS);
        return;
      }
      default:
        // A newer peer of the same protocol version may send envelopes that we do not know.
        this.#log.log("debug", `unknown envelope ${head.type}`, {
          peer: this.#peer.identity?.node,
        });
    }
  }

  #monitor(head: EnvelopeHead, monitor: number): void {
    const target = this.#target(head.to);
    if (target === undefined) {
      this.#peer.down(monitor, noproc);
      return;
    }
    const watcher: Watcher = {
      place: NOWHERE,
      ended: (reason) => {
        this.#watched.delete(monitor);
        this.#peer.down(monitor, reason);
      },
    };
    this.#watched.set(monitor, { target, watcher });
    target.watch(watcher);
  }

  #slot(number: number): Slot {
    const slot = this.#slots[number];
    if (slot === undefined) throw new CodecError("bad_body", `slot ${number} was never given`);
    return slot;
  }

  #target(to: number): Cell | undefined {
    const slot = this.#slot(to);
    return slot.life?.cell ?? this.#resolve(slot);
  }

  #resolve(slot: Slot): Cell | undefined {
    const { path, incarnation } = slot;
    // The actor that has the path now; looked up for each message, since it may change.
    if (incarnation === WELL_KNOWN) return this.#system.lookup(path);
    const cell = this.#system.resolveLocal(path, incarnation);
    slot.life = cell?.life;
    return cell;
  }

  #unreadable(slot: Slot, head: EnvelopeHead, error: unknown): void {
    this.#broken(`cannot read a message to ${slot.path}`, error);
    if (head.ask !== 0) this.#peer.answerFailed(head.ask, "refused", errorText(error));
  }

  #broken(what: string, error: unknown): void {
    this.#peer.stats.broken++;
    this.#log.log("error", what, { peer: this.#peer.identity?.node, error: errorText(error) });
  }
}

/** An ask of the peer: an ordinary ask here, whose outcome goes back over the connection. */
class IncomingAsk extends AskPort {
  /** Why the ask failed, without the words that the asker's own error puts before it. */
  detail = "";

  override fail(code: AskErrorCode, detail: string): boolean {
    this.detail = detail;
    return super.fail(code, detail);
  }
}

function traceOf({ traceparent, correlation }: EnvelopeHead): TraceContext | undefined {
  const trace = parseTraceparent(traceparent);
  return trace === undefined || correlation === "" ? trace : { ...trace, correlation };
}
