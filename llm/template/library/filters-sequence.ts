/** Filters of lists, mappings and numbers. */

import { fail } from "../errors.ts";
import { ownAttribute, pathReader, pathsReader } from "../values/attributes.ts";
import { JSON_STYLE, toJson } from "../values/json.ts";
import {
  bigOf,
  floatOf,
  intOf,
  isFloat,
  isNumeric,
  negated,
  numberOf,
  rounded,
} from "../values/numbers.ts";
import { binaryOperator, compare } from "../values/operators.ts";
import { pretty } from "../values/pretty.ts";
import { show } from "../values/show.ts";
import { wholeArgument } from "../values/signature.ts";
import { lowerOf, strip } from "../values/text.ts";
import {
  Dict,
  entriesOf,
  Group,
  isMapping,
  isTruthy,
  itemsOf,
  Lazy,
  lengthOf,
  Tuple,
  typeName,
} from "../values/values.ts";
import { type Filter, filter } from "./filters-text.ts";

/** A text as it is compared where case does not count. */
const folded = (value: unknown): unknown => (typeof value === "string" ? lowerOf(value) : value);

type Key = (item: unknown) => unknown;

function keyOf(path: unknown, case_sensitive: unknown): Key {
  const read = path === undefined || path === null ? undefined : pathReader(path);
  const fold = !isTruthy(case_sensitive);
  return (of) => {
    const value = read === undefined ? of : read(of);
    return fold ? folded(value) : value;
  };
}

function sorted<T>(list: readonly T[], key: (item: T) => unknown, reverse: unknown): T[] {
  const keyed = list.map((value) => ({ value, key: key(value) }));
  const sign = isTruthy(reverse) ? -1 : 1;
  return keyed.sort((a, b) => sign * compare(a.key, b.key)).map(({ value }) => value);
}

function sort(value: unknown, reverse: unknown, cases: unknown, path: unknown): unknown[] {
  const fold = !isTruthy(cases);
  const read =
    typeof path === "string" ? pathsReader(path) : (of: unknown) => [keyOf(path, true)(of)];
  return sorted(itemsOf(value), (of) => (fold ? read(of).map(folded) : read(of)), reverse);
}

function dictsort(value: unknown, cases: unknown, by: unknown, reverse: unknown): Tuple[] {
  if (!isMapping(value)) return fail(`dictsort takes a mapping, not ${typeName(value)}`);
  const at = by === undefined || by === "key" ? 0 : by === "value" ? 1 : undefined;
  if (at === undefined) return fail('dictsort: by must be "key" or "value"');
  const fold = !isTruthy(cases);
  const entries = sorted(
    entriesOf(value),
    (entry) => (fold ? folded(entry[at]) : entry[at]),
    reverse,
  );
  return entries.map((entry) => Tuple.make(...entry));
}

function groupby(value: unknown, path: unknown, otherwise: unknown, cases: unknown): Group[] {
  const own = pathReader(path, otherwise);
  const key: Key = isTruthy(cases) ? own : (of) => folded(own(of));
  const groups: { key: unknown; list: unknown[] }[] = [];
  for (const of of sorted(itemsOf(value), key, false)) {
    const last = groups.at(-1);
    if (last !== undefined && compare(last.key, key(of)) === 0) last.list.push(of);
    else groups.push({ key: key(of), list: [of] });
  }
  return groups.map(({ list }) => Group.pair(own(list[0]), list));
}

function* unique(value: unknown, cases: unknown, path: unknown): Generator<unknown> {
  const key = keyOf(path, cases);
  const seen = new Dict();
  for (const of of itemsOf(value)) {
    if (seen.has(key(of))) continue;
    seen.set(key(of), true);
    yield of;
  }
}

function extreme(value: unknown, cases: unknown, path: unknown, sign: 1 | -1): unknown {
  const items = itemsOf(value);
  const key = keyOf(path, cases);
  let best = items[0];
  for (const of of items.slice(1)) if (sign * compare(key(of), key(best)) < 0) best = of;
  return best;
}

function sum(value: unknown, path: unknown, start: unknown = 0): unknown {
  if (typeof start === "string") fail("sum() can't sum strings [use ''.join(seq) instead]");
  const read = path === undefined || path === null ? (of: unknown) => of : pathReader(path);
  return itemsOf(value).reduce((total, of) => binaryOperator("+")(total, read(of)), start);
}

function* batch(value: unknown, size: unknown, fill: unknown): Generator<unknown[]> {
  const count = wholeArgument("batch", size);
  let part: unknown[] = [];
  for (const of of itemsOf(value)) {
    if (part.length === count) {
      yield part;
      part = [];
    }
    part.push(of);
  }
  if (part.length === 0) return;
  const filled = fill !== undefined && fill !== null;
  while (filled && part.length < count) part.push(fill);
  yield part;
}

function* slices(value: unknown, count: unknown, fill: unknown): Generator<unknown[]> {
  const items = itemsOf(value);
  const parts = wholeArgument("slice", count);
  const size = Math.floor(items.length / parts);
  const longer = items.length % parts;
  let start = 0;
  for (let i = 0; i < parts; i += 1) {
    const end = start + size + (i < longer ? 1 : 0);
    const part = items.slice(start, end);
    if (fill !== undefined && fill !== null && i >= longer) part.push(fill);
    start = end;
    yield part;
  }
}

function reverse(value: unknown): unknown {
  if (typeof value === "string") return Array.from(value).reverse().join("");
  if (value instanceof Lazy) return value.rest().reverse();
  if (value === undefined) return [];
  return new Lazy([...itemsOf(value)].reverse(), "reversed");
}

function last(value: unknown): unknown {
  if (value instanceof Lazy) return fail(`'${value.type}' object is not reversible`);
  return itemsOf(value).at(-1);
}

function first(value: unknown): unknown {
  return value instanceof Lazy ? value.next() : itemsOf(value)[0];
}

function join(value: unknown, separator: unknown = "", path: unknown = undefined): string {
  const items = itemsOf(value);
  const by = show(separator);
  if (path === undefined || path === null) return items.map(show).join(by);
  return items.map(pathReader(path)).map(show).join(by);
}

const INT_FORM = /^[+-]?\d+(?:_\d+)*$/;

function readInt(text: string, base: number): number | bigint | undefined {
  const plain = strip(text).toLowerCase();
  if (base === 10)
    return INT_FORM.test(plain)
      ? intOf(BigInt(plain.replaceAll("_", "").replace("+", "")))
      : undefined;
  const prefix = base === 16 ? "0x" : base === 8 ? "0o" : base === 2 ? "0b" : "";
  const [, sign = "", digits = ""] = /^([+-]?)(.*)$/s.exec(plain) ?? [];
  const bare = prefix !== "" && digits.startsWith(prefix) ? digits.slice(2) : digits;
  const value = Number.parseInt(bare, base);
  if (Number.isNaN(value) || value.toString(base) !== bare.replace(/^0+(?=.)/, ""))
    return undefined;
  return sign === "-" ? -value : value;
}

const FLOAT_FORM = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+)(?:e[+-]?\d+)?$/i;

function readFloat(value: unknown): number | undefined {
  if (isNumeric(value)) return numberOf(value);
  if (typeof value !== "string") return undefined;
  const text = strip(value);
  if (FLOAT_FORM.test(text)) return Number(text.replaceAll("_", ""));
  const special = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(text);
  if (special === null) return undefined;
  if (/nan/i.test(text)) return Number.NaN;
  return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function int(value: unknown, otherwise: unknown = 0, base: unknown = 10): unknown {
  if (value === undefined) fail("an undefined value is no number");
  if (typeof value === "string") {
    const whole = readInt(value, wholeArgument("int", base));
    if (whole !== undefined) return whole;
  }
  const number = readFloat(value);
  if (number === undefined || !Number.isFinite(number)) return otherwise;
  return isNumeric(value) && !isFloat(value)
    ? intOf(bigOf(value))
    : intOf(BigInt(Math.trunc(number)));
}

function float(value: unknown, otherwise: unknown = floatOf(0)): unknown {
  if (value === undefined) fail("an undefined value is no number");
  const number = readFloat(value);
  return number === undefined ? otherwise : floatOf(number);
}

function round(value: unknown, digits: unknown, method: unknown = "common"): unknown {
  if (!isNumeric(value)) return fail(`round takes a number, not ${typeName(value)}`);
  const places = wholeArgument("round", digits, 0);
  if (method === "common") return rounded(value, places);
  if (method !== "ceil" && method !== "floor") fail("method must be common, ceil or floor");
  const unit = 10 ** places;
  const scaled = numberOf(value) * unit;
  return floatOf((method === "ceil" ? Math.ceil(scaled) : Math.floor(scaled)) / unit);
}

function abs(value: unknown): unknown {
  if (!isNumeric(value)) return fail(`bad operand type for abs(): '${typeName(value)}'`);
  return negated(value, numberOf(value) < 0 || Object.is(numberOf(value), -0) ? "-" : "+");
}

function tojson(value: unknown, ...given: readonly unknown[]): string {
  const [ascii, indent, separators, sort_keys] = given;
  if (given.length === 0) return toJson(value, JSON_STYLE);
  const pair = separators === undefined || separators === null ? [] : itemsOf(separators);
  const indented = indent !== undefined && indent !== null;
  return toJson(value, {
    ascii: isTruthy(ascii),
    indent: !indented
      ? undefined
      : typeof indent === "string"
        ? indent
        : " ".repeat(wholeArgument("tojson", indent)),
    item_separator: pair.length === 2 ? show(pair[0]) : indented ? "," : ", ",
    key_separator: pair.length === 2 ? show(pair[1]) : ": ",
    sorted: isTruthy(sort_keys),
  });
}

function* items(value: unknown): Generator<Tuple> {
  if (value === undefined) return;
  if (!isMapping(value)) fail("Can only get item pairs from a mapping.");
  for (const entry of entriesOf(value)) yield Tuple.make(...entry);
}

/** A value that is missing, or with `boolean` one that is empty, is replaced. */
const otherwise: Filter = filter(
  "default",
  ["default_value", "boolean"],
  (value, by = "", boolean = false) =>
    value === undefined || (isTruthy(boolean) && !isTruthy(value)) ? by : value,
);

const listed = (value: unknown): unknown[] => [...itemsOf(value)];
const by_path = ["case_sensitive", "attribute"];
const counted = filter("length", [], lengthOf);

export const sequenceFilters: readonly (readonly [string, Filter])[] = [
  ["length", counted],
  ["count", counted],
  ["default", otherwise],
  ["d", otherwise],
  ["list", filter("list", [], listed)],
  ["first", filter("first", [], first)],
  ["last", filter("last", [], last)],
  // The first one, so that a conversation always gives the same prompt.
  ["random", filter("random", [], first)],
  ["reverse", filter("reverse", [], reverse)],
  ["join", filter("join", ["d", "attribute"], join)],
  ["sort", filter("sort", ["reverse", "case_sensitive", "attribute"], sort)],
  ["dictsort", filter("dictsort", ["case_sensitive", "by", "reverse"], dictsort)],
  ["groupby", filter("groupby", ["attribute", "default", "case_sensitive"], groupby)],
  [
    "unique",
    filter("unique", by_path, (value, cases, path) => new Lazy(unique(value, cases, path))),
  ],
  ["min", filter("min", by_path, (value, cases, path) => extreme(value, cases, path, 1))],
  ["max", filter("max", by_path, (value, cases, path) => extreme(value, cases, path, -1))],
  ["sum", filter("sum", ["attribute", "start"], sum)],
  [
    "batch",
    filter(
      "batch",
      ["linecount", "fill_with"],
      (value, size, fill) => new Lazy(batch(value, size, fill)),
    ),
  ],
  [
    "slice",
    filter(
      "slice",
      ["slices", "fill_with"],
      (value, count, fill) => new Lazy(slices(value, count, fill)),
    ),
  ],
  ["items", filter("items", [], (value) => new Lazy(items(value)))],
  ["attr", filter("attr", ["name"], (value, name) => ownAttribute(value, show(name)))],
  ["int", filter("int", ["default", "base"], int)],
  ["float", filter("float", ["default"], float)],
  ["round", filter("round", ["precision", "method"], round)],
  ["abs", filter("abs", [], abs)],
  ["tojson", filter("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], tojson)],
  ["pprint", filter("pprint", [], pretty)],
];
