/**
 * Frames over a byte channel: a little-endian u32 length, then that many bytes. Frames that arrive
 * whole are handed on as views of the read, without a copy.
 */
import type { Listener, Net, Socket, SocketHandlers } from "../capabilities.ts";
import {
  type Link,
  type LinkHandlers,
  type LinkLimits,
  type Transport,
  TransportError,
} from "./transport.ts";

const HEADER_BYTES = 4;
/** Below this, one copy is cheaper than a second system call for the header. */
const JOIN_LIMIT_BYTES = 256 * 1024;

/** A transport over any Net whose byte channels are in order and whole. */
export function framedTransport(net: Net, scheme: string, limits: LinkLimits): Transport {
  return {
    scheme,
    listen: (address, accept): Promise<Listener> =>
      net.listen(address, (socket) => {
        const link = new FramedLink(limits);
        link.attach(socket);
        link.handlers = accept(link);
        return link.socketHandlers;
      }),
    connect: async (address, open, timeout_ms): Promise<Link> => {
      const link = new FramedLink(limits);
      link.handlers = open(link);
      link.attach(await net.connect(address, link.socketHandlers, timeout_ms));
      return link;
    },
  };
}

/** Cuts a byte stream into frames; a frame over several reads is gathered in one buffer. */
export class FrameReader {
  readonly #limit_bytes: number;
  readonly #frame: (bytes: Uint8Array) => void;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerFilled = 0;
  #gather: Uint8Array | undefined;
  #gathered = 0;
  /** Bytes that came while paused: one read at most, as the source is paused too. */
  #held: Uint8Array[] = [];
  #paused = false;

  constructor(limit_bytes: number, frame: (bytes: Uint8Array) => void) {
    this.#limit_bytes = limit_bytes;
    this.#frame = frame;
  }

  /** Throws TransportError `frame_too_big` when a header asks for more than the limit. */
  push(bytes: Uint8Array): void {
    if (this.#paused) {
      this.#held.push(bytes);
      return;
    }
    let at = 0;
    while (at < bytes.length) {
      if (this.#paused) {
        this.#held.push(bytes.subarray(at));
        return;
      }
      at = this.#gather === undefined ? this.#start(bytes, at) : this.#go(bytes, at);
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const bytes of held) this.push(bytes);
  }

  #start(bytes: Uint8Array, at: number): number {
    const whole = this.#headerFilled === 0 && bytes.length - at >= HEADER_BYTES;
    if (!whole) {
      const take = Math.min(HEADER_BYTES - this.#headerFilled, bytes.length - at);
      this.#header.set(bytes.subarray(at, at + take), this.#headerFilled);
      this.#headerFilled += take;
      if (this.#headerFilled < HEADER_BYTES) return at + take;
      this.#headerFilled = 0;
      return this.#body(readLength(this.#header, 0), bytes, at + take);
    }
    return this.#body(readLength(bytes, at), bytes, at + HEADER_BYTES);
  }

  #body(length: number, bytes: Uint8Array, from: number): number {
    if (length > this.#limit_bytes) throw tooBig(length, this.#limit_bytes);
    if (bytes.length - from >= length) {
      this.#frame(bytes.subarray(from, from + length));
      return from + length;
    }
    this.#gather = new Uint8Array(length);
    this.#gathered = 0;
    return this.#go(bytes, from);
  }

  #go(bytes: Uint8Array, at: number): number {
    const gather = this.#gather as Uint8Array;
    const take = Math.min(gather.length - this.#gathered, bytes.length - at);
    gather.set(bytes.subarray(at, at + take), this.#gathered);
    this.#gathered += take;
    if (this.#gathered === gather.length) {
      this.#gather = undefined;
      this.#frame(gather);
    }
    return at + take;
  }
}

class FramedLink implements Link {
  handlers: LinkHandlers | undefined;
  readonly socketHandlers: SocketHandlers;
  readonly #limits: LinkLimits;
  readonly #reader: FrameReader;
  #socket: Socket | undefined;
  #scratch = new Uint8Array(64 * 1024);
  #closed = false;
  #closeReason: string | undefined;

  constructor(limits: LinkLimits) {
    this.#limits = limits;
    this.#reader = new FrameReader(limits.frame_limit_bytes, (frame) => {
      if (!this.#closed) this.handlers?.frame(frame);
    });
    this.socketHandlers = {
      data: (bytes) => this.#data(bytes),
      drain: () => this.handlers?.drain(),
      close: (reason) => this.#close(reason),
    };
  }

  attach(socket: Socket): void {
    this.#socket = socket;
  }

  get queued_bytes(): number {
    return this.#socket?.buffered_bytes ?? 0;
  }

  send(frame: Uint8Array): boolean {
    const { frame_limit_bytes, queue_limit_bytes } = this.#limits;
    if (frame.length > frame_limit_bytes) throw tooBig(frame.length, frame_limit_bytes);
    const socket = this.#socket;
    if (socket === undefined || this.#closed) return false;
    const queued = socket.buffered_bytes;
    if (queued > 0 && queued + frame.length > queue_limit_bytes) return false;
    const total = frame.length + HEADER_BYTES;
    if (total > JOIN_LIMIT_BYTES) {
      const header = new Uint8Array(HEADER_BYTES);
      writeLength(header, frame.length);
      socket.write(header);
      socket.write(frame);
      return true;
    }
    if (this.#scratch.length < total) this.#scratch = new Uint8Array(JOIN_LIMIT_BYTES);
    writeLength(this.#scratch, frame.length);
    this.#scratch.set(frame, HEADER_BYTES);
    socket.write(this.#scratch.subarray(0, total));
    return true;
  }

  pause(): void {
    this.#reader.pause();
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
    this.#guarded(() => this.#reader.resume());
  }

  close(): void {
    this.#socket?.close();
  }

  #data(bytes: Uint8Array): void {
    this.#guarded(() => this.#reader.push(bytes));
  }

  /** After a broken frame the stream cannot be read on: the link ends with the reason. */
  #guarded(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#closeReason = error.message;
      this.#socket?.close();
    }
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.handlers?.close(this.#closeReason ?? reason);
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  const b0 = bytes[at] as number;
  const b1 = bytes[at + 1] as number;
  const b2 = bytes[at + 2] as number;
  const b3 = bytes[at + 3] as number;
  return (b0 | (b1 << 8) | (b2 << 16) | (b3 << 24)) >>> 0;
}

function writeLength(bytes: Uint8Array, length: number): void {
  bytes[0] = length & 255;
  bytes[1] = (length >>> 8) & 255;
  bytes[2] = (length >>> 16) & 255;
  bytes[3] = length >>> 24;
}

function tooBig(length: number, limit: number): TransportError {
  return new TransportError(
    "frame_too_big",
    `a frame of ${length} bytes is over the limit of ${limit} bytes; send it in parts`,
  );
}
