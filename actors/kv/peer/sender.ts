/**
 * One connection on which another machine's keeper reads blocks of ours. It says its ticket and the
 * names that it wants, in order; each block goes out once it is there and the puller has room for
 * it, straight from the memory it lies in, in pieces that the kernel takes.
 */
import type { Clock, Socket, SocketHandlers, Timer } from "../../../runtime/capabilities.ts";
import {
  BLOCKS_MOST,
  blockHead,
  type EndReason,
  endFrame,
  FrameReader,
  HEAD_BYTES,
  type Head,
  hashesOf,
  PeerWireError,
  type Ticket,
  waitFrame,
} from "./wire.ts";

/** Blocks that one ticket lets read. They stay where they are until `close`. */
export interface Reading {
  /** "coming": not yet, and `onNews` tells; "gone": it will not come, or is not the ticket's. */
  get(hash: bigint): ReadBlock | "coming" | "gone";
  /** One listener; called when something that was coming has come, or will not. */
  onNews(listener: () => void): void;
  close(): void;
}

export type ReadBlock = { readonly bytes: Uint8Array; readonly sum: bigint };

/** How long the two sides of a connection wait for each other, in milliseconds. */
export type PeerTimes = {
  /** Time for a connection to be made. */
  readonly connect_ms: number;
  /** Between two signs of life. */
  readonly beat_ms: number;
  /** Without any, the other side is given up. */
  readonly silence_ms: number;
};

export const peerTimes: PeerTimes = { connect_ms: 1_500, beat_ms: 1_000, silence_ms: 3_500 };

export type Sent = {
  readonly end: EndReason | "closed" | "silent" | "misread";
  readonly blocks: number;
  readonly bytes: number;
};

export type SenderOptions = {
  readonly clock: Clock;
  readonly times: PeerTimes;
  /** What the ticket is good for, and until when; undefined: nothing. Good for one connection. */
  readonly open: (ticket: Ticket) => OpenedTicket | undefined;
  /** Called once. */
  readonly ended: (sent: Sent) => void;
};

export type OpenedTicket = { readonly reading: Reading; readonly until_ms: number };

/** What lies between us and the kernel, at most. */
const PIECE_BYTES = 64 * 1024;

type Outgoing = { readonly bytes: Uint8Array; at: number };

export class BlockSender {
  readonly handlers: SocketHandlers;
  readonly #socket: Socket;
  readonly #options: SenderOptions;
  readonly #reader: FrameReader;
  readonly #names: Uint8Array[] = [];
  readonly #scratch = new Uint8Array(HEAD_BYTES + PIECE_BYTES);
  #opened: OpenedTicket | undefined;
  #wanted: readonly bigint[] = [];
  #next = 0;
  #credit = 0;
  #outgoing: Outgoing | undefined;
  /** The kernel takes no more now. */
  #full = false;
  #heard_ms: number;
  #said_ms: number;
  #beat: Timer;
  #blocks = 0;
  #bytes = 0;
  #over = false;

  constructor(socket: Socket, options: SenderOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#heard_ms = options.clock.now_ms();
    this.#said_ms = this.#heard_ms;
    this.#reader = new FrameReader({
      head: (head) => bodyOf(head, this.#opened !== undefined),
      body: (piece) => void this.#names.push(piece.slice()),
      whole: (head) => this.#take(head),
    });
    this.handlers = {
      data: (bytes) => this.#read(bytes),
      drain: () => {
        this.#heard_ms = options.clock.now_ms();
        this.#full = false;
        this.#pump();
      },
      close: () => {
        this.#finish("closed");
        options.clock.cancel(this.#beat);
      },
    };
    this.#beat = options.clock.after(options.times.beat_ms, () => this.#tick());
  }

  /** Says so; the puller closes. */
  end(reason: EndReason): void {
    if (this.#over) return;
    // In the middle of a block there is no place for a frame: the break says enough.
    const said = this.#outgoing === undefined;
    if (said) this.#socket.write(endFrame(reason));
    this.#finish(reason, said);
  }

  #read(bytes: Uint8Array): void {
    if (this.#over) return;
    // Until its ticket is seen a connection has the time of one silence, whatever it says.
    if (this.#opened !== undefined) this.#heard_ms = this.#options.clock.now_ms();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof PeerWireError)) throw error;
      this.#finish("misread");
    }
  }

  #take({ kind, count, first, second }: Head): void {
    if (kind === "credit") {
      this.#credit = Math.min(this.#credit + count, BLOCKS_MOST);
      this.#pump();
      return;
    }
    const opened = this.#options.open({ first, second });
    if (opened === undefined) {
      this.end("refused");
      return;
    }
    this.#opened = opened;
    this.#heard_ms = this.#options.clock.now_ms();
    this.#wanted = hashesOf(Buffer.concat(this.#names.splice(0)));
    opened.reading.onNews(() => this.#pump());
    // The puller knows at once that it is heard, however long the first block takes.
    this.#say(waitFrame());
    this.#pump();
  }

  #pump(): void {
    const opened = this.#opened;
    while (!this.#over && opened !== undefined && !this.#full) {
      if (this.#outgoing !== undefined) {
        this.#push(this.#outgoing);
        continue;
      }
      const hash = this.#wanted[this.#next];
      if (hash === undefined) {
        this.end("done");
        return;
      }
      if (this.#credit === 0) return;
      const block = opened.reading.get(hash);
      if (block === "coming") return;
      if (block === "gone") {
        this.end("gone");
        return;
      }
      this.#credit -= 1;
      this.#next += 1;
      this.#begin(hash, block);
    }
  }

  /** Head and first piece in one: for a small block a second call costs more than the copy. */
  #begin(hash: bigint, { bytes, sum }: ReadBlock): void {
    const first = bytes.subarray(0, PIECE_BYTES);
    this.#scratch.set(blockHead(hash, sum, bytes.length));
    this.#scratch.set(first, HEAD_BYTES);
    this.#say(this.#scratch.subarray(0, HEAD_BYTES + first.length));
    this.#outgoing = { bytes, at: first.length };
    this.#endIfWhole(this.#outgoing);
  }

  #push(outgoing: Outgoing): void {
    const { bytes, at } = outgoing;
    outgoing.at = Math.min(at + PIECE_BYTES, bytes.length);
    this.#say(bytes.subarray(at, outgoing.at));
    this.#endIfWhole(outgoing);
  }

  #endIfWhole({ bytes, at }: Outgoing): void {
    if (at < bytes.length) return;
    this.#outgoing = undefined;
    this.#blocks += 1;
    this.#bytes += bytes.length;
  }

  #say(bytes: Uint8Array): void {
    this.#said_ms = this.#options.clock.now_ms();
    if (this.#socket.write(bytes) > 0) this.#full = true;
  }

  #tick(): void {
    if (this.#over) return;
    const { clock, times } = this.#options;
    const now_ms = clock.now_ms();
    if (now_ms - this.#heard_ms >= times.silence_ms) {
      this.#finish("silent");
      return;
    }
    if (this.#opened !== undefined && now_ms >= this.#opened.until_ms) {
      this.end("late");
      return;
    }
    const quiet = this.#outgoing === undefined && now_ms - this.#said_ms >= times.beat_ms;
    if (this.#opened !== undefined && quiet) this.#say(waitFrame());
    this.#beat = clock.after(times.beat_ms, () => this.#tick());
  }

  /** @param linger a close with unread credit would take the last frames with it */
  #finish(end: Sent["end"], linger = false): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.stop();
    const { clock, times, ended } = this.#options;
    clock.cancel(this.#beat);
    if (linger) this.#beat = clock.after(times.silence_ms, () => this.#socket.close());
    else this.#socket.close();
    this.#opened?.reading.close();
    ended({ end, blocks: this.#blocks, bytes: this.#bytes });
  }
}

/** Length of the body of a puller's frame: one hello, and then credit. */
function bodyOf({ kind, count }: Head, opened: boolean): number {
  if (kind === "credit" && opened) return 0;
  if (kind !== "hello" || opened) throw new PeerWireError(`"${kind}" does not come from a puller`);
  if (count > BLOCKS_MOST) throw new PeerWireError(`${count} names are over ${BLOCKS_MOST}`);
  return count * 8;
}
