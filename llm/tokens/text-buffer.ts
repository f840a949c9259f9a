import { unicodeClasses } from "./words/unicode-classes.ts";

const encoder = new TextEncoder();
const KEEP_POINTS = 1 << 18;

/**
 * One piece of text as bytes, code points and classes side by side; refilled from call to call.
 * Lone surrogates become U+FFFD (the UTF-8 encoder does that), as everywhere in this project.
 */
export class TextBuffer {
  /** UTF-8; valid up to `byte_count`. */
  bytes = new Uint8Array(4096);
  byte_count = 0;
  /** Code points; valid up to `count`. */
  points = new Uint32Array(1024);
  /** Class of each code point, see unicode-classes.ts. */
  classes = new Uint8Array(1024);
  /** Where each code point starts in `bytes`, one more than there are points. */
  starts = new Uint32Array(1025);
  count = 0;
  readonly #table: Uint8Array;

  /** `classes`: by code point, see unicode-classes.ts. */
  constructor(classes: Uint8Array = unicodeClasses()) {
    this.#table = classes;
  }

  fill(text: string): void {
    this.encode(text);
    this.#reserve(this.byte_count);
    const { bytes, points, classes, starts, byte_count } = this;
    const table = this.#table;
    let count = 0;
    let at = 0;
    while (at < byte_count) {
      const lead = bytes[at]!;
      starts[count] = at;
      let point = lead;
      if (lead < 0x80) {
        at += 1;
      } else if (lead < 0xe0) {
        point = ((lead & 0x1f) << 6) | (bytes[at + 1]! & 0x3f);
        at += 2;
      } else if (lead < 0xf0) {
        point = ((lead & 0x0f) << 12) | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
        at += 3;
      } else {
        const high = ((lead & 0x07) << 18) | ((bytes[at + 1]! & 0x3f) << 12);
        point = high | ((bytes[at + 2]! & 0x3f) << 6) | (bytes[at + 3]! & 0x3f);
        at += 4;
      }
      points[count] = point;
      classes[count] = table[point]!;
      count++;
    }
    starts[count] = byte_count;
    this.count = count;
  }

  /** Only the bytes, for tokenizers that need no classes. */
  encode(text: string): void {
    const most = 3 * text.length;
    if (this.bytes.length < most || this.bytes.length > 16 * KEEP_POINTS) {
      this.bytes = new Uint8Array(Math.max(4096, most));
    }
    this.byte_count = encoder.encodeInto(text, this.bytes).written;
  }

  /** Room for as many points as there are bytes; what one huge text took is not kept for ever. */
  #reserve(count: number): void {
    if (count <= this.points.length && this.points.length <= 2 * KEEP_POINTS) return;
    const size = Math.max(count, Math.min(2 * count, KEEP_POINTS));
    this.points = new Uint32Array(size);
    this.classes = new Uint8Array(size);
    this.starts = new Uint32Array(size + 1);
  }
}
