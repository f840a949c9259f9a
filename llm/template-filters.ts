/**
 * Filters, tests and methods of compiled chat templates: those that templates use, on the kinds of
 * values that @huggingface/jinja 0.5.11 takes. All others are surprises.
 */
import {
  field,
  isMapping,
  isTruthy,
  JSON_STYLE,
  type JsonStyle,
  Namespace,
  SURPRISE,
  show,
  toJson,
} from "./template-values.ts";

export type Filter = (value: unknown) => unknown;
/** Of a call: values by place, and by name. */
export type Given = { readonly args: readonly unknown[]; readonly named: NamedValues };
export type NamedValues = ReadonlyMap<string, unknown>;

const onString =
  (filter: (text: string) => unknown): Filter =>
  (value) => {
    if (typeof value !== "string") throw SURPRISE;
    return filter(value);
  };

const onList =
  (filter: (list: readonly unknown[]) => unknown): Filter =>
  (value) => {
    if (!Array.isArray(value)) throw SURPRISE;
    return filter(value);
  };

const onMapping =
  (filter: (mapping: Readonly<Record<string, unknown>>) => unknown): Filter =>
  (value) => {
    if (!isMapping(value)) throw SURPRISE;
    return filter(value);
  };

/** The first character alone changes, as the library does it. */
const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const title = (text: string): string => text.replace(/\b\w/g, (letter) => letter.toUpperCase());

/** An empty list has no ends that the library could go on with. */
function end(list: readonly unknown[], index: number): unknown {
  if (list.length === 0) throw SURPRISE;
  return list.at(index);
}

function length(value: unknown): number {
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  if (isMapping(value)) return Object.keys(value).length;
  throw SURPRISE;
}

function joined(value: unknown, separator: string): string {
  if (typeof value === "string") return Array.from(value).join(separator);
  if (!Array.isArray(value)) throw SURPRISE;
  const texts = value.map((item) => {
    if (item === null || item === undefined) return "";
    if (typeof item === "object" || typeof item === "function") throw SURPRISE;
    return String(item);
  });
  return texts.join(separator);
}

function toInteger(value: unknown): number {
  const parsed = typeof value === "string" ? Number.parseInt(value, 10) || 0 : value;
  if (typeof parsed === "boolean") return Number(parsed);
  if (typeof parsed !== "number") throw SURPRISE;
  const integer = Math.floor(parsed);
  if (!Number.isInteger(integer)) throw SURPRISE;
  return integer;
}

function toText(value: unknown): string {
  if (value === null || value === undefined) throw SURPRISE;
  if (typeof value === "object" && !Array.isArray(value)) throw SURPRISE;
  return show(value);
}

function indented(text: string, width: number, first: boolean, blank: boolean): string {
  const margin = " ".repeat(width);
  const lines = text.split("\n");
  return lines
    .map((line, i) => ((i === 0 && !first) || (line === "" && !blank) ? line : margin + line))
    .join("\n");
}

/** By lower-case key; equal ones stay in their order. */
function dictsort(mapping: Readonly<Record<string, unknown>>): unknown {
  const entries = Object.entries(mapping).map((entry) => [entry[0].toLowerCase(), entry] as const);
  return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, entry]) => entry);
}

/** `value | name`. */
export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ["safe", (value) => value],
  ["tojson", (value) => toJson(value, JSON_STYLE, 0)],
  ["length", length],
  ["list", onList((list) => list)],
  ["first", onList((list) => end(list, 0))],
  ["last", onList((list) => end(list, -1))],
  ["reverse", onList((list) => list.toReversed())],
  ["join", (value) => joined(value, "")],
  ["string", toText],
  ["int", toInteger],
  ["upper", onString((text) => text.toUpperCase())],
  ["lower", onString((text) => text.toLowerCase())],
  ["title", onString(title)],
  ["capitalize", onString(capitalize)],
  ["trim", onString((text) => text.trim())],
  ["indent", onString((text) => indented(text, 4, false, false))],
  ["items", onMapping(Object.entries)],
  ["keys", onMapping(Object.keys)],
  ["values", onMapping(Object.values)],
  ["dictsort", onMapping(dictsort)],
]);

export type CalledFilter = (value: unknown, given: Given) => unknown;

const textGiven = (value: unknown): string => {
  if (typeof value !== "string") throw SURPRISE;
  return value;
};

const flagGiven = (value: unknown): boolean => {
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw SURPRISE;
  return value;
};

function widthGiven(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw SURPRISE;
  return value;
}

function styleOf(named: NamedValues): JsonStyle {
  const indent = widthGiven(named.get("indent"));
  const pair = named.get("separators") ?? [indent === 0 ? ", " : ",", ": "];
  if (!Array.isArray(pair) || pair.length !== 2) throw SURPRISE;
  return {
    indent,
    item_separator: textGiven(pair[0]),
    key_separator: textGiven(pair[1]),
    ascii: flagGiven(named.get("ensure_ascii")),
    sorted: flagGiven(named.get("sort_keys")),
    undefined_text: "null",
  };
}

/** Values that were handed over must be ones we look at; more or other ones are surprises. */
function within(given: Given, places: number, ...names: readonly string[]): Given {
  if (given.args.length > places) throw SURPRISE;
  for (const [name, value] of given.named) {
    if (!names.includes(name) || value === undefined) throw SURPRISE;
  }
  return given;
}

function withDefault(value: unknown, given: Given): unknown {
  const { args, named } = within(given, 2, "boolean");
  const otherwise = args.length === 0 ? "" : args[0];
  const flag = args.length > 1 ? args[1] : named.has("boolean") ? named.get("boolean") : false;
  if (typeof flag !== "boolean") throw SURPRISE;
  return value === undefined || (flag && !isTruthy(value)) ? otherwise : value;
}

/** A field that `selectattr` and `map` see: no methods, no paths. */
function ownField(item: unknown, name: string): { readonly value: unknown } | undefined {
  if (item instanceof Namespace) {
    return item.fields.has(name) ? { value: item.fields.get(name) } : undefined;
  }
  if (!isMapping(item)) throw SURPRISE;
  return Object.hasOwn(item, name) ? { value: item[name] } : undefined;
}

function selected(value: unknown, given: Given, keep: boolean): unknown {
  const [name, test_name, operand] = within(given, 3).args.map(textGiven);
  if (!Array.isArray(value) || name === undefined) throw SURPRISE;
  const test = attributeTest(test_name, operand);
  return value.filter((item) => {
    const found = ownField(item, name);
    return found === undefined ? !keep : test(found.value) === keep;
  });
}

function attributeTest(
  name: string | undefined,
  operand: string | undefined,
): (value: unknown) => boolean {
  if (name === undefined) return isTruthy;
  const equal = name === "equalto" || name === "eq";
  const test = equal ? (value: unknown) => value === operand : tests.get(name);
  if (test === undefined || (equal && operand === undefined)) throw SURPRISE;
  return test;
}

function mapped(value: unknown, given: Given): unknown {
  const { named } = within(given, 0, "attribute", "default");
  const name = textGiven(named.get("attribute"));
  if (!Array.isArray(value) || name.includes(".")) throw SURPRISE;
  return value.map((item) => ownField(item, name)?.value ?? absent(item, name, named));
}

function absent(item: unknown, name: string, named: NamedValues): unknown {
  return ownField(item, name)?.value === null ? null : named.get("default");
}

function indentGiven(value: unknown, given: Given): string {
  const { args, named } = within(given, 3, "width", "first", "blank");
  const width = args.length > 0 ? args[0] : named.has("width") ? named.get("width") : 4;
  if (typeof value !== "string" || width === null || width === undefined) throw SURPRISE;
  const first = flagGiven(args.length > 1 ? args[1] : named.get("first"));
  const blank = flagGiven(args.length > 2 ? args[2] : named.get("blank"));
  return indented(value, widthGiven(width), first, blank);
}

/** `value | name(…)`. */
export const calledFilters: ReadonlyMap<string, CalledFilter> = new Map<string, CalledFilter>([
  [
    "tojson",
    (value, given) => {
      const { named } = within(given, 0, "indent", "separators", "ensure_ascii", "sort_keys");
      return toJson(value, styleOf(named), 0);
    },
  ],
  ["join", (value, given) => joined(value, textGiven(within(given, 1).args[0]))],
  ["default", withDefault],
  ["selectattr", (value, given) => selected(value, given, true)],
  ["rejectattr", (value, given) => selected(value, given, false)],
  ["map", mapped],
  ["indent", indentGiven],
  ["replace", (value, given) => replaced(textGiven(value), within(given, 2).args)],
]);

/** Replacing nothing, and part of a surrogate pair, is left to the library. */
function replaced(text: string, args: readonly unknown[]): string {
  if (args.length !== 2) throw SURPRISE;
  const [old_text, new_text] = args.map(textGiven) as [string, string];
  if (old_text === "" || !old_text.isWellFormed()) throw SURPRISE;
  return text.replaceAll(old_text, () => new_text);
}

/** `value is name`. */
export const tests: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ["defined", (value: unknown) => value !== undefined],
  ["undefined", (value: unknown) => value === undefined],
  ["none", (value: unknown) => value === null],
  ["boolean", (value: unknown) => typeof value === "boolean"],
  ["true", (value: unknown) => value === true],
  ["false", (value: unknown) => value === false],
  ["string", (value: unknown) => typeof value === "string"],
  ["number", (value: unknown) => typeof value === "number"],
  ["integer", (value: unknown) => Number.isInteger(value)],
  ["callable", (value: unknown) => typeof value === "function"],
  ["mapping", isMapping],
  ["iterable", (value: unknown) => typeof value === "string" || Array.isArray(value)],
  [
    "sequence",
    (value: unknown) => typeof value === "string" || Array.isArray(value) || isMapping(value),
  ],
  ["lower", (value: unknown) => typeof value === "string" && value === value.toLowerCase()],
  ["upper", (value: unknown) => typeof value === "string" && value === value.toUpperCase()],
  ["odd", (value: unknown) => toParity(value) !== 0],
  ["even", (value: unknown) => toParity(value) === 0],
]);

function toParity(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw SURPRISE;
  return value % 2;
}

type StringMethod = (text: string, args: readonly unknown[]) => unknown;

const stringMethods: ReadonlyMap<string, StringMethod> = new Map<string, StringMethod>([
  // The library trims white space, whatever characters it is asked to.
  ["strip", (text) => text.trim()],
  ["lstrip", (text) => text.trimStart()],
  ["rstrip", (text) => text.trimEnd()],
  ["upper", (text) => text.toUpperCase()],
  ["lower", (text) => text.toLowerCase()],
  ["title", title],
  ["capitalize", capitalize],
  ["startswith", (text, [pattern]) => touches(pattern, (part) => text.startsWith(part))],
  ["endswith", (text, [pattern]) => touches(pattern, (part) => text.endsWith(part))],
  ["split", split],
  ["replace", replaced],
]);

function touches(pattern: unknown, matches: (part: string) => boolean): boolean {
  return Array.isArray(pattern)
    ? pattern.some((part) => matches(textGiven(part)))
    : matches(textGiven(pattern));
}

function split(text: string, args: readonly unknown[]): readonly string[] {
  if (args.length === 0) return text.match(/\S+/g) ?? [];
  const separator = textGiven(args[0]);
  if (separator === "") throw SURPRISE;
  const parts = text.split(separator);
  if (args.length === 1) return parts;
  const most = widthGiven(args[1] ?? SURPRISE);
  return parts.length <= most
    ? parts
    : [...parts.slice(0, most), parts.slice(most).join(separator)];
}

/** `object.name(…)`, arguments by place alone. */
export function callMethod(object: unknown, name: string, args: readonly unknown[]): unknown {
  if (typeof object === "string") {
    const method = stringMethods.get(name);
    if (method === undefined) throw SURPRISE;
    return method(object, args);
  }
  if (!isMapping(object) || Object.hasOwn(object, name)) throw SURPRISE;
  switch (name) {
    case "get":
      return getField(object, args);
    case "items":
      return Object.entries(object);
    case "keys":
      return Object.keys(object);
    case "values":
      return Object.values(object);
    default:
      throw SURPRISE;
  }
}

/** A field that is there but undefined stays so; one that is not becomes the default or none. */
function getField(object: Readonly<Record<string, unknown>>, args: readonly unknown[]): unknown {
  const name = textGiven(args[0]);
  if (Object.hasOwn(object, name)) return field(object, name);
  return args.length > 1 ? args[1] : null;
}
