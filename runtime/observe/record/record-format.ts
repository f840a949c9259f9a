/** The format of a recording's files (proto/record.proto): names, frames, and what a turn may be. */
import { codecs } from "../../../proto/index.ts";
import { newReader, newWriter, type Writer } from "../../codec.ts";

export type WireRecord = ReturnType<typeof codecs.Record.decode>;
export type RecordHeader = NonNullable<WireRecord["header"]>;
export type RecordActor = NonNullable<WireRecord["actor"]>;
export type RecordTurn = NonNullable<WireRecord["turn"]>;
export type RecordLink = NonNullable<WireRecord["link"]>;
export type RecordFrame = NonNullable<WireRecord["frame"]>;
type Given = { readonly [Key in keyof WireRecord]?: WireRecord[Key] };

/** What a turn was; RecordTurn has the index, so names are only added at the end. */
export const turns = [
  /** Constructor and `init`. */
  "start",
  /** A message from outside: its value is here. */
  "message",
  /** A message that the actor sent to itself, or had sent by a timer. */
  "own",
  /** A reply to one of its asks, or a timer of its clock. */
  "callback",
  "down",
  "child_ended",
  "terminate",
  "release",
] as const;
export type Turn = (typeof turns)[number];

/** Of the files as such; the protocol's version says whether the messages in them are ours. */
export const FORMAT = 1;
const FILE_END = ".rec";
const FIRST_LINE = "troupe recording\n";
/** As much as a frame may have, and what is written around it. */
const RECORD_MAX_BYTES = 64 * 1024 * 1024;

const first_line = new TextEncoder().encode(FIRST_LINE);

/** In the order of names a start comes before the next one, and its files are in their order. */
export function fileName(
  { node, started_ms, pid }: Pick<RecordHeader, "node" | "started_ms" | "pid">,
  part: number,
): string {
  return `${node}~${Math.round(started_ms)}-${pid}~${String(part).padStart(6, "0")}${FILE_END}`;
}

export const isFileName = (name: string): boolean => name.endsWith(FILE_END);

/** True: the file is one of that node, of this start or an earlier one. */
export const isOfNode = (name: string, node: string): boolean =>
  isFileName(name) && name.startsWith(`${node}~`);

export function newFile(header: RecordHeader): Writer {
  const writer = newWriter().raw(first_line);
  addRecord(writer, { header });
  return writer;
}

export function addRecord(writer: Writer, record: Given): void {
  codecs.Record.encode(record as WireRecord, writer.fork());
  writer.ldelim();
}

export type FileContent = {
  readonly records: readonly WireRecord[];
  /** Bytes behind the last whole record: the process ended while it wrote. */
  readonly torn_bytes: number;
};

/**
 * Undefined: this is no recording. Whatever is whole is read, whatever stands behind it.
 * @param most records that are wanted; the others are only looked at
 */
export function readFile(
  bytes: Uint8Array,
  most = Number.POSITIVE_INFINITY,
): FileContent | undefined {
  const begins = first_line.subarray(0, bytes.length);
  if (Buffer.compare(bytes.subarray(0, first_line.length), begins) !== 0) return undefined;
  if (bytes.length < first_line.length) return { records: [], torn_bytes: bytes.length };
  const records: WireRecord[] = [];
  const reader = newReader(bytes);
  reader.pos = first_line.length;
  let whole = reader.pos;
  try {
    while (reader.pos < reader.len) {
      const length = reader.uint32();
      if (length === 0 || length > RECORD_MAX_BYTES || reader.pos + length > reader.len) break;
      if (records.length < most) records.push(codecs.Record.decode(reader, length));
      else reader.pos += length;
      whole = reader.pos;
    }
  } catch {
    // What stands here is no record: the file ends with the one before it.
  }
  return { records, torn_bytes: bytes.length - whole };
}
