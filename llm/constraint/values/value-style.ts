/** How formats write JSON values: JSON itself, Python's literals, Gemma's notation. */
import {
  ALL_CHARS,
  type CharSet,
  charSet,
  charsOf,
  intersection,
  union,
  without,
} from "../schema/char-set.ts";
import type { WriteChar } from "../schema/regex-rules.ts";
import {
  type Expression,
  either,
  literal,
  NOTHING,
  oneOf,
  type RuleBook,
  row,
  times,
} from "../schema/rules.ts";
import { textUntil, textWithout } from "./text-rules.ts";

export type StringStyle = {
  readonly open: string;
  readonly close: string;
  readonly write: WriteChar;
  /**
   * The same as choices. Only where a string stands between two `"` and `\\` with a character behind
   * it stands for one character: those are the strings that can be counted.
   */
  readonly units?: (set: CharSet) => readonly Expression[];
  /** Any text, and `close`. */
  free(book: RuleBook): Expression;
};

export type ValueStyle = {
  readonly words: { readonly yes: string; readonly no: string; readonly none: string };
  /** What may stand between the parts of a list or an object. */
  space(book: RuleBook): Expression;
  readonly string: StringStyle;
  /** This value and no other; undefined: it cannot be written. */
  written(value: unknown): string | undefined;
  /** A name of an object, as it stands before the colon; undefined: it cannot be written. */
  key(name: string): string | undefined;
  /** Names that stand for themselves, for objects with other names than those of the schema. */
  readonly names: {
    readonly open: string;
    readonly close: string;
    readonly first: CharSet;
    readonly chars: CharSet;
  };
};

const CONTROLS = charSet([0, 31], [127, 127]);
const QUOTE_OR_BACKSLASH = charsOf('"\\');
const HEX = "[0-9a-fA-F]";
/**
 * Blank space of models is bounded, so that no answer is an endless row of line breaks: one blank,
 * or a line break and 23. It is written out in each place. A rule of its own would leave open what
 * may follow it, and each mask would try all tokens that begin with a blank. The 23 are in fours,
 * each a rule, as each place of a rule is compiled.
 */
function jsonSpace(book: RuleBook): Expression {
  const one = "[\\u0020\\u0009]";
  const three = book.rule(row(one, book.rule(`${one}{2}`)));
  const four = book.rule(row(one, three));
  const line = book.rule(row('"\\u000a"', times(four, 0, 5), times(one, 0, 3)));
  return `("" | " " | ${line})`;
}

const SHORT_ESCAPES: readonly (readonly [string, string])[] = [
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\b", "\\b"],
  ["\f", "\\f"],
];

/** `\uXXXX` of a character, or of the two halves of one. */
const HEX_ESCAPE =
  `"\\\\u" ([0-9a-cA-CefEF] ${HEX}{3} | [dD] [0-7] ${HEX}{2} | ` +
  `[dD] [89abAB] ${HEX}{2} "\\\\u" [dD] [c-fC-F] ${HEX}{2})`;
const JSON_ESCAPE = `("\\\\" [\\u0022\\u005c\\u002fbfnrt] | ${HEX_ESCAPE})`;

/** Letters, digits and what names have beside them. */
const NAME_CHARS = union(charSet([48, 57], [65, 90], [97, 122]), charsOf("_-"));
const WORD_CHARS = union(charSet([48, 57], [65, 90], [97, 122]), charsOf("_"));
const WORD_FIRST = union(charSet([65, 90], [97, 122]), charsOf("_"));

/** Quoted text with JSON's escapes. `banned`: characters that no regular expression may draw. */
function quotedWith(
  plain: CharSet,
  escapes: readonly (readonly [string, string])[],
): Required<Pick<StringStyle, "write" | "units">> {
  const known = new Map<number, Expression | undefined>();
  const units = (set: CharSet): readonly Expression[] => {
    const choices: Expression[] = [];
    const raw = oneOf(intersection(set, plain));
    if (raw !== undefined) choices.push(raw);
    for (const [char, written] of escapes) {
      const code = char.codePointAt(0) ?? 0;
      const isIn = set.some(([from, to]) => from <= code && code <= to);
      if (isIn) choices.push(literal(written));
    }
    return choices;
  };
  const any = (set: CharSet): Expression | undefined => {
    const choices = units(set);
    return choices.length === 0 ? undefined : either(choices);
  };
  // Most characters of a pattern stand alone, and are few.
  const write: WriteChar = (set) => {
    const [[from, to] = [0, -1]] = set;
    if (set.length !== 1 || from !== to || from > LAST_ASCII) return any(set);
    if (!known.has(from)) known.set(from, any(set));
    return known.get(from);
  };
  return { write, units };
}

const LAST_ASCII = 127;

/** @param mark ends the text that the value stands in, so no string of it holds the mark */
export function jsonStyle(mark?: string): ValueStyle {
  const known = JSON_STYLES.get(mark);
  if (known !== undefined) return known;
  const made = newJsonStyle(mark);
  JSON_STYLES.set(mark, made);
  return made;
}

/** By mark: there are as many as families of tool parsers. */
const JSON_STYLES = new Map<string | undefined, ValueStyle>();

function newJsonStyle(mark: string | undefined): ValueStyle {
  const plain = without(ALL_CHARS, union(CONTROLS, QUOTE_OR_BACKSLASH));
  const safe = mark === undefined ? plain : without(plain, charsOf([...mark][0]!));
  const text = (value: unknown): string => {
    const json = JSON.stringify(value);
    if (mark === undefined || !json.includes(mark)) return json;
    const [first] = mark;
    const code = `\\u${first!.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return json.replaceAll(first!, code);
  };
  return {
    words: { yes: "true", no: "false", none: "null" },
    space: jsonSpace,
    string: {
      open: '"',
      close: '"',
      ...quotedWith(safe, SHORT_ESCAPES),
      free: (book) =>
        book.shared(`json ${mark ?? ""}`, () => {
          const escaped = book.rule(JSON_ESCAPE);
          if (mark !== undefined)
            return textWithout(mark, '"', { plain, escapes: [escaped] }, book);
          const name = book.declare();
          book.define(name, `("\\u0022" | ${oneOf(plain)} ${name} | ${escaped} ${name})`);
          return name;
        }),
    },
    written: text,
    key: text,
    names: { open: '"', close: '"', first: safe, chars: safe },
  };
}

/** Python's literals in double quotes, as models write calls. */
export function pythonStyle(): ValueStyle {
  const plain = without(ALL_CHARS, union(CONTROLS, QUOTE_OR_BACKSLASH));
  const escapes = SHORT_ESCAPES.filter(([char]) => char !== "\b" && char !== "\f");
  const written = (value: unknown): string => {
    if (value === null) return "None";
    if (value === true) return "True";
    if (value === false) return "False";
    if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
    if (typeof value !== "object") return JSON.stringify(value);
    const members = Object.entries(value).map(
      ([name, inner]) => `${JSON.stringify(name)}: ${written(inner)}`,
    );
    return `{${members.join(", ")}}`;
  };
  return {
    words: { yes: "True", no: "False", none: "None" },
    space: () => '(" ")?',
    string: {
      open: '"',
      close: '"',
      ...quotedWith(plain, escapes),
      free: (book) =>
        book.shared("python", () => {
          const escaped = book.rule(`("\\\\" [\\u0022\\u0027\\u005cnrt])`);
          const name = book.declare();
          book.define(name, `("\\u0022" | ${oneOf(plain)} ${name} | ${escaped} ${name})`);
          return name;
        }),
    },
    written,
    key: (name) => JSON.stringify(name),
    names: { open: '"', close: '"', first: plain, chars: plain },
  };
}

/** `<|"|>text<|"|>`, names without quotes; a text is what it is, without escapes. */
export function gemmaStyle(quote: string): ValueStyle {
  const safe = without(ALL_CHARS, charsOf("<"));
  const word = /^[A-Za-z_][A-Za-z0-9_-]*$/;
  const key = (name: string): string | undefined => {
    if (word.test(name)) return name;
    return name.includes("<") ? undefined : `${quote}${name}${quote}`;
  };
  const written = (value: unknown): string | undefined => {
    if (typeof value === "string") {
      return value.includes(quote) ? undefined : `${quote}${value}${quote}`;
    }
    if (Array.isArray(value)) return listed("[", value.map(written), "]");
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const members = Object.entries(value).map(([name, inner]) => {
      const [before, behind] = [key(name), written(inner)];
      return before === undefined || behind === undefined ? undefined : `${before}:${behind}`;
    });
    return listed("{", members, "}");
  };
  return {
    words: { yes: "true", no: "false", none: "null" },
    space: () => NOTHING,
    string: {
      open: quote,
      close: quote,
      write: (set) => oneOf(intersection(set, safe)),
      free: (book) => textUntil(quote, book),
    },
    written,
    key,
    names: { open: "", close: "", first: WORD_FIRST, chars: NAME_CHARS },
  };
}

function listed(
  open: string,
  parts: readonly (string | undefined)[],
  close: string,
): string | undefined {
  return parts.includes(undefined) ? undefined : `${open}${parts.join(",")}${close}`;
}

export { NAME_CHARS, WORD_CHARS, WORD_FIRST };
