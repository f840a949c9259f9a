/** Grammars as text: the EBNF of xgrammar, put together rule by rule. */
import {
  ALL_CHARS,
  type CharSet,
  charsOf,
  intersection,
  LAST_CODE_POINT,
  without,
} from "./char-set.ts";

/** More text than this takes too long to compile. */
const MAX_GRAMMAR_CHARS = 240 * 1024;

/** What is asked for makes a grammar that is too large. */
export class GrammarSizeError extends Error {
  override readonly name = "GrammarSizeError";

  constructor(most = `${MAX_GRAMMAR_CHARS} characters`) {
    super(`it makes a grammar of more than ${most}`);
  }
}

/** An expression is the right side of a rule; it can be put in a row with others as it is. */
export type Expression = string;

/** The empty text. */
export const NOTHING: Expression = '""';

export class RuleBook {
  readonly #rules: (readonly [string, Expression])[] = [];
  readonly #by_body = new Map<Expression, string>();
  readonly #marks = new Set<string>();
  readonly #shared = new Map<string, Expression>();
  #names = 0;
  #chars = 0;

  /** A name for a rule that will be defined later, as it stands in itself. */
  declare(): string {
    this.#names++;
    return `r${this.#names}`;
  }

  /** Throws GrammarSizeError. */
  define(name: string, body: Expression): void {
    this.#chars += name.length + body.length;
    if (this.#chars > MAX_GRAMMAR_CHARS) throw new GrammarSizeError();
    this.#rules.push([name, body]);
  }

  /** The rule of this body, made once. Throws GrammarSizeError. */
  rule(body: Expression): Expression {
    const known = this.#by_body.get(body);
    if (known !== undefined) return known;
    const name = this.declare();
    this.#by_body.set(body, name);
    this.define(name, body);
    return name;
  }

  /**
   * Texts of the grammar that its rules do not have in one piece. Engines look for the spellings of
   * control tokens in a grammar's text: only those that it names may come.
   */
  mention(mark: string): void {
    this.#marks.add(mark.replaceAll("\n", " "));
  }

  /** What is the same for all that use this book, made once. */
  shared(key: string, make: () => Expression): Expression {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  text(root: Expression): string {
    const lines = [["root", root] as const, ...this.#rules];
    const rules = lines.map(([name, body]) => `${name} ::= ${body}\n`);
    return [...rules, ...[...this.#marks].map((mark) => `# ${mark}\n`)].join("");
  }
}

/** A text as it stands. */
export function literal(text: string): Expression {
  if (text === "") return NOTHING;
  let quoted = '"';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (char === '"' || char === "\\") quoted += `\\${char}`;
    else if (code < 32 || code === 127) quoted += escaped(code);
    else quoted += char;
  }
  return `${quoted}"`;
}

export function either(choices: readonly Expression[]): Expression {
  const different = [...new Set(choices)];
  return different.length === 1 ? different[0]! : `(${different.join(" | ")})`;
}

export const maybe = (expression: Expression): Expression => either([NOTHING, expression]);

export const row = (...parts: readonly Expression[]): Expression => {
  const some = parts.filter((part) => part !== NOTHING);
  return some.length === 0 ? NOTHING : some.join(" ");
};

/** Characters beyond ASCII that are written out one by one. */
const MAX_LISTED_CHARS = 1_024;
/** So few that are left out of all characters beyond ASCII are not: see `oneOf`. */
const FEW_CHARS = 64;
const ASCII: CharSet = [[0, 127]];
const BEYOND_ASCII = without(ALL_CHARS, ASCII);

/** A set of characters that xgrammar cannot say. */
export class CharSetError extends Error {
  override readonly name = "CharSetError";

  constructor() {
    super("it has a range of more than a thousand characters beyond ASCII, but not all of them");
  }
}

const MARK_CHARS: CharSet = [[1, 1]];

/**
 * Undefined for the empty set: no text fits. In xgrammar 0.1.27 a class may hold characters beyond
 * ASCII only as `[^…]`, where they are all in it; single ones are written as texts. Classes that
 * leave out a few of them (`.` leaves out U+2028) are read as if they did not. Such wide classes
 * leave out U+0001, with which marks of counted strings begin (`counted.ts`): a text that may hold
 * it would be taken for such a string.
 * Throws CharSetError.
 */
export function oneOf(set: CharSet): Expression | undefined {
  if (set.length === 0) return undefined;
  if (isSingle(set)) return literal(String.fromCodePoint(set[0]![0]));
  const beyond = intersection(set, BEYOND_ASCII);
  const ascii = intersection(set, ASCII);
  if (countOf(without(BEYOND_ASCII, beyond)) <= FEW_CHARS) {
    return `[^${rangesOf(without(ASCII, without(ascii, MARK_CHARS)))}]`;
  }
  if (countOf(beyond) > MAX_LISTED_CHARS) throw new CharSetError();
  const choices = ascii.length === 0 ? [] : [`[${rangesOf(ascii)}]`];
  for (const [from, to] of beyond) {
    for (let code = from; code <= to; code++) choices.push(literal(String.fromCodePoint(code)));
  }
  return either(choices);
}

const isSingle = (set: CharSet): boolean => set.length === 1 && set[0]![0] === set[0]![1];

/**
 * Characters of the set but for these; where one of these lies beyond ASCII, none of the set beyond
 * ASCII, as `oneOf` cannot leave a single one out.
 */
export function othersThan(set: CharSet, chars: readonly string[]): CharSet {
  const rest = without(set, charsOf(chars.join("")));
  return chars.every((char) => char <= "\x7f") ? rest : intersection(rest, ASCII);
}

/** Whether `oneOf` can say the set. */
export function canSay(set: CharSet): boolean {
  if (isSingle(set)) return true;
  const beyond = intersection(set, BEYOND_ASCII);
  if (countOf(beyond) <= MAX_LISTED_CHARS) return true;
  return countOf(without(BEYOND_ASCII, beyond)) <= FEW_CHARS;
}

const countOf = (set: CharSet): number => set.reduce((sum, [from, to]) => sum + to - from + 1, 0);

const rangesOf = (set: CharSet): string =>
  set
    .map(([from, to]) => (from === to ? classChar(from) : `${classChar(from)}-${classChar(to)}`))
    .join("");

function classChar(code: number): string {
  const isPlain = (code >= 48 && code <= 57) || (code >= 65 && code <= 90);
  if (isPlain || (code >= 97 && code <= 122)) return String.fromCharCode(code);
  return escaped(code);
}

function escaped(code: number): string {
  // Not \x: it takes as many digits as there are.
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${Math.min(code, LAST_CODE_POINT).toString(16).padStart(8, "0")}`;
}

/** Between `min` and `max` times; `max` undefined: any number. */
export function times(expression: Expression, min: number, max: number | undefined): Expression {
  if (max === 0) return NOTHING;
  if (min === 1 && max === 1) return expression;
  const one = /^(?:\[[^\]]*\]|\w+)$/.test(expression) ? expression : `(${expression})`;
  if (max === undefined) {
    if (min === 0) return `${one}*`;
    return min === 1 ? `${one}+` : `${one}{${min},}`;
  }
  if (min === 0 && max === 1) return maybe(expression);
  return min === max ? `${one}{${min}}` : `${one}{${min},${max}}`;
}
