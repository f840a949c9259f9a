import { DONE, MORE } from "./reader.ts";
import { isSpace, type Source } from "./source.ts";

/** What was read is no JSON. */
export const BAD = 3;
export type JsonStatus = typeof MORE | typeof DONE | typeof BAD;

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const MAX_DEPTH = 512;

/**
 * Finds the end of one JSON value, unit by unit, and hands the value's text on as it is. Line
 * breaks and other control characters that small models put into strings raw are escaped.
 * It follows brackets and strings only; whoever needs the value valid parses the joined text.
 */
export class JsonScan {
  /** What the last `read` passed over. */
  text = "";
  readonly #open: number[] = [];
  #in_string = false;
  #escaped = false;
  #begun = false;
  #scalar = false;

  read(source: Source): JsonStatus {
    const { buffer } = source;
    let at = source.at;
    let from = at;
    this.text = "";
    let status: JsonStatus = MORE;
    while (at < buffer.length) {
      const unit = buffer.charCodeAt(at);
      if (this.#in_string) {
        if (unit < 32 && !this.#escaped) {
          this.text += buffer.slice(from, at) + escapedControl(unit);
          from = at + 1;
        }
        at++;
        if (!this.#stringUnit(unit)) continue;
        status = DONE;
        break;
      }
      if (this.#scalar && !isScalar(unit)) {
        status = DONE;
        break;
      }
      const step = this.#step(unit);
      if (step === BAD) {
        status = BAD;
        break;
      }
      at++;
      if (step === DONE) {
        status = DONE;
        break;
      }
    }
    this.text += buffer.slice(from, at);
    source.at = at;
    return status;
  }

  /** True when the string ended and is the whole value. */
  #stringUnit(unit: number): boolean {
    if (this.#escaped) this.#escaped = false;
    else if (unit === BACKSLASH) this.#escaped = true;
    else if (unit === QUOTE) {
      this.#in_string = false;
      return this.#open.length === 0;
    }
    return false;
  }

  /** One unit outside of strings. */
  #step(unit: number): JsonStatus {
    const first = !this.#begun;
    this.#begun = true;
    if (unit === QUOTE) {
      this.#in_string = true;
      return MORE;
    }
    if (unit === OPEN_OBJECT || unit === OPEN_LIST) {
      if (this.#open.length >= MAX_DEPTH) return BAD;
      this.#open.push(unit === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST);
      return MORE;
    }
    if (unit === CLOSE_OBJECT || unit === CLOSE_LIST) {
      if (this.#open.pop() !== unit) return BAD;
      return this.#open.length === 0 ? DONE : MORE;
    }
    if (first) {
      this.#scalar = isScalar(unit);
      return this.#scalar ? MORE : BAD;
    }
    const between = unit === 44 || unit === 58 || isSpace(unit);
    return this.#scalar || between || isScalar(unit) ? MORE : BAD;
  }
}

/** Digits, letters, sign, point: what numbers and names consist of. */
function isScalar(unit: number): boolean {
  return (
    (unit >= 48 && unit <= 57) ||
    (unit >= 97 && unit <= 122) ||
    (unit >= 65 && unit <= 90) ||
    unit === 43 ||
    unit === 45 ||
    unit === 46
  );
}

function escapedControl(unit: number): string {
  if (unit === 10) return "\\n";
  if (unit === 13) return "\\r";
  if (unit === 9) return "\\t";
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

/** The value, or undefined where the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what JSON wants escaped
const TO_ESCAPE = /["\\\u0000-\u001f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const ALL_TO_ESCAPE = /["\\\u0000-\u001f]/g;

/** The inside of a JSON string. Halves of a surrogate pair stay as they are: the other may come. */
export function escapedText(text: string): string {
  return TO_ESCAPE.test(text) ? text.replace(ALL_TO_ESCAPE, escapedUnit) : text;
}

function escapedUnit(char: string): string {
  return char === '"' || char === "\\" ? `\\${char}` : escapedControl(char.charCodeAt(0));
}
