import { VocabError } from "./vocab.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/**
 * Walks JSON in its bytes and yields strings as spans of them. A vocabulary is half a million short
 * strings: as JavaScript objects they take half a second and 100 MB before the first is looked at.
 * Every method throws VocabError "vocab_corrupt" where the text is not what was asked for.
 */
export class JsonCursor {
  /** Content of the last string, without its quotes: `bytes[string_start, string_end)`. */
  string_bytes: Uint8Array;
  string_start = 0;
  string_end = 0;

  readonly #name: string;
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(name: string, bytes: Uint8Array, at = 0) {
    this.#name = name;
    this.#bytes = bytes;
    this.#at = at;
    this.string_bytes = bytes;
  }

  /** Calls `entry` at each value, whose key is the last string; `entry` must consume the value. */
  object(entry: () => void): void {
    this.#list(OPEN_OBJECT, CLOSE_OBJECT, () => {
      this.string();
      this.#take(COLON);
      entry();
    });
  }

  /** Calls `element` at each value, which it must consume. */
  array(element: () => void): void {
    this.#list(OPEN_ARRAY, CLOSE_ARRAY, element);
  }

  /** Does an array stand here? */
  atArray(): boolean {
    return this.#peek() === OPEN_ARRAY;
  }

  /** Consumes a string; its content is the span until the next one is read. */
  string(): void {
    this.#take(QUOTE);
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let escaped = false;
    while (at < bytes.length && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        escaped = true;
        at++;
      }
      at++;
    }
    if (at >= bytes.length) throw this.#corrupt();
    this.#at = at + 1;
    this.string_bytes = bytes;
    this.string_start = start;
    this.string_end = at;
    if (!escaped) return;
    this.string_bytes = encoder.encode(this.#parse(start - 1, at + 1) as string);
    this.string_start = 0;
    this.string_end = this.string_bytes.length;
  }

  /** The last string as text. */
  text(): string {
    return this.#decode(this.string_bytes.subarray(this.string_start, this.string_end));
  }

  /** Consumes a whole number that is not negative. */
  whole(): number {
    this.#peek();
    const bytes = this.#bytes;
    const start = this.#at;
    let number = 0;
    for (; this.#at < bytes.length; this.#at++) {
      const digit = bytes[this.#at]! - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    if (this.#at === start || this.#at - start > 15) throw this.#corrupt();
    return number;
  }

  /** Consumes any value and gives it as JSON.parse does. */
  value(): unknown {
    this.#peek();
    const start = this.#at;
    this.#skip();
    return this.#parse(start, this.#at);
  }

  /** Consumes any value and gives a cursor that stands before it. */
  later(): JsonCursor {
    this.#peek();
    const start = this.#at;
    this.#skip();
    return new JsonCursor(this.#name, this.#bytes, start);
  }

  /** Only blanks are left. */
  end(): void {
    if (this.#peek() !== undefined) throw this.#corrupt();
  }

  #skip(): void {
    let depth = 0;
    do {
      const byte = this.#peek();
      if (byte === QUOTE) this.#skipString();
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        depth++;
        this.#at++;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        depth--;
        this.#at++;
      } else if (depth > 0 && (byte === COMMA || byte === COLON)) this.#at++;
      else this.#skipScalar();
    } while (depth > 0);
    if (depth < 0) throw this.#corrupt();
  }

  #skipScalar(): void {
    const start = this.#at;
    while (isOfScalar(this.#bytes[this.#at])) this.#at++;
    if (this.#at === start) throw this.#corrupt();
  }

  #skipString(): void {
    const bytes = this.#bytes;
    for (let at = this.#at + 1; at < bytes.length; at++) {
      if (bytes[at] === BACKSLASH) at++;
      else if (bytes[at] === QUOTE) {
        this.#at = at + 1;
        return;
      }
    }
    throw this.#corrupt();
  }

  #list(open: number, close: number, element: () => void): void {
    this.#take(open);
    if (this.#peek() === close) {
      this.#at++;
      return;
    }
    for (;;) {
      element();
      if (this.#peek() === close) break;
      this.#take(COMMA);
    }
    this.#at++;
  }

  #take(byte: number): void {
    if (this.#peek() !== byte) throw this.#corrupt();
    this.#at++;
  }

  /** The next byte that is no blank, undefined at the end. */
  #peek(): number | undefined {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at++;
    }
  }

  #parse(start: number, end: number): unknown {
    const text = this.#decode(this.#bytes.subarray(start, end));
    try {
      return JSON.parse(text);
    } catch {
      throw this.#corrupt();
    }
  }

  #decode(bytes: Uint8Array): string {
    try {
      return decoder.decode(bytes);
    } catch {
      throw this.#corrupt();
    }
  }

  #corrupt(): VocabError {
    const where = `at byte ${Math.min(this.#at, this.#bytes.length)}`;
    const message = `${this.#name} is damaged ${where}: get the model's files again`;
    return new VocabError("vocab_corrupt", message);
  }
}

/** Letters, digits, signs and points: of numbers, true, false and null. */
function isOfScalar(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const digit = byte >= 0x30 && byte <= 0x39;
  const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
  return digit || letter || byte === MINUS || byte === 0x2b || byte === 0x2e;
}
