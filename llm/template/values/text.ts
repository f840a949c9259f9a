/** Strings as Python has them: sequences of code points, with Python's idea of white space. */

/** The inside of a character class: what `str.isspace` and `\s` take. JavaScript's `\s` differs. */
export const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const spaces_left = new RegExp(`^[${SPACE}]+`);
const space = new RegExp(`[${SPACE}]`);

export const isSpace = (char: string): boolean => space.test(char);

export function stripLeft(text: string, chars?: string | null): string {
  if (chars == null) return isSpace(text.slice(0, 1)) ? text.replace(spaces_left, "") : text;
  const set = new Set(chars);
  const points = pointsOf(text);
  let start = 0;
  while (start < points.length && set.has(points[start] as string)) start += 1;
  return joined(points, start, points.length);
}

export function stripRight(text: string, chars?: string | null): string {
  if (chars == null) {
    let end = text.length;
    while (end > 0 && isSpace(text[end - 1] as string)) end -= 1;
    return end === text.length ? text : text.slice(0, end);
  }
  const set = new Set(chars);
  const points = pointsOf(text);
  let end = points.length;
  while (end > 0 && set.has(points[end - 1] as string)) end -= 1;
  return joined(points, 0, end);
}

export const strip = (text: string, chars?: string | null): string =>
  stripRight(stripLeft(text, chars), chars);

const SURROGATES = /[\ud800-\udfff]/;

/** Every code unit is a character. */
export const isPlain = (text: string): boolean => !SURROGATES.test(text);

/** The text in a form indexed by code point: itself where each unit is a character. */
export const pointsOf = (text: string): string | readonly string[] =>
  isPlain(text) ? text : Array.from(text);

export const lengthOfText = (text: string): number => pointsOf(text).length;

const joined = (points: string | readonly string[], start: number, end: number): string =>
  typeof points === "string" ? points.slice(start, end) : points.slice(start, end).join("");

/** `text[start:end]`, both inside and not negative. */
export const cut = (text: string, start: number, end: number): string =>
  joined(pointsOf(text), start, end);

/** Below 0, 0 or above, by code points. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (isPlain(a) && isPlain(b)) return a < b ? -1 : 1;
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < left.length && i < right.length; i += 1) {
    const order = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Line ends of `str.splitlines`; CR LF is one. */
const LINE_END = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
const line_ends = new RegExp(`\\r\\n|[${LINE_END}]`, "g");

export function splitLines(text: string, keep_ends: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const match of text.matchAll(line_ends)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(start, keep_ends ? end : match.index));
    start = end;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

const SIZE_MAX = 1 << 26;

/** `text * count`; nothing that a prompt could hold is longer than the limit. */
export function repeated(text: string, count: number): string {
  if (count * text.length > SIZE_MAX) throw new RangeError(`a text of over ${SIZE_MAX} characters`);
  return text.repeat(Math.max(0, count));
}

/** The first letter as a title has it, the others small. */
export function capitalize(text: string): string {
  const [first = ""] = text;
  return first === "" ? "" : titleLetter(first) + lowerOf(text.slice(first.length));
}

/** Letters whose title form is not their capital: DŽ and its kind; ß becomes Ss. */
export function titleLetter(letter: string): string {
  const upper = letter.toUpperCase();
  if (/^[\u01c4-\u01cc\u01f1-\u01f3]$/.test(letter)) return digraphTitles[upper] ?? upper;
  const [head = "", ...rest] = upper;
  return rest.length === 0 ? upper : head + rest.join("").toLowerCase();
}

const digraphTitles: Readonly<Record<string, string>> = {
  "\u01c4": "\u01c5",
  "\u01c7": "\u01c8",
  "\u01ca": "\u01cb",
  "\u01f1": "\u01f2",
};

export const lowerOf = (text: string): string => text.toLowerCase();
