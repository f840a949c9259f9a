/**
 * Values of templates, as Python has them. JSON values stay as they are; kinds that JavaScript
 * lacks are classes here.
 *
 * | Python | here |
 * |---|---|
 * | str, bool, None | string, boolean, null |
 * | int | an integral number, or a bigint beyond 2^53 |
 * | float | a number with a fraction, `Float` for one without |
 * | list, tuple | an array, `Tuple` |
 * | dict | a plain object with text keys, `Dict` with any |
 * | generator, range, a view of a dict | `Lazy`, `Range`, `View` |
 * | Undefined | undefined |
 */
import { takeReading, takeSteps } from "../budget.ts";
import { fail } from "../errors.ts";
import { lengthOfText } from "./text.ts";

/** Arguments by name. */
export type Named = ReadonlyMap<string, unknown>;
export const NO_NAMES: Named = new Map();

/** Whatever is neither JSON nor undefined; tells a plain object from it by one check. */
export abstract class Special {
  /** As `type(x).__name__` says. */
  abstract readonly type: string;
}

/** A float without a fraction: 2.0, -0.0. */
export class Float extends Special {
  readonly type = "float";
  readonly value: number;
  constructor(value: number) {
    super();
    this.value = value;
  }
}

export class Tuple extends Array<unknown> {
  static make(...items: unknown[]): Tuple {
    return Tuple.fromList(items);
  }
  /** A tuple of these; the list itself is not kept. */
  static fromList(items: readonly unknown[]): Tuple {
    const tuple = new Tuple();
    for (const item of items) tuple.push(item);
    return tuple;
  }
  /** Lists come of its methods, not tuples. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** An item of `groupby`: a pair whose parts have names. */
export class Group extends Tuple {
  static pair(grouper: unknown, list: unknown[]): Group {
    const group = new Group();
    group.push(grouper, list);
    return group;
  }
}

export type Plain = Readonly<Record<string, unknown>>;

export class Dict extends Special {
  readonly type = "dict";
  /** By what its key is told from others by. */
  readonly pairs = new Map<unknown, readonly [unknown, unknown]>();
  get(key: unknown): unknown {
    return this.pairs.get(hashOf(key))?.[1];
  }
  has(key: unknown): boolean {
    return this.pairs.has(hashOf(key));
  }
  /** A key that is there stays as it was written first. */
  set(key: unknown, value: unknown): this {
    const hash = hashOf(key);
    this.pairs.set(hash, [this.pairs.get(hash)?.[0] ?? key, value]);
    return this;
  }
  static from(entries: Iterable<readonly [unknown, unknown]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }
}

export type Mapping = Plain | Dict;

/** A generator, or an iterator: gives its items once. `type` as Python names it. */
export class Lazy extends Special {
  readonly type: string;
  readonly #items: Iterator<unknown>;
  constructor(items: Iterable<unknown>, type = "generator") {
    super();
    this.#items = items[Symbol.iterator]();
    this.type = type;
  }
  /** The items that are left. */
  rest(): unknown[] {
    const items: unknown[] = [];
    for (let next = this.#items.next(); !next.done; next = this.#items.next()) {
      items.push(next.value);
    }
    return items;
  }
  /** Undefined when nothing is left. */
  next(): unknown {
    const next = this.#items.next();
    return next.done === true ? undefined : next.value;
  }
}

export class Range extends Special {
  readonly type = "range";
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly items: readonly number[];
  constructor(start: number, stop: number, step: number) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
    const length = Math.max(0, Math.ceil((stop - start) / step));
    if (!(length <= RANGE_MAX)) fail(`Range too big. The sandbox blocks ranges over ${RANGE_MAX}`);
    takeSteps(length);
    this.items = Array.from({ length }, (_, index) => start + index * step);
  }
}

const RANGE_MAX = 100_000;

/** Result of `items()`, `keys()` and `values()`. */
export class View extends Special {
  readonly type: string;
  readonly items: readonly unknown[];
  constructor(type: "dict_items" | "dict_keys" | "dict_values", items: readonly unknown[]) {
    super();
    this.type = type;
    this.items = items;
  }
}

/** Result of `namespace()`; a template can set its fields. */
export class Namespace extends Special {
  readonly type = "Namespace";
  readonly fields = new Map<string, unknown>();
}

/** A callable value: a macro, a global function, a method taken off its object. */
export class Callable extends Special {
  readonly type: string;
  readonly name: string;
  readonly call: (args: readonly unknown[], named: Named) => unknown;
  /** Attributes, such as a macro's `arguments`. */
  readonly fields: Plain;
  constructor(name: string, call: Callable["call"], type = "function", fields: Plain = {}) {
    super();
    this.name = name;
    this.call = call;
    this.type = type;
    this.fields = fields;
  }
}

/** An object of the engine's own with attributes: `loop`, `self`, a cycler, a joiner. */
export abstract class Host extends Special {
  /** Undefined where there is no such attribute. */
  abstract attribute(name: string): unknown;
  /** Called as a function; undefined when it is none. */
  readonly called: Callable["call"] | undefined = undefined;
}

export const isPlainObject = (value: unknown): value is Plain =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Special);

export const isMapping = (value: unknown): value is Mapping =>
  value instanceof Dict || isPlainObject(value);

/** Fields that a caller left undefined are not there. */
export function entriesOf(mapping: Mapping): (readonly [unknown, unknown])[] {
  if (mapping instanceof Dict) return [...mapping.pairs.values()];
  return Object.entries(mapping).filter(([, value]) => value !== undefined);
}

export function keysOf(mapping: Mapping): unknown[] {
  return entriesOf(mapping).map(([key]) => key);
}

/** Undefined where there is no such key. */
export function getKey(mapping: Mapping, key: unknown): unknown {
  if (mapping instanceof Dict) return mapping.get(key);
  if (typeof key === "string") return Object.hasOwn(mapping, key) ? mapping[key] : undefined;
  hashOf(key);
  return undefined;
}

export const hasKey = (mapping: Mapping, key: unknown): boolean =>
  mapping instanceof Dict ? mapping.has(key) : getKey(mapping, key) !== undefined;

const UNDEFINED_KEY = Symbol("an undefined key");

/** Equal for keys that Python takes for the same: 1, 1.0 and True are. */
function hashOf(key: unknown): unknown {
  switch (typeof key) {
    case "string":
    case "number":
      return key;
    case "boolean":
      return Number(key);
    case "bigint":
      return `\0int ${key}`;
    case "undefined":
      return UNDEFINED_KEY;
  }
  if (key instanceof Float) return key.value;
  if (key instanceof Tuple) {
    const hashes = key.map((item) => {
      const hash = hashOf(item);
      return typeof hash === "string" ? JSON.stringify(hash) : String(hash);
    });
    return `\0tuple ${hashes.join(",")}`;
  }
  if (Array.isArray(key) || isMapping(key)) fail(`unhashable type: '${typeName(key)}'`);
  return key;
}

export function typeName(value: unknown): string {
  if (value === null) return "NoneType";
  if (value instanceof Special) return value.type;
  if (value instanceof Tuple) return "tuple";
  switch (typeof value) {
    case "string":
      return "str";
    case "boolean":
      return "bool";
    case "undefined":
      return "Undefined";
    case "bigint":
      return "int";
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 1e21 ? "int" : "float";
    default:
      return Array.isArray(value) ? "list" : "dict";
  }
}

export function isTruthy(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value) || Number.isNaN(value);
  if (Array.isArray(value)) return value.length > 0;
  if (!(value instanceof Special)) {
    for (const key in value) if ((value as Plain)[key] !== undefined) return true;
    return false;
  }
  if (value instanceof Dict) return value.pairs.size > 0;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Range || value instanceof View) return value.items.length > 0;
  return true;
}

/** The items of what can be iterated, as a list that is not to be changed. Undefined has none. */
export function itemsOf(value: unknown): readonly unknown[] {
  const items = itemsOfLoop(value);
  takeSteps(items.length);
  return items;
}

/** The same for a loop, which counts its turns itself: it may leave most of them out. */
export function itemsOfLoop(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") {
    takeReading(value.length);
    return Array.from(value);
  }
  if (value === undefined) return [];
  if (value instanceof Lazy) return value.rest();
  if (value instanceof Range || value instanceof View) return value.items;
  if (isMapping(value)) return keysOf(value);
  if (value instanceof Namespace) fail("'Namespace' object is not iterable");
  return fail(`'${typeName(value)}' object is not iterable`);
}

export const isIterable = (value: unknown): boolean =>
  typeof value === "string" ||
  value === undefined ||
  Array.isArray(value) ||
  value instanceof Lazy ||
  value instanceof Range ||
  value instanceof View ||
  isMapping(value);

/** Undefined where Python has no length for it. */
export function sizeOf(value: unknown): number | undefined {
  if (typeof value === "string") return lengthOfText(value);
  if (Array.isArray(value)) return value.length;
  if (value === undefined) return 0;
  if (value instanceof Range || value instanceof View) return value.items.length;
  if (isMapping(value)) return entriesOf(value).length;
  return undefined;
}

export function lengthOf(value: unknown): number {
  return sizeOf(value) ?? fail(`object of type '${typeName(value)}' has no len()`);
}
