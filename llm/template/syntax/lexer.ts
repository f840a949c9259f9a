/**
 * The source of a template → tokens, as Jinja2 cuts it with `trim_blocks` and `lstrip_blocks`: a
 * line end behind a block's tag belongs to the tag, and so do blanks before it on its line.
 */
import { TemplateSyntaxError } from "../errors.ts";
import { SPACE, stripRight } from "../values/text.ts";
import { Float } from "../values/values.ts";

export type Token = {
  /** `text` is what stands outside of tags; `end` closes a tag. */
  readonly kind:
    | "text"
    | "block"
    | "output"
    | "end"
    | "name"
    | "string"
    | "number"
    | "sign"
    | "eof";
  /** Name, sign, or the text as it counts. */
  readonly text: string;
  /** Value of a number. */
  readonly value?: number | bigint | Float;
  /** From 1. */
  readonly line: number;
};

const OPENING = /\{[%{#]/g;
const raw_begin = new RegExp(`\\{%[-+]?[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})`, "y");
const raw_end = new RegExp(
  `\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`,
  "g",
);
const comment_end = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, "g");
const block_end = new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`, "y");
const output_end = new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, "y");
const blanks = new RegExp(`[${SPACE}]+`, "y");
const blank_line = new RegExp(`^[${SPACE}]*$`);
const float = "(?<![.])D(?:(?:\\.D)?e[+-]?D|\\.D)".replaceAll("D", "(?:\\d+_)*\\d+");
const INTEGER = "0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\\da-f])+|[1-9](?:_?\\d)*|0(?:_?0)*";
const number = new RegExp(`${float}|${INTEGER}`, "iy");
const IDENTIFIER = /[\p{XID_Start}_][\p{XID_Continue}]*/uy;
const QUOTED = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy;
const SIGN = /\*\*|\/\/|==|!=|<=|>=|[-+*/%~[\](){}<>=.:|,;]/y;
const brackets: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

export function tokensOf(source: string): readonly Token[] {
  return new Lexer(source).read();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #counted = 0;
  /** True: the last tag took the end of its line along, or no text stands before. */
  #line_begins = true;

  constructor(source: string) {
    const lines = source.replace(/\r\n?/g, "\n");
    // One line end at the very end is not part of a template.
    this.#source = lines.endsWith("\n") ? lines.slice(0, -1) : lines;
  }

  read(): readonly Token[] {
    while (this.#at < this.#source.length) {
      OPENING.lastIndex = this.#at;
      const match = OPENING.exec(this.#source);
      const end = match === null ? this.#source.length : match.index;
      const text = this.#source.slice(this.#at, end);
      if (match === null) {
        this.#text(text);
        this.#at = end;
        break;
      }
      const kind = this.#source[end + 1] as string;
      const strip = this.#source[end + 2];
      this.#text(this.#before(text, kind, strip));
      this.#at = end;
      this.#tag(kind);
    }
    this.#add("eof", "");
    return this.#tokens;
  }

  /** The rest of the text before a tag, after trimming. */
  #before(text: string, kind: string, strip: string | undefined): string {
    if (strip === "-") return stripRight(text);
    if (strip === "+" || kind === "{") return text;
    const start = text.lastIndexOf("\n") + 1;
    const whole_line = start > 0 || this.#line_begins;
    return whole_line && blank_line.test(text.slice(start)) ? text.slice(0, start) : text;
  }

  #tag(kind: string): void {
    if (kind === "#") {
      this.#skipTo(comment_end, "a comment has no end: #} is missing");
      return;
    }
    const raw = this.#match(raw_begin);
    if (raw !== undefined) {
      this.#raw();
      return;
    }
    this.#add(kind === "{" ? "output" : "block", "");
    this.#at += 2;
    if (/[-+]/.test(this.#source[this.#at] ?? "")) {
      if (kind === "%" || this.#source[this.#at] === "-") this.#at += 1;
    }
    this.#inside(kind === "{" ? output_end : block_end);
  }

  #raw(): void {
    raw_end.lastIndex = this.#at;
    const match = raw_end.exec(this.#source);
    if (match === null) throw this.#error("a raw block has no end: {% endraw %} is missing");
    const text = this.#source.slice(this.#at, match.index);
    this.#line_begins = false;
    this.#text(this.#before(text, "%", match[1]));
    this.#at = match.index + match[0].length;
    this.#line_begins = match[0].endsWith("\n");
  }

  #skipTo(pattern: RegExp, missing: string): void {
    pattern.lastIndex = this.#at + 2;
    const match = pattern.exec(this.#source);
    if (match === null) throw this.#error(missing);
    this.#at = match.index + match[0].length;
    this.#line_begins = match[0].endsWith("\n");
  }

  /** Up to the tag's end, which is none while a bracket is open. */
  #inside(end: RegExp): void {
    const open: string[] = [];
    for (;;) {
      if (this.#match(blanks) !== undefined) continue;
      if (open.length === 0) {
        const closed = this.#match(end);
        if (closed !== undefined) {
          this.#add("end", "");
          this.#line_begins = closed.endsWith("\n");
          return;
        }
      }
      if (this.#at >= this.#source.length) throw this.#error("a tag has no end");
      this.#one(open);
    }
  }

  #one(open: string[]): void {
    const digits = this.#match(number);
    if (digits !== undefined) {
      this.#tokens.push({
        kind: "number",
        text: digits,
        value: numberOf(digits),
        line: this.#here(),
      });
      return;
    }
    const word = this.#match(IDENTIFIER);
    if (word !== undefined) {
      this.#add("name", word);
      return;
    }
    const quoted = this.#match(QUOTED);
    if (quoted !== undefined) {
      this.#add("string", unescaped(quoted.slice(1, -1)));
      return;
    }
    const found = this.#match(SIGN);
    if (found === undefined) {
      throw this.#error(`unexpected character '${this.#source[this.#at]}'`);
    }
    if (brackets[found] !== undefined) open.push(brackets[found]);
    if (")]}".includes(found) && open.pop() !== found) throw this.#error(`unexpected '${found}'`);
    this.#add("sign", found);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #text(text: string): void {
    if (text !== "") this.#add("text", text);
  }

  #add(kind: Token["kind"], text: string): void {
    this.#tokens.push({ kind, text, line: this.#here() });
  }

  #here(): number {
    for (; this.#counted < this.#at; this.#counted += 1) {
      if (this.#source[this.#counted] === "\n") this.#line += 1;
    }
    return this.#line;
  }

  #error(message: string): TemplateSyntaxError {
    return new TemplateSyntaxError(message, this.#here());
  }
}

function numberOf(digits: string): number | bigint | Float {
  const plain = digits.replaceAll("_", "").toLowerCase();
  if (!/^0[box]/.test(plain) && /[.e]/.test(plain)) {
    const value = Number(plain);
    return Number.isInteger(value) ? new Float(value) : value;
  }
  const value = Number(plain);
  return Number.isSafeInteger(value) ? value : BigInt(plain);
}

const letters: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const ESCAPES = /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g;

/** Python's escapes; an unknown one stays as it is written. */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(ESCAPES, (whole, octal, hex, four, eight, letter) => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const code = hex ?? four ?? eight;
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
    return letters[letter as string] ?? whole;
  });
}
