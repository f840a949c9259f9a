/**
 * The envelope, written and read by hand in the format of proto/envelope.proto (a test compares it
 * with the generated codec): a small message costs a few bytes and no object beside its body.
 */
import { CodecError, newReader, newWriter, type Reader, type Writer } from "../codec.ts";

/** Mutable on purpose: one head is reused for every envelope that is read. */
export type EnvelopeHead = {
  type: number;
  to: number;
  ask: number;
  answer: number;
  remaining_ms: number;
  correlation: string;
  traceparent: string;
  /** Where the body stands in the reader's bytes. */
  body_bytes: number;
};

function emptyHead(): EnvelopeHead {
  return {
    type: 0,
    to: 0,
    ask: 0,
    answer: 0,
    remaining_ms: 0,
    correlation: "",
    traceparent: "",
    body_bytes: 0,
  };
}

/** (field number << 3) | wire type, as in the .proto. */
const tag = {
  envelope: 0x0a,
  type: 0x08,
  to: 0x10,
  ask: 0x20,
  answer: 0x28,
  remaining_ms: 0x30,
  correlation: 0x3a,
  traceparent: 0x42,
  body: 0x7a,
} as const;

/** A buffer that a large message made larger than this is not kept. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Envelopes gathered for one frame. */
export class Batch {
  #writer: Writer = newWriter();

  get size_bytes(): number {
    return this.#writer.pos;
  }

  /** Starts an envelope. The caller writes the body to the returned writer, then calls `end`. */
  begin(type: number, to: number): Writer {
    const writer = this.#writer;
    writer.uint32(tag.envelope).fork();
    writer.uint32(tag.type).uint32(type);
    if (to !== 0) writer.uint32(tag.to).uint32(to);
    return writer;
  }

  ask(ask: number, remaining_ms: number): void {
    this.#writer.uint32(tag.ask).uint32(ask);
    this.remaining(remaining_ms);
  }

  remaining(remaining_ms: number): void {
    this.#writer.uint32(tag.remaining_ms).uint32(Math.max(1, Math.ceil(remaining_ms)));
  }

  answer(ask: number): void {
    this.#writer.uint32(tag.answer).uint32(ask);
  }

  correlation(text: string): void {
    this.#writer.uint32(tag.correlation).string(text);
  }

  traceparent(text: string): void {
    this.#writer.uint32(tag.traceparent).string(text);
  }

  body(): Writer {
    return this.#writer.uint32(tag.body).fork();
  }

  /** Closes the open envelope, and its body if it has one. */
  end(): void {
    const writer = this.#writer;
    while (writer.states !== null && writer.states.length > 0) writer.ldelim();
  }

  /** Removes an envelope whose body could not be written, or was too large. */
  rollback(to_bytes: number): void {
    const writer = this.#writer;
    if (writer.states !== null) writer.states.length = 0;
    writer.pos = to_bytes;
  }

  /** A view of the bytes gathered from `from_bytes` on; valid until `clear`. */
  view(from_bytes: number, to_bytes: number): Uint8Array {
    return this.#writer.buf.subarray(from_bytes, to_bytes);
  }

  /** Drops the bytes that were sent; the rest moves to the front. */
  drop(sent_bytes: number): void {
    if (sent_bytes === 0) return;
    const writer = this.#writer;
    writer.buf.copyWithin(0, sent_bytes, writer.pos);
    writer.pos -= sent_bytes;
  }

  clear(): void {
    if (this.#writer.buf.length > KEPT_BYTES_MAX) this.#writer = newWriter();
    else this.#writer.pos = 0;
  }
}

/** Walks the envelopes of one frame. */
export class FrameWalk {
  readonly reader: Reader;
  readonly head: EnvelopeHead = emptyHead();
  #end = 0;

  constructor(frame: Uint8Array) {
    this.reader = newReader(frame);
  }

  /**
   * Reads the next head and stops at its body, or returns false at the frame's end. The decoder of
   * the body, or `skip`, moves the reader past it.
   * Throws CodecError `bad_body` on bytes that are no frame.
   */
  next(): boolean {
    const { reader } = this;
    reader.pos = this.#end;
    if (reader.pos >= reader.len) return false;
    if (reader.uint32() !== tag.envelope) throw notAFrame(reader.pos);
    const length = reader.uint32();
    this.#end = reader.pos + length;
    if (this.#end > reader.len) throw notAFrame(reader.pos);
    this.#head(this.#end);
    return true;
  }

  #head(end: number): void {
    const { reader, head } = this;
    head.type = head.to = head.ask = head.answer = head.remaining_ms = 0;
    head.correlation = head.traceparent = "";
    head.body_bytes = 0;
    while (reader.pos < end) {
      const at = reader.uint32();
      if (at === tag.body) {
        head.body_bytes = reader.uint32();
        if (reader.pos + head.body_bytes > end) throw notAFrame(reader.pos);
        return;
      }
      if (at === tag.type) head.type = reader.uint32();
      else if (at === tag.to) head.to = reader.uint32();
      else if (at === tag.ask) head.ask = reader.uint32();
      else if (at === tag.answer) head.answer = reader.uint32();
      else if (at === tag.remaining_ms) head.remaining_ms = reader.uint32();
      else if (at === tag.correlation) head.correlation = reader.string();
      else if (at === tag.traceparent) head.traceparent = reader.string();
      else reader.skipType(at & 7);
    }
  }
}

function notAFrame(at_bytes: number): CodecError {
  return new CodecError("bad_body", `the peer's bytes are no frame of ours (at byte ${at_bytes})`);
}
