/**
 * `object.name`, `object[key]` and calls, in the sandbox of chat templates: methods that change
 * their object and names that begin with `_` are refused, as transformers refuses them.
 */
import { takeCharacters, takeReading } from "../budget.ts";
import { fail } from "../errors.ts";
import { isFloat, isInteger, isNumeric, numberOf } from "./numbers.ts";
import { equals, itemAt } from "./operators.ts";
import { show } from "./show.ts";
import { optionalText, placed, textArgument } from "./signature.ts";
import { strFormat } from "./str-format.ts";
import { stringMethods } from "./string-methods.ts";
import {
  Callable,
  Dict,
  entriesOf,
  Group,
  getKey,
  Host,
  isMapping,
  isPlainObject,
  keysOf,
  type Mapping,
  type Named,
  Namespace,
  Range,
  Tuple,
  typeName,
  View,
} from "./values.ts";

type Method = (self: unknown, args: readonly unknown[], named: Named) => unknown;

const forbidden = (type: string, name: string): Method => {
  const message = `access to attribute '${name}' of '${type}' object is unsafe.`;
  return () => fail(message);
};

const pairs = (mapping: Mapping): Tuple[] => entriesOf(mapping).map((pair) => Tuple.make(...pair));

const dictMethods = new Map<string, Method>([
  ["items", (self) => new View("dict_items", pairs(self as Mapping))],
  ["keys", (self) => new View("dict_keys", keysOf(self as Mapping))],
  [
    "values",
    (self) =>
      new View(
        "dict_values",
        entriesOf(self as Mapping).map(([, value]) => value),
      ),
  ],
  [
    "get",
    (self, args, named) => {
      const [key, otherwise = null] = placed("get", ["key", "default"], args, named);
      const value = getKey(self as Mapping, key);
      return value === undefined ? otherwise : value;
    },
  ],
  ["copy", (self) => Dict.from(entriesOf(self as Mapping))],
  ...["clear", "pop", "popitem", "setdefault", "update"].map(
    (name) => [name, forbidden("dict", name)] as const,
  ),
]);

const sequenceMethods = new Map<string, Method>([
  [
    "index",
    (self, args) => {
      const at = (self as unknown[]).findIndex((item) => equals(item, args[0]));
      return at === -1 ? fail("the value is not in the list") : at;
    },
  ],
  ["count", (self, args) => (self as unknown[]).filter((item) => equals(item, args[0])).length],
]);

const listMethods = new Map<string, Method>([
  ...sequenceMethods,
  ["copy", (self) => [...(self as unknown[])]],
  ...["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"].map(
    (name) => [name, forbidden("list", name)] as const,
  ),
]);

const textMethods = new Map<string, Method>([
  ...[...stringMethods].map(
    ([name, method]) =>
      [name, ((self, args, named) => method(self as string, args, named)) as Method] as const,
  ),
  ["format", (self, args, named) => strFormat(self as string, args, named, attribute)],
  [
    "format_map",
    (self, args) => {
      const [mapping] = args;
      if (!isMapping(mapping)) return fail("format_map() takes a mapping");
      const look = (name: string) => getKey(mapping, name) ?? fail(`format: no value '${name}'`);
      return strFormat(self as string, [], look, attribute);
    },
  ],
  [
    "maketrans",
    (_self, args) => {
      const [from, to, without] = args;
      if (isMapping(from)) {
        return Dict.from(
          entriesOf(from).map(([key, value]) => [
            typeof key === "string" ? key.codePointAt(0) : key,
            value,
          ]),
        );
      }
      const [old, by] = [Array.from(textArgument("maketrans()", from)), Array.from(show(to))];
      const table = Dict.from(old.map((char, i) => [char.codePointAt(0), by[i]?.codePointAt(0)]));
      for (const char of optionalText("maketrans()", without) ?? "") {
        table.set(char.codePointAt(0), null);
      }
      return table;
    },
  ],
]);

const numberMethods = new Map<string, Method>([
  [
    "bit_length",
    (self) =>
      self === 0
        ? 0
        : BigInt(self as number)
            .toString(2)
            .replace("-", "").length,
  ],
  ["is_integer", (self) => Number.isInteger(numberOf(self as number))],
  ["conjugate", (self) => self],
]);

const none: ReadonlyMap<string, Method> = new Map();

function methodsOf(object: unknown): ReadonlyMap<string, Method> {
  if (typeof object === "string") return textMethods;
  if (Array.isArray(object)) return object instanceof Tuple ? sequenceMethods : listMethods;
  if (object instanceof Range) return sequenceMethods;
  if (isMapping(object)) return dictMethods;
  if (isNumeric(object)) return numberMethods;
  return none;
}

const selfOf = (object: unknown): unknown => (object instanceof Range ? object.items : object);

/** `object.name` without items: a method, a field of the engine's own objects. */
export function ownAttribute(object: unknown, name: string): unknown {
  if (object === undefined) fail(`an undefined value has no attribute '${name}'`);
  const method = methodsOf(object).get(name);
  if (method !== undefined) {
    const self = selfOf(object);
    const type = "builtin_function_or_method";
    return new Callable(name, (args, named) => method(self, args, named), type);
  }
  if (object instanceof Host) return object.attribute(name);
  if (object instanceof Namespace) return object.fields.get(name);
  if (object instanceof Callable) return object.fields[name];
  if (object instanceof Group) {
    return name === "grouper" ? object[0] : name === "list" ? object[1] : undefined;
  }
  if (isInteger(object) || isFloat(object)) {
    if (name === "real" || name === "numerator") return object;
    if (name === "imag") return 0;
    if (name === "denominator") return 1;
  }
  return undefined;
}

/** `object.name`: its attribute, else its item of that name. */
export function attribute(object: unknown, name: string): unknown {
  const own = ownAttribute(object, name);
  return own === undefined ? itemAt(object, name) : own;
}

/** `object[key]`: its item, else its attribute of that name. */
export function item(object: unknown, key: unknown): unknown {
  if (object === undefined) fail(`an undefined value has no item ${show(key)}`);
  const value = itemAt(object, key);
  return value === undefined && typeof key === "string" ? ownAttribute(object, key) : value;
}

/** `object.name`, quick for what most are: fields of JSON objects, and `loop`. */
export function attributeReader(name: string): (object: unknown) => unknown {
  if (dictMethods.has(name) || name in Object.prototype) {
    return (object) => attribute(object, name);
  }
  return (object) => {
    if (isPlainObject(object)) return object[name];
    return object instanceof Host ? object.attribute(name) : attribute(object, name);
  };
}

/** `object["name"]`, quick for fields of JSON objects. */
export function itemReader(name: string): (object: unknown) => unknown {
  if (dictMethods.has(name) || name in Object.prototype) return (object) => item(object, name);
  return (object) => (isPlainObject(object) ? object[name] : item(object, name));
}

/** `object.name(…)` without a value made of the method first. */
export function methodCaller(name: string): Method {
  const of_text = textMethods.get(name);
  return (object, args, named) => {
    if (of_text !== undefined && typeof object === "string") {
      takeReading(object.length);
      const made = of_text(object, args, named);
      if (typeof made === "string") takeCharacters(made.length);
      return made;
    }
    const method = methodsOf(object).get(name);
    if (method !== undefined) return method(selfOf(object), args, named);
    return callValue(attribute(object, name), args, named, name);
  };
}

export function callValue(
  value: unknown,
  args: readonly unknown[],
  named: Named,
  name: string,
): unknown {
  if (value instanceof Callable) return value.call(args, named);
  if (value instanceof Host && value.called !== undefined) return value.called(args, named);
  if (value === undefined) return fail(`'${name}' is undefined`);
  return fail(`'${typeName(value)}' object is not callable`);
}

export const isCallable = (value: unknown): boolean =>
  value instanceof Callable || (value instanceof Host && value.called !== undefined);

/** The attribute of a filter's argument: `a.b.0` goes down by items; what is missing on the way. */
export function pathReader(path: unknown, otherwise?: unknown): (object: unknown) => unknown {
  const parts = isInteger(path)
    ? [Number(path)]
    : show(path)
        .split(".")
        .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return (object) => {
    let value = object;
    for (const part of parts) {
      value = item(value, part);
      if (value === undefined && otherwise !== null) value = otherwise;
    }
    return value;
  };
}

/** A sequence in the order of `attributes`, `a,b`: what sort and groupby compare. */
export const pathsReader = (paths: string): ((object: unknown) => readonly unknown[]) => {
  const readers = paths.split(",").map(pathReader);
  return (object) => readers.map((read) => read(object));
};
