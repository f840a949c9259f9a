/**
 * One link over a bus that loses messages. Chunks are numbered, kept until the other side has taken
 * them, and sent again from the point that it names. A window bounds the bytes under way, so that a
 * slow reader slows its sender and not the bus.
 *
 *     send ─► waiting ─► under way (≤ window) ─► received there ─► taken there: forgotten
 *                             └── lost: a gap, or a probe's answer, says so ─► all again from there
 */
import type { Clock } from "../capabilities.ts";
import {
  type Ack,
  ackMessage,
  ackOf,
  DATA_HEADER_BYTES,
  type Data,
  dataMessage,
  dataOf,
  type End,
  flag,
  flagsOf,
  probeMessage,
  textMessage,
  kind as wire,
} from "./bus-wire.ts";
import { SendWindow } from "./send-window.ts";
import { type Link, type LinkHandlers, type LinkLimits, TransportError } from "./transport.ts";

export type BusLinkOptions = {
  /** Most bytes under way (sent, and not taken by the reader); one chunk always may be. 2 MiB. */
  readonly window_bytes: number;
  /** Size of one message on the bus with its header, or the bus's limit if less. 256 KiB. */
  readonly chunk_bytes: number;
  /** Received chunks are acknowledged this late at most, with data if there is some to send. 20. */
  readonly ack_after_ms: number;
  /** A probe is sent after this long without a message; the time doubles to 2 s. 200. */
  readonly probe_after_ms: number;
  /** The link breaks after this long without an answer while the bus is up. 10,000. */
  readonly silent_limit_ms: number;
  /** The link breaks after the bus was away for this long: its users look elsewhere. 60,000. */
  readonly away_limit_ms: number;
};

export const busLinkDefaults: BusLinkOptions = {
  window_bytes: 2 * 1024 * 1024,
  chunk_bytes: 256 * 1024,
  ack_after_ms: 20,
  probe_after_ms: 200,
  silent_limit_ms: 10_000,
  away_limit_ms: 60_000,
};

/** The part of its transport that a link needs. */
export interface BusLinkHost {
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly options: BusLinkOptions;
  /** False while the bus is away. */
  readonly up: boolean;
  readonly payload_limit_bytes: number;
  /** This process's inbox, to which the other side sends. */
  readonly inbox: string;
  publish(subject: string, bytes: Uint8Array): void;
  /** The link ended: its number is free. */
  ended(link: BusLink): void;
}

type BusLinkStats = { resent: number; duplicates: number; gaps: number };

const PROBE_MS_MAX = 2_000;
/** A peer that takes nothing keeps a closed link no longer than this. */
const LINGER_MS = 1_000;

const nothing: Ack = { received: -1, taken: -1 };

export class BusLink implements Link {
  handlers: LinkHandlers | undefined;
  readonly stats: BusLinkStats = { resent: 0, duplicates: 0, gaps: 0 };
  readonly #host: BusLinkHost;
  readonly #id: number;
  #far: End | undefined;
  #closed = false;
  #closing = false;
  #closeReason = "closed here";

  // Outbound.
  readonly #window = new SendWindow();
  #probedSeq = 0;
  #probe_ms: number;
  /** When the other side was heard last, or when no chunk was under way last. */
  #last_heard_ms: number;
  #asked_ms = 0;
  /** The queue was not empty after a send, so the sender waits for `drain`. */
  #drainDue = false;

  // Inbound.
  #received = 0;
  #taken = 0;
  #told: Ack = { received: 0, taken: 0 };
  #untold_bytes = 0;
  #ackArmed = false;
  #gapAsked = -1;
  #paused = false;
  #held: Data[] = [];
  #held_bytes = 0;
  #parts: Uint8Array[] = [];
  #parts_bytes = 0;

  constructor(host: BusLinkHost, id: number) {
    this.#host = host;
    this.#id = id;
    this.#last_heard_ms = host.clock.now_ms();
    this.#probe_ms = host.options.probe_after_ms;
  }

  get id(): number {
    return this.#id;
  }

  /** Inbox of the other end; undefined while it is being dialled. */
  get far_inbox(): string | undefined {
    return this.#far?.inbox;
  }

  get queued_bytes(): number {
    return this.#window.waiting_bytes;
  }

  get away(): boolean {
    return !this.#host.up;
  }

  /** The other side is known, so chunks can be sent from now on. */
  meet(far: End): void {
    this.#far = far;
    if (this.#untold_bytes > 0) this.#armAck();
  }

  send(frame: Uint8Array): boolean {
    const { frame_limit_bytes, queue_limit_bytes } = this.#host.limits;
    if (frame.length > frame_limit_bytes) {
      throw new TransportError(
        "frame_too_big",
        `a frame of ${frame.length} bytes is over the limit of ${frame_limit_bytes} bytes; send it in parts`,
      );
    }
    if (this.#far === undefined || this.#closed || this.#closing) return false;
    const { waiting_bytes } = this.#window;
    if (waiting_bytes > 0 && waiting_bytes + frame.length > queue_limit_bytes) return false;
    const room_bytes = this.#chunkRoom_bytes();
    let at = 0;
    do {
      const payload = frame.subarray(at, at + room_bytes);
      at += payload.length;
      this.#queue(payload, at === frame.length ? flag.last : 0);
    } while (at < frame.length);
    this.#pump();
    if (this.#window.waiting_bytes > 0) this.#drainDue = true;
    // The chunks carried our ack; waiting chunks were written earlier with an older one.
    else if (waiting_bytes === 0) this.#told = this.#have();
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    while (!this.#paused && !this.#closed) {
      const next = this.#held.shift();
      if (next === undefined) break;
      this.#held_bytes -= next.payload.length;
      this.#take(next);
    }
    this.#sayAck(0);
  }

  close(): void {
    if (this.#closed || this.#closing) return;
    this.#closing = true;
    if (this.#far === undefined) {
      this.end(this.#closeReason);
      return;
    }
    this.#queue(new Uint8Array(0), flag.fin);
    this.#pump();
    this.#host.clock.after(LINGER_MS, () => this.#give_up(this.#closeReason));
  }

  /** Ends the link without a message to the other side. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#window.clear();
    this.#held = [];
    this.#parts = [];
    this.#host.ended(this);
    // Never inside `send` or `close`: whoever calls those does not expect to be called.
    this.#host.clock.defer(() => this.handlers?.close(reason));
  }

  /** The other side sent a data message. */
  data(bytes: Uint8Array): void {
    this.acked(bytes);
    if (this.#closed) return;
    const data = dataOf(bytes);
    if (data.seq <= this.#received) {
      this.stats.duplicates++;
      this.#told = nothing;
      this.#armAck();
    } else if (data.seq > this.#received + 1) {
      this.stats.gaps++;
      // Asked once for each gap: chunks behind it are dropped too, and come again with it.
      if (this.#gapAsked !== this.#received) this.#sayAck(flag.gap);
      this.#gapAsked = this.#received;
    } else {
      this.#received = data.seq;
      if (this.#paused) this.#hold(data);
      else this.#take(data);
      this.#untold_bytes += DATA_HEADER_BYTES + data.payload.length;
      if (this.#untold_bytes > this.#host.options.window_bytes / 4) this.#sayAck(0);
      else this.#armAck();
    }
  }

  /** The other side says what it has. */
  acked(bytes: Uint8Array): void {
    const { received, taken } = ackOf(bytes);
    const { clock, options } = this.#host;
    this.#last_heard_ms = clock.now_ms();
    this.#probe_ms = options.probe_after_ms;
    this.#window.forget(taken);
    if (this.#closing && this.#window.empty) this.end(this.#closeReason);
    if (this.#closed) return;
    const flags = bytes[0] === wire.ack ? flagsOf(bytes) : 0;
    const lost = (flags & flag.answer) !== 0 && received < this.#probedSeq;
    if (lost || (flags & flag.gap) !== 0) this.#resend(received);
    this.#pump();
  }

  /** The other side heard nothing for a while. */
  probed(): void {
    this.#sayAck(flag.answer);
  }

  /** Called now and then, and when the bus is back. */
  look(now_ms: number, busIsBack: boolean): void {
    const { options, up } = this.#host;
    if (busIsBack) {
      this.#probe_ms = options.probe_after_ms;
      this.#last_heard_ms = now_ms;
    }
    if (!up || this.#far === undefined) return;
    if (this.#window.empty) {
      this.#last_heard_ms = now_ms;
      return;
    }
    if (now_ms - this.#last_heard_ms > options.silent_limit_ms) {
      this.#give_up(`nothing was heard for ${options.silent_limit_ms} ms`);
      return;
    }
    const quiet_ms = now_ms - Math.max(this.#last_heard_ms, this.#asked_ms);
    if (!busIsBack && quiet_ms < this.#probe_ms) return;
    this.#asked_ms = now_ms;
    this.#probe_ms = Math.min(this.#probe_ms * 2, PROBE_MS_MAX);
    this.#probedSeq = this.#window.sent_seq;
    const { inbox } = this.#host;
    this.#publish(probeMessage(this.#far.link, { link: this.#id, inbox }));
    this.#pump();
  }

  #chunkRoom_bytes(): number {
    const { options, payload_limit_bytes } = this.#host;
    return Math.min(options.chunk_bytes, payload_limit_bytes) - DATA_HEADER_BYTES;
  }

  #queue(payload: Uint8Array, flags: number): void {
    const seq = this.#window.nextSeq();
    const link = this.#far?.link ?? 0;
    const message = dataMessage({ link, flags, seq, payload }, this.#have());
    if (this.#window.empty) this.#last_heard_ms = this.#host.clock.now_ms();
    this.#window.push(seq, payload.length, message);
  }

  #pump(): void {
    const { window_bytes } = this.#host.options;
    while (this.#host.up) {
      const message = this.#window.send(window_bytes);
      if (message === undefined) break;
      this.#publish(message);
    }
    if (!this.#drainDue || this.#window.waiting_bytes > 0) return;
    this.#drainDue = false;
    this.#host.clock.defer(() => {
      if (!this.#closed) this.handlers?.drain();
    });
  }

  #resend(received: number): void {
    for (const message of this.#window.sentAfter(received)) {
      this.stats.resent++;
      this.#publish(message);
    }
  }

  #have(): Ack {
    return { received: this.#received, taken: this.#taken };
  }

  #hold(data: Data): void {
    this.#held.push(data);
    this.#held_bytes += data.payload.length;
    const { window_bytes } = this.#host.options;
    if (this.#held_bytes > window_bytes * 2) this.#give_up("it sends more than its window");
  }

  #take({ seq, flags, payload }: Data): void {
    this.#taken = seq;
    if ((flags & flag.fin) !== 0) {
      this.#sayAck(0);
      this.end("closed by the peer");
      return;
    }
    const last = (flags & flag.last) !== 0;
    if (last && this.#parts.length === 0) {
      this.handlers?.frame(payload);
      return;
    }
    this.#parts.push(payload);
    this.#parts_bytes += payload.length;
    const { frame_limit_bytes } = this.#host.limits;
    if (this.#parts_bytes > frame_limit_bytes) {
      this.#give_up(`a frame of over ${frame_limit_bytes} bytes, which is over the limit`);
      return;
    }
    if (!last) return;
    const frame = new Uint8Array(this.#parts_bytes);
    let at = 0;
    for (const part of this.#parts) {
      frame.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#parts_bytes = 0;
    this.handlers?.frame(frame);
  }

  #armAck(): void {
    if (this.#ackArmed || this.#far === undefined) return;
    this.#ackArmed = true;
    const { clock, options } = this.#host;
    clock.after(options.ack_after_ms, () => {
      this.#ackArmed = false;
      const { received, taken } = this.#told;
      if (received !== this.#received || taken !== this.#taken) this.#sayAck(0);
    });
  }

  #sayAck(flags: number): void {
    if (this.#closed || this.#far === undefined || !this.#host.up) return;
    this.#told = this.#have();
    this.#untold_bytes = 0;
    this.#publish(ackMessage(this.#far.link, flags, this.#told));
  }

  #publish(message: Uint8Array): void {
    if (this.#far !== undefined) this.#host.publish(this.#far.inbox, message);
  }

  /** Breaks the link, and tells the other side in case it lives. */
  #give_up(reason: string): void {
    if (this.#closed) return;
    if (this.#far !== undefined) this.#publish(textMessage(wire.reset, this.#far.link, reason));
    this.end(reason);
  }
}
