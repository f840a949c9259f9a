/**
 * A pattern of a `tokenizer.json` (Oniguruma's syntax) as a regular expression of JavaScript's.
 * Their tables and blanks differ, so the expression runs over a text in which every character
 * beyond ASCII stands as one byte, its code: characters of one category that the pattern treats
 * alike share one. So only the tables here define the members of a class.
 *
 *   text   x  e  ◌́  &        pattern  [\p{L}\p{M}]+
 *   codes  78 65 86 26       becomes  [A-Za-z\x81-\x85\x86]+
 */
import { CATEGORY, unicodeCategories } from "./unicode-categories.ts";

/** A pattern over codes, and the code of each code point. */
export type SplitPattern = { readonly regex: RegExp; readonly codes: Uint8Array };

/** There is something in it that is not known here; the message says what. */
export class PatternError extends Error {}

const FIRST_CODE = 0x80;
const CODE_POINTS = 0x110000;

/** Members of a class, as categories and as code points. */
type Members = { readonly categories: readonly number[]; readonly runs: readonly Run[] };
type Run = readonly [first: number, last: number];

const NOTHING: Members = { categories: [], runs: [] };
const LETTERS = [CATEGORY.Lu, CATEGORY.Ll, CATEGORY.Lt, CATEGORY.Lm, CATEGORY.Lo];
const PROPERTIES: Readonly<Record<string, readonly number[]>> = {
  L: LETTERS,
  Lu: [CATEGORY.Lu],
  Ll: [CATEGORY.Ll],
  Lt: [CATEGORY.Lt],
  Lm: [CATEGORY.Lm],
  Lo: [CATEGORY.Lo],
  M: [CATEGORY.M],
  N: [CATEGORY.N],
  P: [CATEGORY.P],
  S: [CATEGORY.S],
};
/** Letters that case-insensitive ASCII ones stand for beyond ASCII. */
const FOLDS: Readonly<Record<string, number>> = { s: 0x17f, k: 0x212a };
/** Pairs that one character stands for when case does not count (ß, ﬀ, ﬁ, ﬂ, ﬆ). */
const FOLDED_PAIRS = /ss|ff|fi|fl|st/i;
const CONTROLS: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  f: 12,
  v: 11,
  a: 7,
  e: 27,
};

/** Throws PatternError for what has no equal here. */
export function splitPattern(source: string): SplitPattern {
  const parts = new Parser(source).all();
  const bounds = boundsOf(parts);
  const codes = codesOf(bounds);
  const samples = samplesOf(codes);
  const text = parts.map((part) => (typeof part === "string" ? part : setOf(part, samples)));
  try {
    return { regex: new RegExp(text.join(""), "g"), codes };
  } catch (thrown) {
    throw new PatternError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** Is there no character that it leaves out? Tried on all pairs of them. */
export function matchesAll({ regex, codes }: SplitPattern): boolean {
  const all = [...new Set(codes)].map((code) => String.fromCharCode(code));
  for (const first of all) {
    for (const second of all) {
      if ((first + second).replaceAll(regex, "") !== "") return false;
    }
  }
  return true;
}

/** A class in the pattern; text that is the same in both languages stands as it is. */
type ClassPart = { readonly members: Members; readonly inverted: boolean };
type Part = string | ClassPart;

class Parser {
  #at = 0;
  readonly #parts: Part[] = [];
  #possessive = 0;

  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  all(): Part[] {
    this.#alternatives(false);
    if (this.#at < this.#source.length) throw new PatternError("a bracket too many");
    return this.#parts;
  }

  #alternatives(fold: boolean): void {
    while (this.#at < this.#source.length && this.#source[this.#at] !== ")") {
      if (this.#source[this.#at] === "|") {
        this.#parts.push("|");
        this.#at++;
      } else {
        const first = this.#parts.length;
        const repeatable = this.#atom(fold);
        this.#repeat(first, repeatable);
      }
    }
  }

  /** False for what stands between characters. */
  #atom(fold: boolean): boolean {
    const char = this.#point();
    switch (char) {
      case "(":
        return this.#group(fold);
      case "[":
        this.#parts.push(this.#bracket(fold));
        return true;
      case ".":
        this.#parts.push({ members: { categories: [], runs: [[10, 10]] }, inverted: true });
        return true;
      case "$":
        this.#parts.push("(?![^\\n])");
        return false;
      case "^":
        this.#parts.push("(?<![^\\n])");
        return false;
      case "\\":
        this.#parts.push(this.#escape(fold));
        return true;
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternError(`"${char}" with nothing before it`);
      default:
        this.#parts.push(this.#literal(char.codePointAt(0)!, fold));
        return true;
    }
  }

  #group(fold: boolean): boolean {
    const opening = /^\?(?:i:|-i:|:|=|!|<=|<!)/.exec(
      this.#source.slice(this.#at, this.#at + 4),
    )?.[0];
    if (opening === undefined && this.#source[this.#at] === "?") throw new PatternError("a group");
    this.#at += opening?.length ?? 0;
    const inner = opening === "?i:" || (fold && opening !== "?-i:");
    const from = this.#at;
    this.#parts.push(/[=!]/.test(opening ?? "") ? `(${opening}` : "(?:");
    this.#alternatives(inner);
    if (this.#source[this.#at] !== ")") throw new PatternError("a group that is not closed");
    const within = this.#source.slice(from, this.#at);
    if (inner && FOLDED_PAIRS.test(within)) throw new PatternError("folded pairs of letters");
    this.#at++;
    this.#parts.push(")");
    return !/[=!]/.test(opening ?? "");
  }

  /** Reads the quantifier of the parts from `first` on. */
  #repeat(first: number, repeatable: boolean): void {
    const found = /^(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/.exec(this.#source.slice(this.#at));
    if (found === null) return;
    if (!repeatable) throw new PatternError(`"${found[0]}" behind what is no character`);
    this.#at += found[0].length;
    const count = found[0].replace("{,", "{0,");
    const next = this.#source[this.#at];
    if (next === "?") {
      if (found[0].startsWith("{")) throw new PatternError("a lazy count");
      this.#at++;
      this.#parts.push(`${count}?`);
    } else if (next === "+" && !found[0].startsWith("{")) {
      // Takes all it can and gives nothing back: what a lookahead took is not tried anew.
      this.#at++;
      const name = `p${this.#possessive++}`;
      this.#parts.splice(first, 0, `(?=(?<${name}>`);
      this.#parts.push(`${count}))\\k<${name}>`);
    } else if (next === "+") {
      this.#at++; // not possessive: a count takes another one behind it
      this.#parts.splice(first, 0, "(?:");
      this.#parts.push(`${count})+`);
    } else {
      this.#parts.push(count);
    }
    if (/^[*+?{]/.test(this.#source.slice(this.#at))) throw new PatternError("a count of a count");
  }

  #point(): string {
    const char = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    this.#at += char.length;
    return char;
  }

  #literal(point: number, fold: boolean): ClassPart {
    return { members: { categories: [], runs: foldedRuns([point, point], fold) }, inverted: false };
  }

  #escape(fold: boolean): ClassPart {
    const { members, inverted } = this.#escaped();
    return { members: folded(members, fold), inverted };
  }

  /** Behind a backslash. */
  #escaped(): ClassPart {
    const char = this.#point();
    if (char === "p" || char === "P") {
      const name = /^\{(\^?)(\w+)\}/.exec(this.#source.slice(this.#at));
      const categories = Object.hasOwn(PROPERTIES, name?.[2] ?? "") ? PROPERTIES[name![2]!]! : null;
      if (categories === null) throw new PatternError(`\\p${name?.[0] ?? ""}`);
      this.#at += name![0].length;
      const inverted = (char === "P") !== (name![1] === "^");
      return { members: { categories, runs: [] }, inverted };
    }
    if (char === "s" || char === "S") {
      const members = { categories: [CATEGORY.blank], runs: [] };
      return { members, inverted: char === "S" };
    }
    const hex = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(this.#source.slice(this.#at));
    const four = /^[0-9A-Fa-f]{4}/.exec(this.#source.slice(this.#at));
    let point: number | undefined;
    if (char === "x" && hex !== null) {
      point = Number.parseInt(hex[1] ?? hex[2]!, 16);
      this.#at += hex[0].length;
      if (hex[2] !== undefined && point > 0x7f) throw new PatternError("a byte by its number");
    } else if (char === "u" && four !== null) {
      point = Number.parseInt(four[0], 16);
      this.#at += 4;
    } else if (Object.hasOwn(CONTROLS, char)) {
      point = CONTROLS[char]!;
    } else if (/[A-Za-z0-9]/.test(char)) {
      throw new PatternError(`\\${char}`);
    } else {
      point = char.codePointAt(0)!;
    }
    return { members: { categories: [], runs: [[point, point]] }, inverted: false };
  }

  #bracket(fold: boolean): ClassPart {
    const inverted = this.#source[this.#at] === "^";
    if (inverted) this.#at++;
    let members = NOTHING;
    for (let first = true; ; first = false) {
      if (this.#at >= this.#source.length) throw new PatternError("a class that is not closed");
      const char = this.#point();
      if (char === "]" && !first) break;
      if (char === "[" || char === "]") throw new PatternError("a class within a class");
      if (char === "&" && this.#source[this.#at] === "&") throw new PatternError("&&");
      const one = char === "\\" ? this.#escaped() : this.#literal(char.codePointAt(0)!, false);
      if (one.inverted) throw new PatternError("an inverted class within a class");
      members = joined(members, this.#ranged(one.members, fold));
    }
    return { members, inverted };
  }

  /** The member itself, or a range that it begins. */
  #ranged(members: Members, fold: boolean): Members {
    const source = this.#source;
    const at = this.#at;
    let runs = members.runs;
    if (
      runs.length === 1 &&
      source[at] === "-" &&
      source[at + 1] !== "]" &&
      at + 1 < source.length
    ) {
      this.#at++;
      const char = this.#point();
      const last =
        char === "\\" ? this.#escaped().members.runs : [[char.codePointAt(0)!, 0] as const];
      if (last.length !== 1 || last[0]![0] < runs[0]![0]) throw new PatternError("a range");
      runs = [[runs[0]![0], last[0]![0]]];
    }
    return folded({ categories: members.categories, runs }, fold);
  }
}

function folded({ categories, runs }: Members, fold: boolean): Members {
  if (fold && categories.some((category) => category !== CATEGORY.blank)) {
    throw new PatternError("a property whose case does not count");
  }
  return { categories, runs: runs.flatMap((run) => foldedRuns(run, fold)) };
}

function joined(a: Members, b: Members): Members {
  return { categories: [...a.categories, ...b.categories], runs: [...a.runs, ...b.runs] };
}

/** With the other case of each ASCII letter in it where case does not count. */
function foldedRuns(run: Run, fold: boolean): Run[] {
  if (!fold) return [run];
  if (run[1] > 0x7f) throw new PatternError("letters beyond ASCII whose case does not count");
  const runs: Run[] = [run];
  for (let point = run[0]; point <= run[1]; point++) {
    const char = String.fromCharCode(point);
    if (!/[A-Za-z]/.test(char)) continue;
    const lower = char.toLowerCase();
    const all = [lower.charCodeAt(0), char.toUpperCase().charCodeAt(0), FOLDS[lower]];
    for (const other of all) if (other !== undefined) runs.push([other, other]);
  }
  return runs;
}

/** Code points beyond ASCII where some class of the pattern begins or ends. */
function boundsOf(parts: readonly Part[]): readonly number[] {
  const bounds = new Set<number>();
  for (const part of parts) {
    if (typeof part === "string") continue;
    for (const [first, last] of part.members.runs) {
      if (first > 0x7f) bounds.add(first);
      if (last > 0x7f) bounds.add(last + 1);
    }
  }
  return [...bounds].sort((a, b) => a - b);
}

let plain_codes: Uint8Array | undefined;

/** One code for each category within each stretch between two bounds; ASCII is its own. */
function codesOf(bounds: readonly number[]): Uint8Array {
  if (bounds.length === 0 && plain_codes !== undefined) return plain_codes;
  const categories = unicodeCategories();
  const codes = new Uint8Array(CODE_POINTS);
  for (let point = 0; point < FIRST_CODE; point++) codes[point] = point;
  const stretches = [FIRST_CODE, ...bounds, CODE_POINTS];
  let next = FIRST_CODE;
  for (let i = 1; i < stretches.length; i++) {
    const given = new Int16Array(16).fill(-1);
    for (let point = stretches[i - 1]!; point < stretches[i]!; point++) {
      const category = categories[point]!;
      if (given[category]! < 0) given[category] = next++;
      codes[point] = given[category]!;
    }
    if (next > 0x100) throw new PatternError("more ranges than there is room for");
  }
  if (bounds.length === 0) plain_codes = codes;
  return codes;
}

/** Some code point of each code, -1 where there is none. */
function samplesOf(codes: Uint8Array): Int32Array {
  const samples = new Int32Array(0x100).fill(-1);
  codes.forEach((code, point) => {
    samples[code] = point;
  });
  return samples;
}

/** The class over codes, in JavaScript's spelling. */
function setOf({ members, inverted }: ClassPart, samples: Int32Array): string {
  const categories = unicodeCategories();
  const isInside = (point: number): boolean =>
    members.categories.includes(categories[point]!) ||
    members.runs.some(([first, last]) => first <= point && point <= last);
  const sorted: number[] = [];
  samples.forEach((point, code) => {
    if (point >= 0 && isInside(point)) sorted.push(code);
  });
  const hex = (code: number): string => `\\x${code.toString(16).padStart(2, "0")}`;
  if (!inverted && sorted.length === 1) return hex(sorted[0]!);
  let set = "";
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end]! + 1) end++;
    set += end === i ? hex(sorted[i]!) : `${hex(sorted[i]!)}-${hex(sorted[end]!)}`;
    i = end + 1;
  }
  return `[${inverted ? "^" : ""}${set}]`;
}
