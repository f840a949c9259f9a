/**
 * Regular expressions as a tree: JavaScript's syntax, as far as it says which texts fit. What looks
 * around or back (lookahead, \1, \b) has no grammar.
 */
import { ALL_CHARS, type CharSet, charSet, charsOf, complement, union } from "./char-set.ts";
import { CharSetError, canSay } from "./rules.ts";

export type Regex =
  | { readonly kind: "chars"; readonly set: CharSet }
  | { readonly kind: "row"; readonly parts: readonly Regex[] }
  | { readonly kind: "either"; readonly choices: readonly Regex[] }
  | {
      readonly kind: "times";
      readonly of: Regex;
      readonly min: number;
      readonly max: number | undefined;
    }
  /** `^` and `$`. */
  | { readonly kind: "start" | "end" };

/** A text that is no regular expression, or one without a grammar. */
export class RegexError extends Error {
  override readonly name = "RegexError";
}

/** Characters of an expression, nested groups, and characters with the counts written out. */
export const MAX_REGEX_CHARS = 4_096;
const MAX_REGEX_DEPTH = 64;
export const MAX_REGEX_SIZE = 20_000;

const DIGITS = charSet([48, 57]);
const WORD = charSet([48, 57], [65, 90], [95, 95], [97, 122]);
const SPACES = union(charsOf(" \t\n\r\v\f\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), [
  [0x2000, 0x200a],
]);
const LINE_ENDS = charsOf("\n\r\u2028\u2029");
const CLASSES: Readonly<Record<string, CharSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACES,
  S: complement(SPACES),
};
const CONTROLS: Readonly<Record<string, string>> = {
  t: "\t",
  n: "\n",
  r: "\r",
  f: "\f",
  v: "\v",
  0: "\0",
};
const COUNT = /^\{(\d{1,9})(,(\d{1,9})?)?\}/;

/** Throws RegexError. */
export function parseRegex(pattern: string): Regex {
  if (pattern.length > MAX_REGEX_CHARS) {
    throw new RegexError(`it has more than ${MAX_REGEX_CHARS} characters`);
  }
  checkSyntax(pattern);
  const regex = new RegexReader(pattern).whole();
  if (!setsOf(regex).every(canSay)) throw new RegexError(new CharSetError().message);
  if (regexSize(regex) > MAX_REGEX_SIZE) {
    throw new RegexError(
      `with its counts written out it has more than ${MAX_REGEX_SIZE} characters`,
    );
  }
  return regex;
}

function checkSyntax(pattern: string): void {
  try {
    new RegExp(pattern, "u");
  } catch {
    try {
      new RegExp(pattern);
    } catch (error) {
      const text = error instanceof Error ? error.message : "";
      throw new RegexError(`it is no regular expression (${text.replace(/^.*: /s, "")})`);
    }
  }
}

class RegexReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Regex {
    const regex = this.#choices();
    if (this.#at < this.#text.length) throw new RegexError("it has a ) without its (");
    return regex;
  }

  #choices(): Regex {
    this.#depth++;
    if (this.#depth > MAX_REGEX_DEPTH) {
      throw new RegexError(`it has groups nested deeper than ${MAX_REGEX_DEPTH}`);
    }
    const choices = [this.#row()];
    while (this.#take("|")) choices.push(this.#row());
    this.#depth--;
    return choices.length === 1 ? choices[0]! : { kind: "either", choices };
  }

  #row(): Regex {
    const parts: Regex[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#text[this.#at]!)) {
      parts.push(this.#counted(this.#atom()));
    }
    return parts.length === 1 ? parts[0]! : { kind: "row", parts };
  }

  #counted(of: Regex): Regex {
    const rest = this.#text.slice(this.#at, this.#at + 24);
    const count = COUNT.exec(rest);
    let min = 1;
    let max: number | undefined = 1;
    if (rest[0] === "*" || rest[0] === "+" || rest[0] === "?") {
      min = rest[0] === "+" ? 1 : 0;
      max = rest[0] === "?" ? 1 : undefined;
      this.#at++;
    } else if (count !== null) {
      min = Number(count[1]);
      max = count[2] === undefined ? min : count[3] === undefined ? undefined : Number(count[3]);
      this.#at += count[0].length;
    } else return of;
    // Lazy or not, the same texts fit.
    this.#take("?");
    return { kind: "times", of, min, max };
  }

  #atom(): Regex {
    if (this.#take("(")) {
      if (this.#take("?")) this.#groupKind();
      const inner = this.#choices();
      if (!this.#take(")")) throw new RegexError("it has a ( without its )");
      return inner;
    }
    if (this.#take("[")) return { kind: "chars", set: this.#class() };
    if (this.#take("^")) return { kind: "start" };
    if (this.#take("$")) return { kind: "end" };
    if (this.#take(".")) return { kind: "chars", set: complement(LINE_ENDS) };
    if (this.#take("\\")) return { kind: "chars", set: this.#escape(false) };
    return { kind: "chars", set: charsOf(this.#char()) };
  }

  #groupKind(): void {
    if (this.#take(":")) return;
    const name = /^P?<[\p{L}_$][\p{L}\p{N}_$]*>/u.exec(this.#text.slice(this.#at))?.[0];
    if (name === undefined)
      throw new RegexError("it looks around (?=, ?!, ?<=, ?<!) or sets flags");
    this.#at += name.length;
  }

  /** Behind `[`. */
  #class(): CharSet {
    const negated = this.#take("^");
    const sets: CharSet[] = [];
    while (!this.#take("]")) {
      if (this.#at >= this.#text.length) throw new RegexError("it has a [ without its ]");
      const from = this.#classItem();
      const isRange = this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]";
      if (!isRange) {
        sets.push(from);
        continue;
      }
      this.#at++;
      const to = this.#classItem();
      const [first] = from;
      const last = to.at(-1);
      const single = first !== undefined && last !== undefined && from.length === 1;
      if (!single || first[0] !== first[1] || last[0] !== last[1]) {
        sets.push(from, to, charsOf("-"));
      } else sets.push(charSet([first[0], last[1]]));
    }
    const set = union(...sets);
    return negated ? complement(set) : complement(complement(set));
  }

  #classItem(): CharSet {
    return this.#take("\\") ? this.#escape(true) : charsOf(this.#char());
  }

  /** Behind a backslash. */
  #escape(in_class: boolean): CharSet {
    const char = this.#char();
    const known = Object.hasOwn(CLASSES, char) ? CLASSES[char] : undefined;
    if (known !== undefined) return known;
    if (in_class && char === "b") return charsOf("\b");
    if (char === "b" || char === "B") throw new RegexError(`it has \\${char}, which looks around`);
    if (char === "p" || char === "P") {
      throw new RegexError(`it has \\${char}{…}; write the ranges of characters instead`);
    }
    if (char === "k" || (char >= "1" && char <= "9")) {
      throw new RegexError("it refers back to a group");
    }
    if (Object.hasOwn(CONTROLS, char)) return charsOf(CONTROLS[char]!);
    const rest = this.#text.slice(this.#at);
    const hex =
      char === "x"
        ? /^([0-9a-fA-F]{2})/.exec(rest)
        : char === "u"
          ? (/^([0-9a-fA-F]{4})/.exec(rest) ?? /^\{([0-9a-fA-F]{1,6})\}/.exec(rest))
          : null;
    if (hex === null) return charsOf(char);
    this.#at += hex[0].length;
    const code = Number.parseInt(hex[1]!, 16);
    return charSet([code, code]);
  }

  /** The next code point. */
  #char(): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) throw new RegexError("it ends with a backslash");
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

function setsOf(regex: Regex): readonly CharSet[] {
  switch (regex.kind) {
    case "chars":
      return [regex.set];
    case "row":
      return regex.parts.flatMap(setsOf);
    case "either":
      return regex.choices.flatMap(setsOf);
    case "times":
      return setsOf(regex.of);
    default:
      return [];
  }
}

/** Single characters of the expression, counts written out. */
function regexSize(regex: Regex): number {
  switch (regex.kind) {
    case "chars":
      return 1;
    case "row":
      return regex.parts.reduce((sum, part) => sum + regexSize(part), 0);
    case "either":
      return regex.choices.reduce((sum, choice) => sum + regexSize(choice), 0);
    case "times":
      return Math.max(1, regex.max ?? regex.min) * Math.max(1, regexSize(regex.of));
    default:
      return 0;
  }
}

/** Fewest and most code points of a text that fits. */
export function regexLengths(regex: Regex): { readonly min: number; readonly max: number } {
  switch (regex.kind) {
    case "chars":
      return { min: 1, max: 1 };
    case "row": {
      const parts = regex.parts.map(regexLengths);
      return {
        min: parts.reduce((sum, part) => sum + part.min, 0),
        max: parts.reduce((sum, part) => sum + part.max, 0),
      };
    }
    case "either": {
      const choices = regex.choices.map(regexLengths);
      return {
        min: Math.min(...choices.map((choice) => choice.min)),
        max: Math.max(...choices.map((choice) => choice.max)),
      };
    }
    case "times": {
      const { min, max } = regexLengths(regex.of);
      const most = regex.max ?? Number.POSITIVE_INFINITY;
      return { min: min * regex.min, max: max === 0 || most === 0 ? 0 : max * most };
    }
    default:
      return { min: 0, max: 0 };
  }
}

const ANYTHING: Regex = {
  kind: "times",
  of: { kind: "chars", set: ALL_CHARS },
  min: 0,
  max: undefined,
};

/**
 * The expression without anchors that fits the same whole texts.
 * @param open what an open side means: anything may stand there ("search"), or nothing ("whole")
 * Throws RegexError for an anchor inside.
 */
export function wholeRegex(regex: Regex, open: "search" | "whole"): Regex {
  if (regex.kind === "either") {
    return { kind: "either", choices: regex.choices.map((choice) => wholeRegex(choice, open)) };
  }
  const parts = regex.kind === "row" ? [...regex.parts] : [regex];
  let starts = false;
  let ends = false;
  for (; parts[0]?.kind === "start"; starts = true) parts.shift();
  for (; parts.at(-1)?.kind === "end"; ends = true) parts.pop();
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && hasAnchor(only) && !starts && !ends) {
    return wholeRegex(only, open);
  }
  if (parts.some(hasAnchor)) throw new RegexError("it has a ^ or $ that is not at its end");
  if (open === "search" && !starts) parts.unshift(ANYTHING);
  if (open === "search" && !ends) parts.push(ANYTHING);
  return { kind: "row", parts };
}

function hasAnchor(regex: Regex): boolean {
  switch (regex.kind) {
    case "start":
    case "end":
      return true;
    case "row":
      return regex.parts.some(hasAnchor);
    case "either":
      return regex.choices.some(hasAnchor);
    case "times":
      return hasAnchor(regex.of);
    default:
      return false;
  }
}
