/**
 * What two keepers of blocks say to each other on a connection of their own, machine to machine. A
 * frame is a head of 24 bytes, little-endian (kind, count, two words of 64 bits), and a body.
 *
 *   puller                                            sender
 *   hello   the ticket · names of the blocks ──────▶
 *   credit  so many blocks more ───────────────────▶
 *           ◀──────────── block  name, checksum · bytes
 *           ◀──────────── wait   the next one is not there yet
 *           ◀──────────── end    why
 *
 * Pure: no sockets here. A body is never gathered: it goes on in the pieces that it comes in.
 */
import { hashesIn } from "../keeper/packed-hashes.ts";

export const HEAD_BYTES = 24;
/** Names in one hello. */
export const BLOCKS_MOST = 4096;

const KINDS = { hello: 0x31504b54, credit: 2, block: 3, wait: 4, end: 5 } as const;
export type FrameKind = keyof typeof KINDS;
const kindOf = new Map<number, FrameKind>(
  Object.entries(KINDS).map(([kind, code]) => [code, kind as FrameKind]),
);

export type Head = {
  readonly kind: FrameKind;
  readonly count: number;
  readonly first: bigint;
  readonly second: bigint;
};

/** Why a sender sends no more. */
export const endReasons = ["done", "refused", "gone", "late", "closing"] as const;
export type EndReason = (typeof endReasons)[number];

/** 128 random bits that let one connection read what they were made for. */
export type Ticket = { readonly first: bigint; readonly second: bigint };

export function ticketBytes({ first, second }: Ticket): Uint8Array {
  return new Uint8Array(BigUint64Array.of(first, second).buffer);
}

/** Undefined: these bytes are no ticket. */
export function ticketIn(bytes: Uint8Array): Ticket | undefined {
  if (bytes.length !== 16) return undefined;
  const [first = 0n, second = 0n] = new BigUint64Array(bytes.slice().buffer);
  return { first, second };
}

/** The other side does not speak this language: the connection is of no use any more. */
export class PeerWireError extends Error {
  override readonly name = "PeerWireError";
}

function headBytes(kind: FrameKind, count: number, first = 0n, second = 0n, body = 0): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + body);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, KINDS[kind], true);
  view.setUint32(4, count, true);
  view.setBigUint64(8, first, true);
  view.setBigUint64(16, second, true);
  return bytes;
}

export function helloFrame({ first, second }: Ticket, hashes: readonly bigint[]): Uint8Array {
  const bytes = headBytes("hello", hashes.length, first, second, hashes.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, hash] of hashes.entries()) view.setBigUint64(HEAD_BYTES + i * 8, hash, true);
  return bytes;
}

/** 0 blocks: a sign of life. */
export const creditFrame = (blocks: number) => headBytes("credit", blocks);
/** Its bytes follow as they are. */
export const blockHead = (hash: bigint, sum: bigint, bytes: number) =>
  headBytes("block", bytes, hash, sum);
export const waitFrame = () => headBytes("wait", 0);
export const endFrame = (reason: EndReason) => headBytes("end", endReasons.indexOf(reason));

/** Names out of a hello's body. */
export const hashesOf = (body: Uint8Array): bigint[] => [...hashesIn(body)];

export function endReasonOf({ count }: Head): EndReason {
  const reason = endReasons[count];
  if (reason === undefined) throw new PeerWireError(`${count} is no reason to end`);
  return reason;
}

export type FrameSink = {
  /** How many bytes of body follow. Throws PeerWireError where such a frame may not come. */
  readonly head: (head: Head) => number;
  /** The next bytes of the body, which begin `at` bytes behind its start. */
  readonly body: (piece: Uint8Array, at: number) => void;
  /** The frame is whole. */
  readonly whole: (head: Head) => void;
};

/** Cuts a stream into frames, wherever its pieces are cut. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #bytes = new Uint8Array(HEAD_BYTES);
  #filled = 0;
  #head: Head | undefined;
  #length = 0;
  #at = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Throws PeerWireError; nothing may be pushed after it. */
  push(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length && !this.#stopped) {
      from = this.#head === undefined ? this.#headFrom(bytes, from) : this.#bodyFrom(bytes, from);
    }
  }

  /** Whatever still comes is passed over. */
  stop(): void {
    this.#stopped = true;
  }

  #headFrom(bytes: Uint8Array, from: number): number {
    const take = Math.min(HEAD_BYTES - this.#filled, bytes.length - from);
    this.#bytes.set(bytes.subarray(from, from + take), this.#filled);
    this.#filled += take;
    if (this.#filled < HEAD_BYTES) return from + take;
    this.#filled = 0;
    const view = new DataView(this.#bytes.buffer);
    const code = view.getUint32(0, true);
    const kind = kindOf.get(code);
    if (kind === undefined) throw new PeerWireError(`0x${code.toString(16)} is no kind of frame`);
    const count = view.getUint32(4, true);
    const [first, second] = [view.getBigUint64(8, true), view.getBigUint64(16, true)];
    this.#head = { kind, count, first, second };
    this.#length = this.#sink.head(this.#head);
    this.#at = 0;
    this.#endIfWhole();
    return from + take;
  }

  #bodyFrom(bytes: Uint8Array, from: number): number {
    const take = Math.min(this.#length - this.#at, bytes.length - from);
    this.#sink.body(bytes.subarray(from, from + take), this.#at);
    this.#at += take;
    this.#endIfWhole();
    return from + take;
  }

  #endIfWhole(): void {
    const head = this.#head;
    if (head === undefined || this.#at < this.#length || this.#stopped) return;
    this.#head = undefined;
    this.#sink.whole(head);
  }
}
