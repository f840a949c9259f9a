/** Filters of texts. A value that is no text is shown as one first, as Jinja2 does. */
import { fail } from "../errors.ts";
import { isNumeric, numberOf } from "../values/numbers.ts";
import { percentFormat } from "../values/percent-format.ts";
import { show } from "../values/show.ts";
import { placed, textArgument, wholeArgument } from "../values/signature.ts";
import { stringMethods } from "../values/string-methods.ts";
import {
  capitalize,
  cut,
  lengthOfText,
  lowerOf,
  splitLines,
  strip,
  titleLetter,
} from "../values/text.ts";
import {
  Dict,
  entriesOf,
  isIterable,
  isMapping,
  isTruthy,
  itemsOf,
  lengthOf,
  type Named,
  NO_NAMES,
  Tuple,
} from "../values/values.ts";

export type Filter = (value: unknown, args: readonly unknown[], named: Named) => unknown;

/** `given`: arguments by place, undefined where one is missing. */
export const filter =
  (
    name: string,
    names: readonly string[],
    body: (value: unknown, ...given: readonly unknown[]) => unknown,
  ): Filter =>
  (value, args, named) =>
    args.length + named.size === 0 ? body(value) : body(value, ...placed(name, names, args, named));

function indent(value: unknown, width: unknown, first: unknown, blank: unknown): string {
  const by = typeof width === "string" ? width : " ".repeat(wholeArgument("indent", width, 4));
  const lines = splitLines(`${textArgument("indent", value)}\n`, false);
  const moved = lines.map(
    (line, i) => (i > 0 && (line !== "" || isTruthy(blank)) ? by : "") + line,
  );
  return (isTruthy(first) ? by : "") + moved.join("\n");
}

function replace(value: unknown, old: unknown, by: unknown, count: unknown): unknown {
  const method = stringMethods.get("replace");
  const most = count === null ? undefined : count;
  return method?.(show(value), [show(old), show(by), most], NO_NAMES);
}

/** Letters behind blanks, hyphens and opening brackets are capitals. */
function title(value: unknown): string {
  return show(value)
    .split(/([-\s({[<]+)/)
    .map((part) => {
      const [first = ""] = part;
      return titleLetter(first) + lowerOf(part.slice(first.length));
    })
    .join("");
}

function truncate(value: unknown, ...given: readonly unknown[]): unknown {
  const [size, kill, end = "...", leeway] = given;
  const length = wholeArgument("truncate", size, 255);
  const ending = textArgument("truncate", end);
  const kept = length - lengthOfText(ending);
  if (kept < 0) fail(`truncate: a length of ${length} has no room for '${ending}'`);
  const most = length + wholeArgument("truncate", leeway ?? undefined, 5);
  if (lengthOf(value) <= most) return value;
  const text = textArgument("truncate", value);
  const start = cut(text, 0, kept);
  if (isTruthy(kill)) return start + ending;
  const space = start.lastIndexOf(" ");
  return (space === -1 ? start : start.slice(0, space)) + ending;
}

/** Greedy, by words and blanks, as Python's textwrap; what is longer than a line may be broken. */
function wrapLine(line: string, width: number, breaks: boolean, hyphens: boolean): string[] {
  const parts = line.split(/(\s+)/).filter((part) => part !== "");
  const chunks = parts.flatMap((part) =>
    hyphens && /\S/.test(part) ? (part.match(/[^-]+-+(?=\w)|[^-]+-*|-+/g) ?? []) : [part],
  );
  const lines: string[] = [];
  while (chunks.length > 0) {
    if (lines.length > 0 && strip(chunks[0] ?? "") === "") chunks.shift();
    const current: string[] = [];
    let size = 0;
    while (chunks[0] !== undefined && size + lengthOfText(chunks[0]) <= width) {
      size += lengthOfText(chunks[0]);
      current.push(chunks.shift() ?? "");
    }
    const [next] = chunks;
    if (next !== undefined && lengthOfText(next) > width) {
      const room = width - size;
      if (breaks) {
        const hyphen = hyphens ? cut(next, 0, room).lastIndexOf("-") : -1;
        const end = hyphen > 0 && /[^-]/.test(next.slice(0, hyphen)) ? hyphen + 1 : room;
        current.push(cut(next, 0, end));
        chunks[0] = cut(next, end, lengthOfText(next));
      } else if (current.length === 0) current.push(chunks.shift() ?? "");
    }
    if (strip(current.at(-1) ?? "x") === "") current.pop();
    if (current.length > 0) lines.push(current.join(""));
  }
  return lines;
}

function wordwrap(value: unknown, ...given: readonly unknown[]): string {
  const [size, breaks = true, by, hyphens = true] = given;
  const width = wholeArgument("wordwrap", size, 79);
  if (width < 1) fail("wordwrap: the width must be above 0");
  const separator = by === undefined || by === null ? "\n" : show(by);
  return splitLines(textArgument("wordwrap", value), false)
    .map((line) => wrapLine(line, width, isTruthy(breaks), isTruthy(hyphens)).join(separator))
    .join(separator);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => entities[char] ?? char);

const reverse_entities = new Map(Object.entries(entities).map(([char, code]) => [code, char]));

function striptags(value: unknown): string {
  const plain = show(value)
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/<[^>]*>/g, "");
  return strip(plain)
    .split(/\s+/)
    .join(" ")
    .replace(/&(?:amp|lt|gt|#34|#39);/g, (code) => reverse_entities.get(code) ?? code);
}

const UNRESERVED = /[A-Za-z0-9_.~-]/;

function quoteUrl(value: unknown, in_query: boolean): string {
  return Array.from(new TextEncoder().encode(show(value)), (byte) => {
    const char = String.fromCharCode(byte);
    if (UNRESERVED.test(char) || (char === "/" && !in_query)) return char;
    if (char === " " && in_query) return "+";
    return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

function urlencode(value: unknown): string {
  if (typeof value === "string" || !isIterable(value)) return quoteUrl(value, false);
  const pairs = isMapping(value) ? entriesOf(value) : itemsOf(value).map((pair) => itemsOf(pair));
  if (pairs.some(({ length }) => length !== 2)) fail("urlencode takes pairs of key and value");
  return pairs.map(([key, item]) => `${quoteUrl(key, true)}=${quoteUrl(item, true)}`).join("&");
}

const decimal_units = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const binary_units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

function filesizeformat(value: unknown, binary: unknown): string {
  const bytes = isNumeric(value) ? numberOf(value) : Number(show(value));
  if (Number.isNaN(bytes) || show(value).trim() === "") fail("filesizeformat takes a number");
  const base = isTruthy(binary) ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const units = isTruthy(binary) ? binary_units : decimal_units;
  for (const [i, unit] of units.entries()) {
    const above = base ** (i + 2);
    if (bytes < above || i === units.length - 1) {
      return `${((base * bytes) / above).toFixed(1)} ${unit}`;
    }
  }
  return "";
}

function xmlattr(value: unknown, autospace: unknown): string {
  if (!isMapping(value)) return fail("xmlattr takes a mapping");
  const items = entriesOf(value)
    .filter(([, item]) => item !== null && item !== undefined)
    .map(([key, item]) => `${escapeHtml(show(key))}="${escapeHtml(show(item))}"`);
  const text = items.join(" ");
  return text !== "" && autospace !== false ? ` ${text}` : text;
}

/** Addresses in a text become links. */
function urlize(value: unknown): string {
  return escapeHtml(show(value)).replace(/\b(?:https?:\/\/|www\.)[^\s<]*[^\s<.,:;!?)]/g, (url) => {
    const target = url.startsWith("www.") ? `https://${url}` : url;
    return `<a href="${target}" rel="noopener">${url}</a>`;
  });
}

const text =
  (body: (text: string) => unknown) =>
  (value: unknown): unknown =>
    body(show(value));

export const textFilters: readonly (readonly [string, Filter])[] = [
  [
    "upper",
    filter(
      "upper",
      [],
      text((value) => value.toUpperCase()),
    ),
  ],
  ["lower", filter("lower", [], text(lowerOf))],
  ["capitalize", filter("capitalize", [], text(capitalize))],
  ["title", filter("title", [], title)],
  ["string", filter("string", [], show)],
  // A template writes a prompt and no HTML: no text is escaped, and none is marked as safe.
  ["safe", filter("safe", [], show)],
  ["escape", filter("escape", [], text(escapeHtml))],
  ["e", filter("e", [], text(escapeHtml))],
  ["forceescape", filter("forceescape", [], text(escapeHtml))],
  [
    "trim",
    filter("trim", ["chars"], (value, chars) =>
      strip(show(value), chars === undefined || chars === null ? undefined : show(chars)),
    ),
  ],
  ["indent", filter("indent", ["width", "first", "blank"], indent)],
  ["replace", filter("replace", ["old", "new", "count"], replace)],
  ["truncate", filter("truncate", ["length", "killwords", "end", "leeway"], truncate)],
  [
    "wordwrap",
    filter("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"], wordwrap),
  ],
  [
    "wordcount",
    filter(
      "wordcount",
      [],
      text((value) => value.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
    ),
  ],
  [
    "center",
    filter("center", ["width"], (value, width = 80) =>
      stringMethods.get("center")?.(show(value), [width], NO_NAMES),
    ),
  ],
  [
    "format",
    (value, args, named) =>
      percentFormat(
        textArgument("format", value),
        named.size > 0 ? Dict.from(named) : Tuple.fromList(args),
      ),
  ],
  ["striptags", filter("striptags", [], striptags)],
  ["urlencode", filter("urlencode", [], urlencode)],
  ["urlize", filter("urlize", ["trim_url_limit", "nofollow", "target", "rel"], urlize)],
  ["filesizeformat", filter("filesizeformat", ["binary"], filesizeformat)],
  ["xmlattr", filter("xmlattr", ["autospace"], xmlattr)],
];
