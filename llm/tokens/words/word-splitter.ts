/**
 * Cuts text into the words within which byte-pair merges happen, exactly as llama.cpp does: the
 * common patterns by hand-written scanners (its `unicode_regex_split_custom_*`), the rest by
 * regular expressions over a text in which every non-ASCII character is replaced by its class.
 * Source: `src/unicode.cpp` of llama.cpp (MIT).
 *
 * Long because its scanners are one file in llama.cpp too, share their character tests, and are
 * compared with it line by line.
 */
import type { TextBuffer } from "../text-buffer.ts";
import { type SplitPattern, splitPattern } from "./split-pattern.ts";
import { LETTER, MARK, NUMBER, PUNCTUATION, SYMBOL, WHITESPACE } from "./unicode-classes.ts";

/** One cut; a pre-tokenizer is a row of them. */
export type SplitStep =
  | { readonly kind: "gpt2" }
  /** `digits`: how many make one word at most; `marks`: combining marks belong to letters. */
  | {
      readonly kind: "llama3";
      readonly digits: 1 | 3;
      readonly marks: boolean;
      /** U+017F is an "s" whose case does not count. */
      readonly long_s?: boolean;
    }
  | { readonly kind: "lines" }
  /** Digits in threes from the right; the rest is left whole. */
  | { readonly kind: "digit_groups" }
  /** With `\p{…}` in it: over collapsed text. Without: over the text itself. */
  | { readonly kind: "regex"; readonly source: string }
  /** As Hugging Face's `tokenizers` takes it, see split-pattern.ts. */
  | { readonly kind: "pattern"; readonly source: string; readonly cut: Cut };

/** Where what a pattern matches is cut off: on both sides, or it stays with a neighbour. */
export type Cut = "both" | "before" | "behind";

/** Ends of words as code point indices, growing; reused from call to call. */
export class WordEnds {
  ends = new Uint32Array(1024);
  count = 0;

  push(end: number): void {
    if (this.count === this.ends.length) {
      const grown = new Uint32Array(2 * this.count);
      grown.set(this.ends);
      this.ends = grown;
    }
    this.ends[this.count++] = end;
  }
}

const APOSTROPHE = 39;
const SPACE = 32;
const RETURN = 13;
const NEWLINE = 10;
const LONG_S = 0x17f;
const OUTSIDE = -1;

export class WordSplitter {
  /**
   * The words behind any word's end are those of the rest alone, and no word's end depends on more
   * than the run of blanks behind it and one character.
   */
  readonly restartable: boolean;
  readonly #steps: readonly PreparedStep[];
  #words = new WordEnds();
  #spare = new WordEnds();

  constructor(steps: readonly SplitStep[]) {
    this.#steps = steps.map(prepare);
    const only = steps.length === 1 ? steps[0]!.kind : undefined;
    this.restartable = only === "gpt2" || only === "llama3";
  }

  /** The words of `text`; valid until the next call. Adjacent, covering all of it. */
  split(text: TextBuffer): WordEnds {
    this.#words.count = 0;
    this.#words.push(text.count);
    for (const step of this.#steps) {
      const from = this.#words;
      const to = this.#spare;
      to.count = 0;
      let start = 0;
      if (step.kind === "pattern") {
        splitByPattern(step.pattern, step.cut, text, from, to);
      } else {
        for (let i = 0; i < from.count; i++) {
          const end = from.ends[i]!;
          if (end > start) runStep(step, text, start, end, to);
          start = end;
        }
      }
      this.#words = to;
      this.#spare = from;
    }
    return this.#words;
  }
}

type PreparedStep =
  | Exclude<SplitStep, { kind: "regex" | "pattern" }>
  | { readonly kind: "pattern"; readonly pattern: SplitPattern; readonly cut: Cut }
  | { readonly kind: "collapsed"; readonly regex: RegExp }
  | { readonly kind: "wide"; readonly regex: RegExp };

function prepare(step: SplitStep): PreparedStep {
  if (step.kind === "pattern") return { ...step, pattern: splitPattern(step.source) };
  if (step.kind !== "regex") return step;
  if (!step.source.includes("\\p{")) {
    return { kind: "wide", regex: new RegExp(step.source, "gu") };
  }
  return { kind: "collapsed", regex: new RegExp(collapsePattern(step.source), "g") };
}

function runStep(
  step: Exclude<PreparedStep, { kind: "pattern" }>,
  text: TextBuffer,
  start: number,
  end: number,
  out: WordEnds,
): void {
  switch (step.kind) {
    case "gpt2":
      splitGpt2(text, start, end, out);
      break;
    case "llama3":
      splitLlama3(text, start, end, step, out);
      break;
    case "lines":
      splitLines(text, start, end, out);
      break;
    case "digit_groups":
      splitDigitGroups(text, start, end, out);
      break;
    case "collapsed":
      splitCollapsed(text, start, end, step.regex, out);
      break;
    case "wide":
      splitWide(text, start, end, step.regex, out);
      break;
  }
}

/**
 * Length of an English contraction at `pos`, or 0. `fold`: case does not count, and this further
 * character is an "s".
 */
function contraction(
  points: Uint32Array,
  pos: number,
  end: number,
  fold: number | undefined,
): number {
  if (points[pos] !== APOSTROPHE || pos + 1 >= end) return 0;
  const first = fold !== undefined ? lower(points[pos + 1]!) : points[pos + 1]!;
  if (fold === LONG_S && first === LONG_S) return 2;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return 2; // s t m d
  if (pos + 2 >= end) return 0;
  const second = fold !== undefined ? lower(points[pos + 2]!) : points[pos + 2]!;
  if (second === 0x65) return first === 0x72 || first === 0x76 ? 3 : 0; // re ve
  return first === 0x6c && second === 0x6c ? 3 : 0; // ll
}

function lower(point: number): number {
  return point >= 0x41 && point <= 0x5a ? point + 32 : point;
}

/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
function splitGpt2(text: TextBuffer, start: number, end: number, out: WordEnds): void {
  const { points, classes } = text;
  let pos = start;
  while (pos < end) {
    const short = contraction(points, pos, end, undefined);
    if (short > 0) {
      pos += short;
      out.push(pos);
      continue;
    }
    let at = points[pos] === SPACE ? pos + 1 : pos;
    const kind = at < end ? classes[at]! : OUTSIDE;
    if (kind === LETTER || kind === NUMBER) {
      while (at < end && classes[at] === kind) at++;
      pos = at;
    } else if (kind !== WHITESPACE && kind !== OUTSIDE) {
      while (at < end && isSymbolic(classes[at]!)) at++;
      pos = at;
    } else {
      pos = endOfBlanks(classes, pos, end);
    }
    out.push(pos);
  }
}

function isSymbolic(kind: number): boolean {
  return kind !== WHITESPACE && kind !== LETTER && kind !== NUMBER;
}

/** `\s+(?!\S)|\s+`: a run of blanks leaves its last one to the word that follows. */
function endOfBlanks(classes: Uint8Array, pos: number, end: number): number {
  let at = pos;
  while (at < end && classes[at] === WHITESPACE) at++;
  if (at === pos) return pos + 1;
  return at - pos > 1 && at < end ? at - 1 : at;
}

/**
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+
 */
function splitLlama3(
  text: TextBuffer,
  start: number,
  end: number,
  { digits, marks, long_s }: { digits: 1 | 3; marks: boolean; long_s?: boolean },
  out: WordEnds,
): void {
  const { points, classes } = text;
  const mark = marks ? MARK : LETTER;
  const fold = long_s === true ? LONG_S : 0;
  let pos = start;
  while (pos < end) {
    const point = points[pos]!;
    const kind = classes[pos]!;
    const next = pos + 1 < end ? classes[pos + 1]! : OUTSIDE;
    const short = point === APOSTROPHE ? contraction(points, pos, end, fold) : 0;
    if (short > 0) {
      pos += short;
    } else if (kind === NUMBER) {
      const limit = Math.min(end, pos + digits);
      while (pos < limit && classes[pos] === NUMBER) pos++;
    } else if (
      point !== RETURN &&
      point !== NEWLINE &&
      (kind === LETTER || kind === mark || next === LETTER || next === mark)
    ) {
      pos++;
      while (pos < end && (classes[pos] === LETTER || classes[pos] === mark)) pos++;
    } else {
      const at = point === SPACE ? pos + 1 : pos;
      const first = point === SPACE ? next : kind;
      pos =
        isSymbolic(first) && first !== mark
          ? endOfSymbols(text, at, end, mark)
          : endOfBreaks(text, pos, end);
    }
    out.push(pos);
  }
}

function endOfSymbols(text: TextBuffer, from: number, end: number, mark: number): number {
  const { points, classes } = text;
  let at = from;
  while (at < end && isSymbolic(classes[at]!) && classes[at] !== mark) at++;
  while (at < end && (points[at] === RETURN || points[at] === NEWLINE)) at++;
  return at;
}

/** `\s*[\r\n]+|\s+(?!\S)|\s+`: blanks up to and with the last line break of the run. */
function endOfBreaks(text: TextBuffer, pos: number, end: number): number {
  const { points, classes } = text;
  let after_break = 0;
  for (let at = pos; at < end && classes[at] === WHITESPACE; at++) {
    if (points[at] === RETURN || points[at] === NEWLINE) after_break = at + 1;
  }
  return after_break > 0 ? after_break : endOfBlanks(classes, pos, end);
}

function splitLines(text: TextBuffer, start: number, end: number, out: WordEnds): void {
  const { points } = text;
  let pos = start;
  while (pos < end) {
    const breaks = points[pos] === NEWLINE;
    while (pos < end && (points[pos] === NEWLINE) === breaks) pos++;
    out.push(pos);
  }
}

function splitDigitGroups(text: TextBuffer, start: number, end: number, out: WordEnds): void {
  const { classes } = text;
  let pos = start;
  let last = start;
  const push = (to: number): void => {
    // The text before a number is cut off with the number's first group, as llama.cpp does.
    if (to > last) out.push(to);
    last = to;
  };
  while (pos < end) {
    if (classes[pos] !== NUMBER) {
      pos++;
      continue;
    }
    const first = pos;
    while (pos < end && classes[pos] === NUMBER) pos++;
    const lead = (pos - first) % 3;
    if (lead > 0) push(first + lead);
    for (let at = first + lead; at < pos; at += 3) push(at + 3);
  }
  push(end);
}

/** Codes of classes in collapsed text and patterns; the values are llama.cpp's. */
const CLASS_CODES: Record<number, number> = {
  [NUMBER]: 0xd1,
  [LETTER]: 0xd2,
  [PUNCTUATION]: 0xd3,
  [MARK]: 0xd4,
  [SYMBOL]: 0xd5,
  [WHITESPACE]: 0x0b,
};
const OTHER_CODE = 0xd0;

/** `\p{…}` → its code and its ASCII members, ready to stand inside brackets. */
const CLASS_SETS: Record<string, string> = {
  N: String.raw`\xD10-9`,
  L: String.raw`\xD2A-Za-z`,
  P: String.raw`\xD3!-#%-*,-/:-;?-@\[-\]_\{\}`,
  M: String.raw`\xD4`,
  S: String.raw`\xD5$+<->^${"`"}|~`,
};

function collapsePattern(source: string): string {
  let inside = false;
  let out = "";
  for (let i = 0; i < source.length; i++) {
    const char = source[i]!;
    const property = /^\\p\{([A-Z])\}/.exec(source.slice(i, i + 5));
    if (property !== null) {
      const set = CLASS_SETS[property[1]!]!;
      out += inside ? set : `[${set}]`;
      i += property[0].length - 1;
    } else if (char === "\\") {
      out += char + source[++i]!;
    } else {
      if (char === "[") inside = true;
      if (char === "]") inside = false;
      out += char;
    }
  }
  return out;
}

const latin1 = new TextDecoder("latin1");

/**
 * Each byte as the character of its number. The decoder's "latin1" is Windows-1252, whose
 * characters at 0x80 to 0x9f are others.
 */
function latin1Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function splitCollapsed(
  text: TextBuffer,
  start: number,
  end: number,
  regex: RegExp,
  out: WordEnds,
): void {
  const codes = new Uint8Array(end - start);
  for (let i = start; i < end; i++) {
    const point = text.points[i]!;
    codes[i - start] = point < 128 ? point : (CLASS_CODES[text.classes[i]!] ?? OTHER_CODE);
  }
  let last = start;
  for (const match of latin1.decode(codes).matchAll(regex)) {
    const from = start + match.index;
    if (from > last) out.push(from);
    last = from + match[0].length;
    if (match[0].length > 0) out.push(last);
  }
  if (last < end) out.push(end);
}

/** Cuts each of the words `from` once more. */
function splitByPattern(
  { regex, codes }: SplitPattern,
  cut: Cut,
  text: TextBuffer,
  from: WordEnds,
  out: WordEnds,
): void {
  const bytes = new Uint8Array(text.count);
  for (let i = 0; i < text.count; i++) bytes[i] = codes[text.points[i]!]!;
  const all = latin1Of(bytes);
  let start = 0;
  for (let i = 0; i < from.count; i++) {
    const end = from.ends[i]!;
    const word = start === 0 && end === text.count ? all : all.slice(start, end);
    let last = start;
    regex.lastIndex = 0;
    for (let match = regex.exec(word); match !== null; match = regex.exec(word)) {
      const first = start + match.index;
      const behind = first + match[0].length;
      if (match[0].length === 0) regex.lastIndex++;
      if (first > last && cut !== "behind") out.push(first);
      if (behind > first && cut !== "before") out.push(behind);
      last = cut === "before" ? first : behind;
    }
    if (last < end && (out.count === 0 || out.ends[out.count - 1] !== end)) out.push(end);
    start = end;
  }
}

function splitWide(
  text: TextBuffer,
  start: number,
  end: number,
  regex: RegExp,
  out: WordEnds,
): void {
  let string = "";
  const units = new Uint32Array(end - start + 1); // UTF-16 offset of each code point
  for (let i = start; i < end; i++) {
    units[i - start] = string.length;
    const point = text.points[i]!;
    // C++ sees no white space beyond ASCII, so llama.cpp puts a vertical tab in its place.
    const blank = point > 0x7f && text.classes[i] === WHITESPACE;
    string += blank ? "\v" : String.fromCodePoint(point);
  }
  units[end - start] = string.length;
  let index = 0;
  const pointAt = (unit: number): number => {
    while (units[index]! < unit) index++;
    return start + index;
  };
  let last = start;
  for (const match of string.matchAll(regex)) {
    const from = pointAt(match.index);
    if (from > last) out.push(from);
    last = pointAt(match.index + match[0].length);
    if (last > from) out.push(last);
  }
  if (last < end) out.push(end);
}
