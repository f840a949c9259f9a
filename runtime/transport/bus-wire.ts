/**
 * Messages of links over a bus. All numbers little endian; `link` is the receiver's own number for
 * the link, sequence numbers are u48 and count chunks from 1.
 *
 *     data   1  link u32  flags u8  seq u48  received u48  taken u48  payload
 *     ack    2  link u32  flags u8           received u48  taken u48
 *     probe  3  link u32  sender's link u32  sender's inbox
 *     reset  4  link u32  reason
 *     dial   5  dialler's link u32  dialler's inbox     → dialled 6 (the same of the other side)
 *     knock  7  0                                       → any answer: the address is taken
 *     gone   8  0         name
 */
export const kind = {
  data: 1,
  ack: 2,
  probe: 3,
  reset: 4,
  dial: 5,
  dialled: 6,
  knock: 7,
  gone: 8,
} as const;

/**
 * In data, `last`: the last chunk of its frame; `fin`: the link ends after it. In an ack, `gap`: a
 * message behind `received` came and one before it is missing; `answer`: the ack answers a probe,
 * so what was sent before the probe has come or is lost.
 */
export const flag = { last: 1, fin: 2, gap: 1, answer: 2 } as const;

export const DATA_HEADER_BYTES = 24;
const ACK_BYTES = 18;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type Data = {
  readonly link: number;
  readonly flags: number;
  readonly seq: number;
  readonly payload: Uint8Array;
};
/** The other side's numbers: chunks `received` in order, and `taken` by its reader. */
export type Ack = { readonly received: number; readonly taken: number };
/** Address of a link's other end. */
export type End = { readonly link: number; readonly inbox: string };

export function dataMessage({ link, flags, seq, payload }: Data, ack: Ack): Uint8Array {
  const bytes = new Uint8Array(DATA_HEADER_BYTES + payload.length);
  bytes[0] = kind.data;
  writeU32(bytes, 1, link);
  bytes[5] = flags;
  writeU48(bytes, 6, seq);
  writeU48(bytes, 12, ack.received);
  writeU48(bytes, 18, ack.taken);
  bytes.set(payload, DATA_HEADER_BYTES);
  return bytes;
}

export function ackMessage(link: number, flags: number, ack: Ack): Uint8Array {
  const bytes = new Uint8Array(ACK_BYTES);
  bytes[0] = kind.ack;
  writeU32(bytes, 1, link);
  bytes[5] = flags;
  writeU48(bytes, 6, ack.received);
  writeU48(bytes, 12, ack.taken);
  return bytes;
}

export function probeMessage(link: number, from: End): Uint8Array {
  const inbox = encoder.encode(from.inbox);
  const bytes = new Uint8Array(9 + inbox.length);
  bytes[0] = kind.probe;
  writeU32(bytes, 1, link);
  writeU32(bytes, 5, from.link);
  bytes.set(inbox, 9);
  return bytes;
}

/** A message of one number and one text: reset, dial, dialled, gone. */
export function textMessage(which: number, link: number, text: string): Uint8Array {
  const encoded = encoder.encode(text);
  const bytes = new Uint8Array(5 + encoded.length);
  bytes[0] = which;
  writeU32(bytes, 1, link);
  bytes.set(encoded, 5);
  return bytes;
}

export const knockMessage = (): Uint8Array => Uint8Array.of(kind.knock, 0, 0, 0, 0);

/** Undefined: the message is too short for its kind, or of no kind. */
export function kindOf(bytes: Uint8Array): number | undefined {
  const least = [0, DATA_HEADER_BYTES, ACK_BYTES, 9, 5, 5, 5, 5, 5][bytes[0] ?? 0] ?? 0;
  return least > 0 && bytes.length >= least ? bytes[0] : undefined;
}

export const linkOf = (bytes: Uint8Array): number => readU32(bytes, 1);
export const flagsOf = (bytes: Uint8Array): number => bytes[5] as number;

export const dataOf = (bytes: Uint8Array): Data => ({
  link: linkOf(bytes),
  flags: flagsOf(bytes),
  seq: readU48(bytes, 6),
  payload: bytes.subarray(DATA_HEADER_BYTES),
});

/** Reads the ack of an ack or a data message. */
export const ackOf = (bytes: Uint8Array): Ack => {
  const at = bytes[0] === kind.data ? 12 : 6;
  return { received: readU48(bytes, at), taken: readU48(bytes, at + 6) };
};

export const probeOf = (bytes: Uint8Array): End => ({
  link: readU32(bytes, 5),
  inbox: decoder.decode(bytes.subarray(9)),
});

export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes.subarray(5));

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 255;
  bytes[at + 1] = (value >>> 8) & 255;
  bytes[at + 2] = (value >>> 16) & 255;
  bytes[at + 3] = value >>> 24;
}

function readU32(bytes: Uint8Array, at: number): number {
  const b0 = bytes[at] as number;
  const b1 = bytes[at + 1] as number;
  const b2 = bytes[at + 2] as number;
  const b3 = bytes[at + 3] as number;
  return (b0 | (b1 << 8) | (b2 << 16) | (b3 << 24)) >>> 0;
}

const TWO32 = 2 ** 32;

function writeU48(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % TWO32);
  const high = Math.floor(value / TWO32);
  bytes[at + 4] = high & 255;
  bytes[at + 5] = (high >>> 8) & 255;
}

function readU48(bytes: Uint8Array, at: number): number {
  const high = (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8);
  return high * TWO32 + readU32(bytes, at);
}
