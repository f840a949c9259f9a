/**
 * Any value as a bounded JSON text, for people: what JSON lacks becomes a text, what is too long is
 * cut with «…». Pure, and it never throws.
 */

const CUT = "…";
const DEPTH_MAX = 8;
const LIST_MAX = 100;
const BYTES_SHOWN = 16;

/** At most about `chars_max` characters. */
export function plainText(value: unknown, chars_max: number): string {
  return JSON.stringify(new Plain(chars_max).of(value, 0)) ?? "null";
}

class Plain {
  #left: number;
  readonly #open = new Set<object>();

  constructor(chars_max: number) {
    this.#left = chars_max;
  }

  of(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#spend(Number.isFinite(value) ? value : String(value), 8);
      case "boolean":
        return this.#spend(value, 5);
      case "undefined":
        return null;
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "function":
        return this.#text(`function ${value.name}`);
      default:
        return this.#text(String(value));
    }
  }

  #object(value: object, depth: number): unknown {
    if (this.#left <= 0 || depth >= DEPTH_MAX) return CUT;
    if (this.#open.has(value)) return "(itself)";
    this.#open.add(value);
    try {
      return this.#inside(value, depth);
    } catch (error) {
      return this.#text(`(cannot be shown: ${error instanceof Error ? error.message : error})`);
    } finally {
      this.#open.delete(value);
    }
  }

  #inside(value: object, depth: number): unknown {
    if (value instanceof Uint8Array || value instanceof ArrayBuffer) return this.#bytes(value);
    if (ArrayBuffer.isView(value)) return this.#list(value as unknown as Iterable<unknown>, depth);
    if (Array.isArray(value) || value instanceof Set) return this.#list(value, depth);
    if (value instanceof Map) return this.#fields(value, depth);
    if (value instanceof Error) return this.#text(`${value.name}: ${value.message}`);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") return this.of(toJSON.call(value), depth + 1);
    return this.#fields(Object.entries(value), depth);
  }

  #list(values: Iterable<unknown>, depth: number): unknown[] {
    const shown: unknown[] = [];
    for (const value of values) {
      if (shown.length >= LIST_MAX || this.#left <= 0) {
        shown.push(CUT);
        break;
      }
      this.#left -= 1;
      shown.push(this.of(value, depth + 1));
    }
    return shown;
  }

  #fields(entries: Iterable<readonly [unknown, unknown]>, depth: number): object {
    const shown: [string, unknown][] = [];
    for (const [key, value] of entries) {
      if (value === undefined) continue;
      if (this.#left <= 0) {
        shown.push([CUT, CUT]);
        break;
      }
      shown.push([String(this.#text(String(key))), this.of(value, depth + 1)]);
    }
    // Not a literal: a key may be __proto__.
    return Object.fromEntries(shown);
  }

  #bytes(value: Uint8Array | ArrayBuffer): string {
    const bytes = value instanceof Uint8Array ? value : new Uint8Array(value);
    const hex = Array.from(bytes.subarray(0, BYTES_SHOWN), (byte) =>
      byte.toString(16).padStart(2, "0"),
    );
    const more = bytes.length > BYTES_SHOWN ? CUT : "";
    return String(this.#text(`(${bytes.length} bytes ${hex.join("")}${more})`));
  }

  #text(text: string): string {
    const room = Math.max(0, this.#left);
    let shown = text.length > room ? text.slice(0, room) : text;
    let written = JSON.stringify(shown).length;
    // Escapes make a text up to six times as long.
    while (written > room + 2 && shown.length > 0) {
      shown = shown.slice(0, shown.length >> 1);
      written = JSON.stringify(shown).length;
    }
    this.#left -= written;
    return shown.length < text.length ? shown + CUT : shown;
  }

  #spend<T>(value: T, chars: number): T {
    this.#left -= chars;
    return value;
  }
}
