/**
 * Codecs between messages and bytes. The runtime knows a message by a stable number and by `kind`;
 * the codecs, which are handed in when a node joins, know its content.
 */

import protobuf from "protobufjs/minimal.js";
import { errorText } from "./error-text.ts";
import type { Message } from "./kernel/message.ts";

export type Writer = protobuf.Writer;
export type Reader = protobuf.Reader;

/** Reads and writes one kind of message. Bytes that it decodes may be views of the whole frame. */
export type Codec<M extends Message = Message> = {
  /** 1 to 65,535, never reused; it stands for `kind` on the wire. */
  readonly id: number;
  readonly kind: M["kind"];
  /** Appends the body; `table` encodes a message within the message. */
  encode(message: M, writer: Writer, table: CodecTable): void;
  /** Reads `length` bytes from the reader's position and leaves it behind them. */
  decode(reader: Reader, length: number, table: CodecTable): M;
};

/** A row of proto's message table: a generated codec and what it stands for. */
export type ProtoRow = {
  readonly id: number;
  readonly kind: string;
  readonly codec: {
    // biome-ignore lint/suspicious/noConfusingVoidType: generated encoders return their writer
    encode(message: never, writer?: Writer): Writer | void;
    decode(reader: Reader, length?: number): object;
  };
};

type CodecErrorCode = "unknown_kind" | "unknown_type" | "duplicate_codec" | "bad_body" | "too_big";

export class CodecError extends Error {
  readonly code: CodecErrorCode;
  constructor(code: CodecErrorCode, message: string) {
    super(message);
    this.name = "CodecError";
    this.code = code;
  }
}

const ID_MAX = 65_535;

/** Every message that may cross a process edge. Made once, at start. */
export class CodecTable {
  readonly #byKind = new Map<string, Codec>();
  readonly #byId: (Codec | undefined)[] = [];

  /** Throws CodecError `duplicate_codec`. */
  constructor(codecs: readonly Codec[]) {
    for (const codec of codecs) this.#add(codec);
  }

  /** Throws CodecError `unknown_kind`. */
  of(kind: string): Codec {
    const codec = this.#byKind.get(kind);
    if (codec !== undefined) return codec;
    throw new CodecError(
      "unknown_kind",
      `a message of kind "${kind}" has no codec, so it cannot leave this process; ` +
        "add it to proto's message table",
    );
  }

  /** Throws CodecError `unknown_type` or `bad_body`. */
  decode(id: number, reader: Reader, length: number): Message {
    const codec = this.#byId[id];
    if (codec === undefined) {
      throw new CodecError("unknown_type", `no codec has the id ${id}; is the peer newer?`);
    }
    try {
      return codec.decode(reader, length, this);
    } catch (error) {
      if (error instanceof CodecError) throw error;
      const why = errorText(error);
      throw new CodecError("bad_body", `cannot read a message of kind "${codec.kind}": ${why}`);
    }
  }

  /**
   * The message after encoding and decoding, for tests that encode every hop. A kind without a
   * codec never leaves its process and is returned as it is.
   */
  roundTrip(message: Message): Message {
    const id = this.#byKind.get(message.kind)?.id;
    if (id === undefined) return message;
    const bytes = this.toBytes(message);
    return this.decode(id, newReader(bytes), bytes.length);
  }

  toBytes(message: Message): Uint8Array {
    const writer = newWriter();
    this.of(message.kind).encode(message, writer, this);
    return writer.finish();
  }

  #add(codec: Codec): void {
    const { id, kind } = codec;
    const other = this.#byKind.get(kind) ?? this.#byId[id];
    if (other !== undefined) {
      throw new CodecError(
        "duplicate_codec",
        `codec ${id} "${kind}" clashes with ${other.id} "${other.kind}"`,
      );
    }
    if (!Number.isInteger(id) || id < 1 || id > ID_MAX) {
      throw new CodecError("duplicate_codec", `codec "${kind}" needs an id of 1 to ${ID_MAX}`);
    }
    this.#byKind.set(kind, codec);
    this.#byId[id] = codec;
  }
}

/** Codecs out of generated ones; decoding adds the `kind` that the wire carries as a number. */
export function protoCodecs(rows: readonly ProtoRow[]): readonly Codec[] {
  return rows.map(({ id, kind, codec }) => ({
    id,
    kind,
    encode: (message, writer) => void codec.encode(message as never, writer),
    decode: (reader, length) => {
      const message = codec.decode(reader, length) as { kind: string };
      message.kind = kind;
      return message;
    },
  }));
}

/** A method of Buffer that its declarations lack. */
type Utf8Slice = { utf8Slice(start: number, end: number): string };

/**
 * Reads text by one native call: the generated decoders' own way builds it character by character,
 * which took half of the time of receiving a message. `bytes` fields are views, not copies.
 */
class FrameReader extends protobuf.Reader {
  readonly #text: Utf8Slice;

  constructor(bytes: Uint8Array) {
    super(bytes);
    const { buffer, byteOffset, byteLength } = bytes;
    this.#text = Buffer.from(buffer, byteOffset, byteLength) as unknown as Utf8Slice;
  }

  override string(): string {
    const length = this.uint32();
    const start = this.pos;
    const end = start + length;
    if (end > this.len) throw new RangeError(`text of ${length} bytes at ${start} of ${this.len}`);
    this.pos = end;
    return length === 0 ? "" : this.#text.utf8Slice(start, end);
  }

  override stringVerify(): string {
    return this.string();
  }
}

export function newReader(bytes: Uint8Array): Reader {
  return new FrameReader(bytes);
}

export function newWriter(): Writer {
  return new protobuf.Writer();
}
