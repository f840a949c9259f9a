/**
 * Values of compiled chat templates, and what operators do with them: exactly what
 * @huggingface/jinja 0.5.11 does with its wrapped values (src/runtime.ts), quirks included.
 *
 * A value is a plain JavaScript one. A number is what the library calls an integer when it is
 * integral, else a float: results that would be integral floats (`4 / 2`) are surprises.
 * `null` is none, `undefined` is undefined.
 */

/**
 * Thrown when a value is of a kind that the compiled form does not treat, or that the library
 * refuses: the whole template is then rendered by the library, which knows, or has the right words.
 * No Error: nobody reads a stack.
 */
export const SURPRISE = Symbol("a value that the compiled template does not treat");

/** What `namespace()` makes: fields can be set, and it is no mapping. */
export class Namespace {
  readonly fields: Map<string, unknown>;
  constructor(fields: Map<string, unknown>) {
    this.fields = fields;
  }
}

export type Mapping = Readonly<Record<string, unknown>>;

/** A mapping of the template: not a list, not a namespace. Functions are no objects here. */
export function isMapping(value: unknown): value is Mapping {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Namespace)
  );
}

function isComposite(value: unknown): boolean {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

export function isTruthy(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value);
  if (Array.isArray(value)) return value.length > 0;
  return value instanceof Namespace || Object.keys(value).length > 0;
}

/** The text of `{{ value }}`. */
export function show(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  if (isComposite(value)) return toJson(value, PRINTED, 0);
  return String(value);
}

/** The text of a value beside `+` and `~`. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw SURPRISE;
}

export type JsonStyle = {
  readonly indent: number;
  readonly item_separator: string;
  readonly key_separator: string;
  readonly ascii: boolean;
  readonly sorted: boolean;
  /** How an undefined value is written. */
  readonly undefined_text: string;
};

export const JSON_STYLE: JsonStyle = {
  indent: 0,
  item_separator: ", ",
  key_separator: ": ",
  ascii: false,
  sorted: false,
  undefined_text: "null",
};

const PRINTED: JsonStyle = { ...JSON_STYLE, undefined_text: "undefined" };

/** As Python's `json.dumps`, in the library's dialect. */
export function toJson(value: unknown, style: JsonStyle, depth: number): string {
  switch (typeof value) {
    case "string":
      return quote(value, style);
    case "number":
    case "boolean":
      return JSON.stringify(value);
    case "undefined":
      return style.undefined_text;
    case "object":
      return value === null ? "null" : compositeJson(value, style, depth);
    default:
      throw SURPRISE;
  }
}

function compositeJson(value: object, style: JsonStyle, depth: number): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => toJson(item, style, depth + 1));
    return `[${layOut(items, style, depth)}]`;
  }
  const entries = value instanceof Namespace ? [...value.fields] : Object.entries(value);
  if (style.sorted) entries.sort(([a], [b]) => a.localeCompare(b));
  const items = entries.map(
    ([key, item]) => quote(key, style) + style.key_separator + toJson(item, style, depth + 1),
  );
  return `{${layOut(items, style, depth)}}`;
}

function layOut(items: readonly string[], style: JsonStyle, depth: number): string {
  if (style.indent === 0 || items.length === 0) return items.join(style.item_separator);
  const base = `\n${" ".repeat(style.indent * depth)}`;
  const inner = base + " ".repeat(style.indent);
  return inner + items.join(style.item_separator + inner) + base;
}

function quote(text: string, style: JsonStyle): string {
  const quoted = JSON.stringify(text);
  if (!style.ascii) return quoted;
  const escaped = (unit: string): string => unit.charCodeAt(0).toString(16).padStart(4, "0");
  return quoted.replace(/[\x7f-\uffff]/g, (unit) => `\\u${escaped(unit)}`);
}

/** The library compares unwrapped values with JavaScript's `==`. */
export function looselyEqual(a: unknown, b: unknown): boolean {
  if (typeof a === "string" && typeof b === "string") return a === b;
  const nothing = a === undefined || a === null;
  if (nothing || b === undefined || b === null) {
    return nothing && (b === undefined || b === null);
  }
  if (isComposite(a) || isComposite(b)) throw SURPRISE;
  return typeof a === typeof b ? a === b : Number(a) === Number(b);
}

export function add(a: unknown, b: unknown): unknown {
  if (typeof a === "string" && typeof b === "string") return a + b;
  if (typeof a === "number" && typeof b === "number") return arithmetic(a, b, a + b);
  if (Array.isArray(a) && Array.isArray(b)) return a.concat(b);
  if (typeof a !== "string" && typeof b !== "string") throw SURPRISE;
  return textOf(a) + textOf(b);
}

export function join(a: unknown, b: unknown): string {
  return textOf(a) + textOf(b);
}

/** A result must be of the kind that the library gives it: integer of integers, else float. */
function arithmetic(a: number, b: number, result: number): number {
  const integer = Number.isInteger(a) && Number.isInteger(b);
  if (Number.isInteger(result) !== integer) throw SURPRISE;
  return result;
}

type NumberOperator = (a: number, b: number) => number | boolean;

const numberOperators: Readonly<Record<string, NumberOperator>> = {
  "-": (a, b) => arithmetic(a, b, a - b),
  "*": (a, b) => arithmetic(a, b, a * b),
  "%": (a, b) => arithmetic(a, b, a % b),
  "//": (a, b) => arithmetic(a, b, Math.floor(a / b)),
  "/": (a, b) => arithmetic(a, 0.5, a / b),
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
};

/** Undefined for an operator that is not one of numbers alone. */
export function numberOperator(sign: string): ((a: unknown, b: unknown) => unknown) | undefined {
  const operator = numberOperators[sign];
  if (operator === undefined) return undefined;
  return (a, b) => {
    if (typeof a !== "number" || typeof b !== "number") throw SURPRISE;
    return operator(a, b);
  };
}

/** `item in container`. Nothing is in an undefined container. */
export function isIn(item: unknown, container: unknown): boolean {
  if (container === undefined) return false;
  if (item === undefined || item === null || isComposite(item)) throw SURPRISE;
  if (Array.isArray(container)) return container.indexOf(item) !== -1;
  if (typeof item !== "string") throw SURPRISE;
  if (typeof container === "string") return container.includes(item);
  if (isMapping(container)) return Object.hasOwn(container, item);
  throw SURPRISE;
}

export function negate(value: unknown, sign: number): number {
  if (typeof value === "number") return sign * value;
  if (typeof value === "boolean") return sign * Number(value);
  throw SURPRISE;
}

/** Methods that are values of the library when no field hides them. */
const MAPPING_METHODS = new Set(["get", "items", "keys", "values", "dictsort"]);
const STRING_METHODS = new Set(
  "upper lower strip title capitalize rstrip lstrip startswith endswith split replace".split(" "),
);

/** `object.name`, `object["name"]`. */
export function field(object: unknown, name: string): unknown {
  if (typeof object === "string") {
    if (STRING_METHODS.has(name)) throw SURPRISE;
    return name === "length" ? object.length : undefined;
  }
  if (typeof object !== "object" || object === null) return undefined;
  if (Array.isArray(object)) return name === "length" ? object.length : undefined;
  if (object instanceof Namespace) return object.fields.get(name);
  if (Object.hasOwn(object, name)) return (object as Mapping)[name];
  if (MAPPING_METHODS.has(name)) throw SURPRISE;
  return undefined;
}

/** `object[key]`, key of any kind. */
export function item(object: unknown, key: unknown): unknown {
  if (typeof key === "string") return field(object, key);
  if (typeof key !== "number" || !Number.isInteger(key)) throw SURPRISE;
  if (Array.isArray(object) || typeof object === "string") return object.at(key);
  throw SURPRISE;
}

type Bound = number | undefined;

/** `object[start:stop:step]`; strings are cut between code points. */
export function slice(object: unknown, start: unknown, stop: unknown, step: unknown): unknown {
  for (const bound of [start, stop, step]) {
    if (bound !== undefined && !Number.isInteger(bound)) throw SURPRISE;
  }
  const bounds = [start as Bound, stop as Bound, (step as Bound) ?? 1] as const;
  if (Array.isArray(object)) return sliceList(object, ...bounds);
  if (typeof object !== "string") throw SURPRISE;
  return sliceList(Array.from(object), ...bounds).join("");
}

function sliceList(list: readonly unknown[], start: Bound, stop: Bound, step: number): unknown[] {
  const { length } = list;
  const result: unknown[] = [];
  const inside = (bound: number, least: number, most: number): number =>
    bound < 0 ? Math.max(length + bound, least) : Math.min(bound, most);
  if (step >= 0) {
    const end = inside(stop ?? length, 0, length);
    for (let i = inside(start ?? 0, 0, length); step > 0 && i < end; i += step) {
      result.push(list[i]);
    }
    return result;
  }
  const last = stop ?? -1;
  const end = last < -1 ? Math.max(length + last, -1) : Math.min(last, length - 1);
  for (let i = inside(start ?? length - 1, -1, length - 1); i > end; i += step) {
    result.push(list[i]);
  }
  return result;
}
