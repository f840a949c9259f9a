/**
 * Bytes of a JSONL file, as they come → its lines. A byte order mark and the CR of a CRLF are no
 * part of a line; blank lines count for the numbers alone. A line that is too long is said to be
 * so, and not kept.
 */
export type Line = {
  /** From 1, as editors count. */
  readonly number: number;
  /** Undefined: it is longer than a line may be. */
  readonly bytes: Uint8Array | undefined;
};

const LF = 0x0a;
const CR = 0x0d;
const MARK = [0xef, 0xbb, 0xbf];

export class LineReader {
  readonly #line_bytes: number;
  #parts: Uint8Array[] = [];
  #held_bytes = 0;
  #number = 1;

  constructor(line_bytes: number) {
    this.#line_bytes = line_bytes;
  }

  /** The lines that end in these bytes. */
  *push(bytes: Uint8Array): Generator<Line> {
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LF, from);
      if (end < 0) break;
      this.#keep(bytes.subarray(from, end));
      yield* this.#take();
      from = end + 1;
    }
    this.#keep(bytes.subarray(from));
  }

  /** The last line, if no line end follows it. */
  *end(): Generator<Line> {
    yield* this.#take();
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#held_bytes += bytes.length;
    // One byte more than a line may have, for the CR.
    if (this.#held_bytes > this.#line_bytes + 1) this.#parts = [];
    else this.#parts.push(bytes);
  }

  *#take(): Generator<Line> {
    const number = this.#number++;
    const too_long = this.#held_bytes > this.#line_bytes + 1;
    let line: Uint8Array = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held_bytes = 0;
    if (too_long) {
      yield { number, bytes: undefined };
      return;
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    if (number === 1 && MARK.every((byte, i) => line[i] === byte)) line = line.subarray(3);
    if (isBlank(line)) return;
    yield { number, bytes: line.length > this.#line_bytes ? undefined : line };
  }
}

const isBlank = (line: Uint8Array): boolean =>
  line.every((byte) => byte === 0x20 || byte === 0x09 || byte === CR);

/** All lines of a file. */
export async function* linesOf(
  parts: AsyncIterable<Uint8Array>,
  line_bytes: number,
): AsyncGenerator<Line> {
  const reader = new LineReader(line_bytes);
  for await (const part of parts) yield* reader.push(part);
  yield* reader.end();
}
