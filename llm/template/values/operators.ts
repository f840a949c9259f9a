/** Operators between values of any kind. */
import { joinedTexts, takeCharacters, takeReading, takeSteps } from "../budget.ts";
import { fail } from "../errors.ts";
import { calculated, compareNumbers, indexOf, isInteger, isNumeric } from "./numbers.ts";
import { percentFormat } from "./percent-format.ts";
import { compareTexts, cut, lengthOfText, pointsOf, repeated } from "./text.ts";
import {
  entriesOf,
  getKey,
  hasKey,
  isMapping,
  itemsOf,
  Lazy,
  Range,
  Tuple,
  typeName,
  View,
} from "./values.ts";

export function equals(a: unknown, b: unknown): boolean {
  if (typeof a === "string" || typeof b === "string") {
    const same_size = typeof a === "string" && typeof b === "string" && a.length === b.length;
    if (same_size) takeReading(a.length);
    return a === b;
  }
  if (isNumeric(a)) return isNumeric(b) && compareNumbers(a, b) === 0;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    if (a instanceof Tuple !== b instanceof Tuple) return false;
    takeSteps(a.length);
    return a.every((item, i) => equals(item, b[i]));
  }
  if (isMapping(a)) {
    if (!isMapping(b)) return false;
    const entries = entriesOf(a);
    if (entries.length !== entriesOf(b).length) return false;
    return entries.every(([key, item]) => hasKey(b, key) && equals(item, getKey(b, key)));
  }
  if (a instanceof Range && b instanceof Range) return equals([...a.items], [...b.items]);
  return a === b;
}

/** Below 0, 0 or above; NaN is neither. `sign` is what an error names. */
export function compare(a: unknown, b: unknown, sign = "<"): number {
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  if (isNumeric(a) && isNumeric(b)) return compareNumbers(a, b);
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    for (let i = 0; i < a.length && i < b.length; i += 1) {
      if (!equals(a[i], b[i])) return compare(a[i], b[i], sign);
    }
    return a.length - b.length;
  }
  if (a === undefined || b === undefined) fail(`an undefined value cannot be compared by ${sign}`);
  const types = `'${typeName(a)}' and '${typeName(b)}'`;
  return fail(`'${sign}' not supported between instances of ${types}`);
}

/** `item in container`. Nothing is in an undefined container. */
export function contains(container: unknown, item: unknown): boolean {
  if (typeof container === "string") {
    takeReading(container.length);
    if (typeof item === "string") return container.includes(item);
    return fail(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (isMapping(container)) return hasKey(container, item);
  if (Array.isArray(container)) {
    takeSteps(container.length);
    return container.some((other) => equals(other, item));
  }
  if (container === undefined) return false;
  const countable = container instanceof Range || container instanceof View;
  if (countable || container instanceof Lazy) {
    return itemsOf(container).some((other) => equals(other, item));
  }
  return fail(`argument of type '${typeName(container)}' is not iterable`);
}

type Binary = (a: unknown, b: unknown) => unknown;

const LIST_MAX = 1_000_000;

function multiplied(a: unknown, b: unknown): unknown {
  const [items, count] = isInteger(a) || typeof a === "boolean" ? [b, a] : [a, b];
  if (!isInteger(count) && typeof count !== "boolean") return unsupported("*", a, b);
  const times = Math.max(0, indexOf(count, "*"));
  if (typeof items === "string") {
    const text = repeated(items, times);
    takeCharacters(text.length);
    return text;
  }
  if (!Array.isArray(items)) return unsupported("*", a, b);
  takeSteps(items.length * times);
  if (items.length * times > LIST_MAX) fail(`a list of over ${LIST_MAX} items`);
  const list = Array.from({ length: times }, () => items).flat(1);
  return items instanceof Tuple ? Tuple.fromList(list) : list;
}

function unsupported(sign: string, a: unknown, b: unknown): never {
  if (a === undefined || b === undefined) fail(`${sign}: one of the two values is undefined`);
  const types = `'${typeName(a)}' and '${typeName(b)}'`;
  return fail(`unsupported operand type(s) for ${sign}: ${types}`);
}

function added(a: unknown, b: unknown): unknown {
  if (typeof a === "string" && typeof b === "string") return joinedTexts(a, b);
  if (isNumeric(a) && isNumeric(b)) return calculated("+", a, b);
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    takeSteps(b.length);
    takeReading(a.length);
    return a instanceof Tuple ? Tuple.fromList([...a, ...b]) : [...a, ...b];
  }
  if (typeof a === "string" && b !== undefined) {
    return fail(`can only concatenate str (not "${typeName(b)}") to str`);
  }
  return unsupported("+", a, b);
}

const special: Readonly<Record<string, Binary>> = {
  "+": added,
  "*": multiplied,
  "%": (a, b) => (typeof a === "string" ? percentFormat(a, b) : unsupported("%", a, b)),
};

/** The function of a sign, such as `//`. */
export function binaryOperator(sign: string): Binary {
  if (sign === "+") return added;
  const other = special[sign] ?? ((a: unknown, b: unknown) => unsupported(sign, a, b));
  return (a, b) => (isNumeric(a) && isNumeric(b) ? calculated(sign, a, b) : other(a, b));
}

/** `object[key]` by position or key, without attributes; undefined where there is nothing. */
export function itemAt(object: unknown, key: unknown): unknown {
  if (isMapping(object)) return getKey(object, key);
  const items = object instanceof Range ? object.items : object;
  if (typeof items !== "string" && !Array.isArray(items)) return undefined;
  if (!isInteger(key) && typeof key !== "boolean") return undefined;
  const at = Number(key);
  if (typeof items !== "string") return items.at(at);
  takeReading(items.length);
  const points = pointsOf(items);
  return at < -points.length ? undefined : points.at(at);
}

type Bound = number | undefined;

/** `object[start:stop:step]`. */
export function sliceOf(object: unknown, start: unknown, stop: unknown, step: unknown): unknown {
  const bound = (value: unknown): Bound =>
    value === null || value === undefined ? undefined : indexOf(value, "slice indices");
  const bounds = [bound(start), bound(stop), bound(step) ?? 1] as const;
  if (bounds[2] === 0) fail("slice step cannot be zero");
  if (typeof object === "string") {
    takeReading(object.length);
    if (bounds[2] === 1) return cut(object, ...clipped(lengthOfText(object), bounds[0], bounds[1]));
    return sliceItems(Array.from(object), ...bounds).join("");
  }
  if (object instanceof Range) return sliceRange(object, ...bounds);
  if (!Array.isArray(object)) {
    if (object === undefined) fail("a slice of an undefined value");
    return fail(`'${typeName(object)}' object cannot be sliced`);
  }
  takeReading(object.length);
  const items = sliceItems(object, ...bounds);
  return object instanceof Tuple ? Tuple.fromList(items) : items;
}

/** A part of a range is one. */
function sliceRange(range: Range, start: Bound, stop: Bound, by: number): Range {
  const at = (place: number): number => range.start + place * range.step;
  const [from, to] = spanOf(range.items.length, start, stop, by);
  return new Range(at(from), at(to), range.step * by);
}

function clipped(length: number, start: Bound, stop: Bound): [number, number] {
  const inside = (at: number) => Math.min(length, Math.max(0, at < 0 ? length + at : at));
  return [inside(start ?? 0), inside(stop ?? length)];
}

/** Where a slice begins and what it ends before, by Python's rules. */
function spanOf(length: number, start: Bound, stop: Bound, step: number): [number, number] {
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const inside = (at: number): number =>
    at < 0 ? Math.max(length + at, least) : Math.min(at, most);
  const first = start === undefined ? (step > 0 ? 0 : length - 1) : inside(start);
  return [first, stop === undefined ? (step > 0 ? length : -1) : inside(stop)];
}

function sliceItems(list: readonly unknown[], start: Bound, stop: Bound, step: number): unknown[] {
  const { length } = list;
  if (step === 1) return list.slice(...clipped(length, start, stop));
  const [first, end] = spanOf(length, start, stop, step);
  const items: unknown[] = [];
  for (let i = first; step > 0 ? i < end : i > end; i += step) items.push(list[i]);
  return items;
}
