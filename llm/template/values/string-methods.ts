/** The methods of Python's `str`. */
import { fail } from "../errors.ts";
import { optionalText, placed, textArgument, wholeArgument } from "./signature.ts";
import {
  capitalize,
  cut,
  isSpace,
  lengthOfText,
  lowerOf,
  pointsOf,
  repeated,
  SPACE,
  splitLines,
  strip,
  stripLeft,
  stripRight,
  titleLetter,
} from "./text.ts";
import { getKey, hasKey, isMapping, itemsOf, type Named, Tuple, typeName } from "./values.ts";

export type StringMethod = (text: string, args: readonly unknown[], named: Named) => unknown;

/** `given`: its arguments by place, undefined where one is missing. */
type Body = (text: string, ...given: readonly unknown[]) => unknown;

const method =
  (name: string, names: readonly string[], body: Body): StringMethod =>
  (text, args, named) => {
    if (named.size === 0 && args.length <= 1 && names.length > 0) return body(text, args[0]);
    return body(text, ...placed(name, names, args, named));
  };

const every =
  (pattern: RegExp): Body =>
  (text) =>
    pattern.test(text);

const CASED = /\p{Lt}/u;

/** Each run of letters as a title; what is not cased begins a new one. */
function title(text: string): string {
  let result = "";
  let inside = false;
  for (const char of text) {
    result += inside ? lowerOf(char) : titleLetter(char);
    inside = isCased(char);
  }
  return result;
}

const isUpper = (char: string): boolean => /\p{Uppercase}/u.test(char);
const isLower = (char: string): boolean => /\p{Lowercase}/u.test(char);
const isCased = (char: string): boolean => isUpper(char) || isLower(char) || CASED.test(char);

function istitle(text: string): boolean {
  let inside = false;
  let seen = false;
  for (const char of text) {
    const upper = isUpper(char) || /\p{Lt}/u.test(char);
    if (upper ? inside : isLower(char) && !inside) return false;
    inside = upper || isLower(char);
    seen ||= inside;
  }
  return seen;
}

const swapcase: Body = (text) =>
  Array.from(text, (char) => (isUpper(char) ? lowerOf(char) : char.toUpperCase())).join("");

/** Where a search looks: bounds as a slice has them. */
function window(text: string, start: unknown, end: unknown): { part: string; from: number } {
  if (start == null && end == null) return { part: text, from: 0 };
  const length = lengthOfText(text);
  const inside = (at: number) => Math.min(length, Math.max(0, at < 0 ? length + at : at));
  const from = start == null ? 0 : wholeArgument("start", start);
  const to = inside(end == null ? length : wholeArgument("end", end));
  if (from > length) return { part: "", from: -1 };
  return { part: cut(text, inside(from), Math.max(inside(from), to)), from: inside(from) };
}

function found(text: string, given: readonly unknown[], last: boolean): number {
  const [wanted, start, end] = given;
  const { part, from } = window(text, start, end);
  const search = textArgument("find()", wanted);
  if (from === -1) return -1;
  const at = last ? part.lastIndexOf(search) : part.indexOf(search);
  return at === -1 ? -1 : from + lengthOfText(part.slice(0, at));
}

function count(text: string, wanted: unknown, start: unknown, end: unknown): number {
  const search = textArgument("count()", wanted);
  const { part, from } = window(text, start, end);
  if (from === -1) return 0;
  if (search === "") return lengthOfText(part) + 1;
  return part.split(search).length - 1;
}

function affix(text: string, given: readonly unknown[], at_start: boolean): boolean {
  const [wanted, start, end] = given;
  const { part, from } = window(text, start, end);
  const name = at_start ? "startswith()" : "endswith()";
  const options = wanted instanceof Tuple ? [...wanted] : [wanted];
  const texts = options.map((option) => textArgument(name, option));
  if (from === -1) return false;
  return texts.some((option) => (at_start ? part.startsWith(option) : part.endsWith(option)));
}

function split(text: string, separator: unknown, most: unknown): string[] {
  const limit = wholeArgument("split()", most, -1);
  const by = optionalText("split()", separator);
  if (by === undefined) return splitSpace(text, limit);
  if (by === "") fail("empty separator");
  const parts = text.split(by);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(by)];
}

function splitSpace(text: string, limit: number): string[] {
  const parts: string[] = [];
  let rest = stripLeft(text);
  while (rest !== "" && (limit < 0 || parts.length < limit)) {
    const [word = ""] = word_form.exec(rest) ?? [];
    parts.push(word);
    rest = stripLeft(rest.slice(word.length));
  }
  if (rest !== "") parts.push(rest);
  return parts;
}

const word_form = new RegExp(`^[^${SPACE}]+`);
const last_word_form = new RegExp(`[^${SPACE}]+$`);

function rsplit(text: string, separator: unknown, most: unknown): string[] {
  const limit = wholeArgument("rsplit()", most, -1);
  const by = optionalText("rsplit()", separator);
  if (by === "") fail("empty separator");
  if (by !== undefined) {
    const parts = text.split(by);
    if (limit < 0 || parts.length <= limit + 1) return parts;
    const kept = parts.length - limit;
    return [parts.slice(0, kept).join(by), ...parts.slice(kept)];
  }
  const parts: string[] = [];
  let rest = stripRight(text);
  while (rest !== "" && (limit < 0 || parts.length < limit)) {
    const [word = ""] = last_word_form.exec(rest) ?? [];
    parts.unshift(word);
    rest = stripRight(rest.slice(0, rest.length - word.length));
  }
  if (rest !== "") parts.unshift(rest);
  return parts;
}

function replace(text: string, old: unknown, by: unknown, most: unknown): string {
  const [from, to] = [textArgument("replace()", old), textArgument("replace()", by)];
  const limit = wholeArgument("replace()", most ?? undefined, -1);
  if (limit < 0 && from !== "") return text.replaceAll(from, () => to);
  const parts = from === "" ? ["", ...text] : text.split(from);
  const pieces = from === "" ? [...parts, ""] : parts;
  let result = pieces[0] ?? "";
  for (const [i, piece] of pieces.slice(1).entries()) {
    result += (limit < 0 || i < limit ? to : from) + piece;
  }
  return result;
}

function partition(text: string, separator: unknown, last: boolean): Tuple {
  const by = textArgument("partition()", separator);
  if (by === "") fail("empty separator");
  const at = last ? text.lastIndexOf(by) : text.indexOf(by);
  if (at === -1) return last ? Tuple.make("", "", text) : Tuple.make(text, "", "");
  return Tuple.make(text.slice(0, at), by, text.slice(at + by.length));
}

function aligned(text: string, width: unknown, fill: unknown, where: "l" | "r" | "c"): string {
  const wide = wholeArgument("width", width);
  const char = fill === undefined ? " " : textArgument("fill", fill);
  if (lengthOfText(char) !== 1) fail("The fill character must be exactly one character long");
  const missing = wide - lengthOfText(text);
  if (missing <= 0) return text;
  if (where === "l") return text + repeated(char, missing);
  if (where === "r") return repeated(char, missing) + text;
  const left = Math.floor(missing / 2) + (missing & wide & 1);
  return repeated(char, left) + text + repeated(char, missing - left);
}

function zfill(text: string, width: unknown): string {
  const missing = wholeArgument("zfill()", width) - lengthOfText(text);
  if (missing <= 0) return text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + repeated("0", missing) + text.slice(sign.length);
}

function expandtabs(text: string, size: unknown): string {
  const tab = wholeArgument("expandtabs()", size, 8);
  let column = 0;
  let result = "";
  for (const char of text) {
    if (char === "\t") {
      const blanks = tab > 0 ? tab - (column % tab) : 0;
      result += repeated(" ", blanks);
      column += blanks;
    } else {
      result += char;
      column = char === "\n" || char === "\r" ? 0 : column + 1;
    }
  }
  return result;
}

function join(text: string, list: unknown): string {
  const items = itemsOf(list).map((item, i) => {
    if (typeof item === "string") return item;
    return fail(`sequence item ${i}: expected str instance, ${typeName(item)} found`);
  });
  return items.join(text);
}

/** `table`: from code points or letters to a text, a code point or None (left out). */
function translate(text: string, table: unknown): string {
  if (!isMapping(table)) return fail("translate() takes a mapping");
  return Array.from(text, (char) => {
    const key = char.codePointAt(0);
    if (!hasKey(table, key)) return char;
    const to = getKey(table, key);
    if (to === null) return "";
    return typeof to === "number" ? String.fromCodePoint(to) : textArgument("translate()", to);
  }).join("");
}

const indexed = (at: number): number => (at === -1 ? fail("substring not found") : at);

const search = ["sub", "start", "end"];
const by_size = ["width", "fillchar"];

const list: readonly (readonly [string, readonly string[], Body])[] = [
  ["upper", [], (text) => text.toUpperCase()],
  ["lower", [], (text) => lowerOf(text)],
  ["casefold", [], (text) => lowerOf(text).replaceAll("ß", "ss")],
  ["capitalize", [], (text) => capitalize(text)],
  ["title", [], (text) => title(text)],
  ["swapcase", [], swapcase],
  ["strip", ["chars"], (text, chars) => strip(text, optionalText("strip()", chars))],
  ["lstrip", ["chars"], (text, chars) => stripLeft(text, optionalText("lstrip()", chars))],
  ["rstrip", ["chars"], (text, chars) => stripRight(text, optionalText("rstrip()", chars))],
  ["startswith", ["prefix", "start", "end"], (text, ...given) => affix(text, given, true)],
  ["endswith", ["suffix", "start", "end"], (text, ...given) => affix(text, given, false)],
  ["split", ["sep", "maxsplit"], (text, by, most) => split(text, by, most)],
  ["rsplit", ["sep", "maxsplit"], (text, by, most) => rsplit(text, by, most)],
  ["splitlines", ["keepends"], (text, keep) => splitLines(text, Boolean(keep))],
  ["replace", ["old", "new", "count"], (text, old, by, most) => replace(text, old, by, most)],
  ["find", search, (text, ...given) => found(text, given, false)],
  ["rfind", search, (text, ...given) => found(text, given, true)],
  ["index", search, (text, ...given) => indexed(found(text, given, false))],
  ["rindex", search, (text, ...given) => indexed(found(text, given, true))],
  ["count", search, (text, wanted, start, end) => count(text, wanted, start, end)],
  ["partition", ["sep"], (text, by) => partition(text, by, false)],
  ["rpartition", ["sep"], (text, by) => partition(text, by, true)],
  [
    "removeprefix",
    ["prefix"],
    (text, prefix) => {
      const part = textArgument("removeprefix()", prefix);
      return text.startsWith(part) ? text.slice(part.length) : text;
    },
  ],
  [
    "removesuffix",
    ["suffix"],
    (text, suffix) => {
      const part = textArgument("removesuffix()", suffix);
      return part !== "" && text.endsWith(part) ? text.slice(0, -part.length) : text;
    },
  ],
  ["join", ["iterable"], (text, items) => join(text, items)],
  ["ljust", by_size, (text, width, fill) => aligned(text, width, fill, "l")],
  ["rjust", by_size, (text, width, fill) => aligned(text, width, fill, "r")],
  ["center", by_size, (text, width, fill) => aligned(text, width, fill, "c")],
  ["zfill", ["width"], (text, width) => zfill(text, width)],
  ["expandtabs", ["tabsize"], (text, size) => expandtabs(text, size)],
  ["translate", ["table"], (text, table) => translate(text, table)],
  ["isalpha", [], every(/^\p{L}+$/u)],
  ["isalnum", [], every(/^[\p{L}\p{N}]+$/u)],
  ["isascii", [], (text) => !/[^\0-\x7f]/.test(text)],
  ["isdecimal", [], every(/^\p{Nd}+$/u)],
  ["isdigit", [], every(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089\u2460-\u2468]+$/u)],
  ["isnumeric", [], every(/^\p{N}+$/u)],
  ["isidentifier", [], every(/^[\p{XID_Start}_]\p{XID_Continue}*$/u)],
  ["isprintable", [], (text) => !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(text)],
  ["isspace", [], (text) => text !== "" && Array.from(pointsOf(text)).every(isSpace)],
  ["islower", [], (text) => [...text].some(isLower) && ![...text].some(notLower)],
  ["isupper", [], (text) => [...text].some(isUpper) && ![...text].some(notUpper)],
  ["istitle", [], (text) => istitle(text)],
];

const notLower = (char: string): boolean => isUpper(char) || /\p{Lt}/u.test(char);
const notUpper = (char: string): boolean => isLower(char) || /\p{Lt}/u.test(char);

export const stringMethods: ReadonlyMap<string, StringMethod> = new Map(
  list.map(([name, names, body]) => [name, method(name, names, body)]),
);
