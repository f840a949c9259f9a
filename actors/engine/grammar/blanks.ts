/**
 * The blank space between the parts of an answer's JSON: a grammar leaves it open, and an answer
 * goes on as it began.
 *
 *   {"a": 1, "b": [2]}     a list or object on one line
 *   {⏎  "a": 1,⏎  "b": …   one on lines of its own, each indented by as much as is open
 *
 * Texts are in the byte alphabet. Of a text that is no JSON it says something that is as good as
 * any other guess.
 */
import { inAlphabet } from "./grammar-vocab.ts";

const LINE = inAlphabet("\n");
const SPACE = inAlphabet(" ");
const BLANK = new Set(inAlphabet(" \t\r\n"));

export type Blanks = {
  /** What the answer's end stands behind: one of these marks, a value that may be whole, or else. */
  readonly behind: "{" | "[" | "," | ":" | "value" | "";
  /** Blank space behind it, so far. */
  readonly blank: string;
  readonly quoted: boolean;
  readonly escaping: boolean;
  /** Of each list and object that is open: is it on lines of its own? */
  readonly open: readonly boolean[];
  /** Were the last ones? */
  readonly lists: boolean;
  readonly objects: boolean;
  readonly colon: string;
  /** On one line. */
  readonly comma: string;
  readonly indent: string;
};

/** Of an answer that has no text yet; models write so, most of the time. */
export const FIRST_BLANKS: Blanks = {
  ...{ behind: "", blank: "", quoted: false, escaping: false },
  ...{ open: [], lists: false, objects: false },
  ...{ colon: SPACE, comma: SPACE, indent: SPACE + SPACE },
};

type Changing = { -readonly [Field in keyof Blanks]: Blanks[Field] };

export function blanksAfter(blanks: Blanks, text: string): Blanks {
  const now: Changing = { ...blanks };
  for (const char of text) {
    if (now.quoted) quote(now, char);
    else if (BLANK.has(char)) now.blank += char;
    else {
      learn(now);
      part(now, char);
    }
  }
  return now;
}

/** Within a quoted text; a line break says that it was none. */
function quote(now: Changing, char: string): void {
  if (now.escaping) now.escaping = false;
  else if (char === "\\") now.escaping = true;
  else if (char === '"' || char === LINE) {
    now.quoted = false;
    now.behind = "value";
    now.blank = "";
  }
}

/** The blank space is whole. */
function learn(now: Changing): void {
  const { behind, blank, open } = now;
  if (behind === ":") now.colon = blank;
  if (open.length === 0 || !(behind === "{" || behind === "[" || behind === ",")) return;
  const lines = blank.startsWith(LINE);
  now.open = [...open.slice(0, -1), lines];
  if (behind === "{") now.objects = lines;
  if (behind === "[") now.lists = lines;
  if (behind === "," && !lines) now.comma = blank;
  const indent = (blank.length - 1) / open.length;
  if (lines && indent > 0 && Number.isInteger(indent)) now.indent = blank.slice(1, 1 + indent);
}

function part(now: Changing, char: string): void {
  now.blank = "";
  switch (char) {
    case "{":
      now.open = [...now.open, now.objects];
      now.behind = char;
      return;
    case "[":
      now.open = [...now.open, now.lists];
      now.behind = char;
      return;
    case "}":
    case "]":
      now.open = now.open.slice(0, -1);
      now.behind = "value";
      return;
    case ",":
    case ":":
      now.behind = char;
      return;
    case '"':
      now.quoted = true;
      now.behind = "";
      return;
    default:
      // A number may go on; a word is whole where its grammar says so.
      now.behind = /[a-z]/.test(char) ? "value" : "";
  }
}

/** The blank space that is likely to be next; "": none. Undefined: this is no place for it. */
export function blankNext(blanks: Blanks): string | undefined {
  const { behind, blank, quoted, open, colon, comma, indent } = blanks;
  if (quoted || behind === "") return undefined;
  const lines = open.at(-1) === true || (open.length > 0 && blank.startsWith(LINE));
  const depth = open.length - Number(behind === "value");
  let whole = "";
  if (behind === ":") whole = colon;
  else if (lines) whole = LINE + indent.repeat(depth);
  else if (behind === ",") whole = comma;
  return whole.startsWith(blank) ? whole.slice(blank.length) : "";
}
