/**
 * Values that are nearly JSON, turned into JSON as they come: Python literals (`'a'`, `True`,
 * `None`, tuples) and Gemma's (`<|"|>a<|"|>`, keys without quotes).
 */
import { escapedText, parseJson } from "./json-scan.ts";
import { Markers } from "./markers.ts";
import { DONE, MORE } from "./reader.ts";
import { isSpace, Source } from "./source.ts";

export type LooseStatus = typeof MORE | typeof DONE | typeof BAD;
const BAD = 3;

export const GEMMA_QUOTE = '<|"|>';
const GEMMA_MARKERS = new Markers([GEMMA_QUOTE]);
const MAX_DEPTH = 512;
const MAX_SCALAR_UNITS = 4096;

const WORDS: Readonly<Record<string, string>> = {
  True: "true",
  False: "false",
  None: "null",
  true: "true",
  false: "false",
  null: "null",
};
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  "0": "\0",
  a: "\u0007",
  v: "\v",
};
const CLOSERS: Readonly<Record<string, string>> = { "[": "]", "{": "}", "(": ")" };

/** What ends a word without quotes of Gemma's; spaces do not. */
const GEMMA_MARKS = ",:{}[]()<>\"'";

/** Where in a list or an object the reader is. */
const VALUE = 0;
const AFTER_VALUE = 1;
const KEY = 2;
const AFTER_KEY = 3;

type Place = "value" | "word" | "string" | "gemma";

export class LooseValue {
  /** JSON that the last `read` made. */
  text = "";
  readonly #gemma: boolean;
  /** Closing brackets that are to come. */
  readonly #open: string[] = [];
  #at: Place = "value";
  #want: number = VALUE;
  #quote = "";
  #escape = "";
  #word = "";
  /** A bracket just opened: it may close at once. */
  #first = false;
  /** The last element was followed by a comma, which is not out yet. */
  #comma = false;
  /** The first half of a pair of surrogates that are written as escapes. */
  #half = 0;
  /** What is there may be the beginning of a quote. */
  #waiting = false;

  constructor(gemma = false) {
    this.#gemma = gemma;
  }

  read(source: Source): LooseStatus {
    this.text = "";
    for (;;) {
      if (this.#at === "gemma") {
        const found = source.until(GEMMA_MARKERS, "call");
        this.text += escapedText(source.run);
        if (!found) return MORE;
        if (this.#endString()) return DONE;
        continue;
      }
      const unit = source.peek();
      if (unit < 0) return MORE;
      if (this.#at === "string") {
        if (this.#stringUnits(source)) return DONE;
        continue;
      }
      if (this.#at === "word") {
        if (isWord(unit, this.#gemma)) {
          if (this.#word.length >= MAX_SCALAR_UNITS) return BAD;
          this.#word += source.buffer[source.at++];
          continue;
        }
        const status = this.#endWord();
        if (status !== MORE) return status;
        continue;
      }
      if (isSpace(unit)) {
        source.at++;
        continue;
      }
      const status = this.#begin(source, source.buffer[source.at]!);
      if (status !== MORE || this.#waiting) return status;
    }
  }

  /** The unit that begins the next thing. */
  #begin(source: Source, char: string): LooseStatus {
    this.#waiting = false;
    if (this.#want === AFTER_KEY) {
      if (char !== ":" && char !== "=") return BAD;
      source.at++;
      this.text += ":";
      this.#want = VALUE;
      return MORE;
    }
    if (char === this.#open.at(-1) && (this.#want === AFTER_VALUE || this.#first || this.#comma)) {
      source.at++;
      return this.#close();
    }
    if (this.#want === AFTER_VALUE) {
      if (char !== ",") return BAD;
      source.at++;
      this.#comma = true;
      this.#want = this.#open.at(-1) === "}" ? KEY : VALUE;
      return MORE;
    }
    if (this.#gemma && char === "<") {
      const match = source.match(GEMMA_QUOTE);
      if (match === 0) return BAD;
      this.#waiting = match === 2;
      if (match === 1) this.#beginString("gemma", GEMMA_QUOTE);
      return MORE;
    }
    if (char === '"' || char === "'") {
      source.at++;
      this.#beginString("string", char);
      return MORE;
    }
    if (this.#want === VALUE && CLOSERS[char] !== undefined) {
      if (this.#open.length >= MAX_DEPTH) return BAD;
      source.at++;
      this.#separate();
      this.#open.push(CLOSERS[char]);
      this.text += char === "{" ? "{" : "[";
      this.#want = char === "{" ? KEY : VALUE;
      this.#first = true;
      return MORE;
    }
    if (!isWord(char.charCodeAt(0), this.#gemma)) return BAD;
    this.#at = "word";
    this.#word = "";
    return MORE;
  }

  #separate(): void {
    if (this.#comma) this.text += ",";
    this.#comma = false;
    this.#first = false;
  }

  #close(): LooseStatus {
    const closer = this.#open.pop();
    this.#comma = false;
    this.#first = false;
    this.text += closer === "}" ? "}" : "]";
    return this.#endValue() ? DONE : MORE;
  }

  #beginString(place: Place, quote: string): void {
    this.#separate();
    this.text += '"';
    this.#at = place;
    this.#quote = quote;
  }

  /** True when the whole value ended. */
  #endString(): boolean {
    this.text += '"';
    this.#at = "value";
    if (this.#want !== KEY) return this.#endValue();
    this.#want = AFTER_KEY;
    return false;
  }

  #endValue(): boolean {
    this.#want = AFTER_VALUE;
    return this.#open.length === 0;
  }

  #endWord(): LooseStatus {
    const word = this.#word.trim();
    this.#at = "value";
    this.#separate();
    if (this.#want === KEY) {
      this.text += JSON.stringify(word);
      this.#want = AFTER_KEY;
      return MORE;
    }
    const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    const number = typeof parseJson(word) === "number" ? word : undefined;
    if (known === undefined && number === undefined && !this.#gemma) return BAD;
    this.text += known ?? number ?? JSON.stringify(word);
    return this.#endValue() ? DONE : MORE;
  }

  /** Units of a quoted string. True when the whole value ended. */
  #stringUnits(source: Source): boolean {
    const { buffer } = source;
    let from = source.at;
    while (source.at < buffer.length) {
      const char = buffer[source.at]!;
      if (this.#escape !== "") {
        this.#escape += char;
        source.at++;
        from = source.at;
        this.#unescape();
        continue;
      }
      if (char !== this.#quote && char !== "\\") {
        source.at++;
        continue;
      }
      this.text += escapedText(buffer.slice(from, source.at));
      source.at++;
      from = source.at;
      if (char === "\\") this.#escape = "\\";
      else return this.#endString();
    }
    this.text += escapedText(buffer.slice(from, source.at));
    return false;
  }

  #unescape(): void {
    const kind = this.#escape[1] ?? "";
    const digits = { x: 2, u: 4, U: 8 }[kind];
    if (digits !== undefined && this.#escape.length < 2 + digits) return;
    const code = digits === undefined ? -1 : Number.parseInt(this.#escape.slice(2), 16);
    if (code >= 0xd800 && code < 0xdc00) this.#half = code;
    else if (code >= 0xdc00 && code < 0xe000 && this.#half > 0) {
      this.text += String.fromCharCode(this.#half, code);
      this.#half = 0;
    } else if (code >= 0 && code <= 0x10ffff) this.text += escapedText(String.fromCodePoint(code));
    else if (kind !== "\n") this.text += escapedText(ESCAPES[kind] ?? unknownEscape(kind));
    this.#escape = "";
  }
}

/** Python keeps the backslash of an escape that it does not know. */
const unknownEscape = (kind: string): string =>
  kind === "\\" || kind === "'" || kind === '"' || kind === "/" ? kind : `\\${kind}`;

/** Units of numbers, names and Gemma's bare words. */
function isWord(unit: number, gemma: boolean): boolean {
  if (unit === 43 || unit === 45 || unit === 46 || unit === 95) return true;
  if ((unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122)) {
    return true;
  }
  return gemma ? unit >= 32 && !GEMMA_MARKS.includes(String.fromCharCode(unit)) : unit > 127;
}

/** A whole text as JSON, or undefined. */
export function looseJson(text: string): string | undefined {
  const source = new Source();
  const value = new LooseValue();
  source.add(text);
  const status = value.read(source);
  const valid = status === DONE && source.rest().trim() === "";
  return valid && parseJson(value.text) !== undefined ? value.text : undefined;
}
