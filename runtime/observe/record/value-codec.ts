/**
 * Values of one process as bytes: plain data with all numbers, typed arrays, maps and sets,
 * actors' references and errors. Functions and objects of classes have no bytes; the writer says so
 * by name, and the reader makes stand-ins.
 */
import type { Reader, Writer } from "../../codec.ts";
import { AskError, type AskErrorCode } from "../../kernel/errors.ts";
import type { Address } from "../../kernel/message.ts";
import type { Ref } from "../../kernel/ref.ts";

const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  whole: 4,
  number: 5,
  text: 6,
  bigint: 7,
  buffer: 8,
  array_buffer_view: 9,
  array: 10,
  object: 11,
  map: 12,
  set: 13,
  ref: 14,
  function: 15,
  instance: 16,
  error: 17,
  cut: 18,
  ask_error: 19,
} as const;

/** Deeper values are cut: one that contains itself would have no end. */
const DEPTH_MAX = 24;

/** What the reader makes of things that have no bytes. */
export interface Stands {
  ref(address: Address, node_address: string): Ref;
  /** @param name where it stood in what was given, for errors */
  function(name: string): unknown;
  instance(name: string, methods: readonly string[]): unknown;
}

/** What the writer does with them. Returns what the actor gets in their place. */
export interface Sees {
  function(value: (...args: never) => unknown, name: string): unknown;
  instance(value: object, name: string, methods: readonly string[]): unknown;
}

const views = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;
type ViewName = keyof typeof views;

const isRef = (value: object): value is Ref =>
  typeof (value as Partial<Ref>).deliver === "function" && "address" in value;

/** Methods of a class, by its prototype; none: its objects are data, as generated messages are. */
const methods_of = new WeakMap<object, readonly string[]>();

function methodsOf(prototype: object): readonly string[] {
  const known = methods_of.get(prototype);
  if (known !== undefined) return known;
  const found = new Set<string>();
  for (let at: object | null = prototype; at !== null && at !== Object.prototype; ) {
    for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name === "constructor") continue;
      if (typeof member.value === "function" || member.get !== undefined) found.add(name);
    }
    at = Object.getPrototypeOf(at) as object | null;
  }
  const methods = [...found];
  methods_of.set(prototype, methods);
  return methods;
}

export class ValueWriter {
  /** A function, an object of a class, or something too deep was met since this was last reset. */
  lossy = false;
  readonly #sees: Sees | undefined;

  /** Without `sees` functions and objects of classes are noted as lossy and stay what they are. */
  constructor(sees?: Sees) {
    this.#sees = sees;
  }

  /** Appends the value. Returns it as the actor has to use it. */
  write<T>(value: T, writer: Writer, name = ""): T {
    return this.#write(value, writer, name, 0) as T;
  }

  #write(value: unknown, writer: Writer, name: string, depth: number): unknown {
    switch (typeof value) {
      case "undefined":
        writer.uint32(TAG.undefined);
        return value;
      case "boolean":
        writer.uint32(value ? TAG.true : TAG.false);
        return value;
      case "number":
        if (value >>> 0 === value && !Object.is(value, -0)) writer.uint32(TAG.whole).uint32(value);
        else writer.uint32(TAG.number).double(value);
        return value;
      case "string":
        writer.uint32(TAG.text).string(value);
        return value;
      case "bigint":
        writer.uint32(TAG.bigint).string(value.toString());
        return value;
      case "function":
        writer.uint32(TAG.function).string(name);
        if (this.#sees !== undefined) return this.#sees.function(value as never, name);
        this.lossy = true;
        return value;
      case "symbol":
        this.lossy = true;
        writer.uint32(TAG.cut);
        return value;
      default:
        return value === null
          ? this.#null(writer)
          : this.#object(value as object, writer, name, depth);
    }
  }

  #null(writer: Writer): null {
    writer.uint32(TAG.null);
    return null;
  }

  #object(value: object, writer: Writer, name: string, depth: number): unknown {
    if (depth > DEPTH_MAX || value instanceof Promise) {
      this.lossy = true;
      writer.uint32(TAG.cut);
      return value;
    }
    if (Array.isArray(value)) return this.#array(value, writer, name, depth);
    if (ArrayBuffer.isView(value)) return this.#view(value, writer);
    if (value instanceof Map) return this.#map(value, writer, name, depth);
    if (value instanceof Set) return this.#set(value, writer, name, depth);
    if (isRef(value)) return this.#ref(value, writer);
    if (value instanceof Error) return this.#error(value, writer);
    const prototype = Object.getPrototypeOf(value) as object | null;
    const methods = prototype === null ? [] : methodsOf(prototype);
    if (methods.length > 0) return this.#instance(value, methods, writer, name);
    return this.#fields(value, writer, name, depth);
  }

  #array(value: unknown[], writer: Writer, name: string, depth: number): unknown {
    writer.uint32(TAG.array).uint32(value.length);
    let changed: unknown[] | undefined;
    for (let i = 0; i < value.length; i++) {
      const seen = this.#write(value[i], writer, `${name}[]`, depth + 1);
      if (seen === value[i]) continue;
      changed ??= [...value];
      changed[i] = seen;
    }
    return changed ?? value;
  }

  #view(value: ArrayBufferView, writer: Writer): unknown {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (Buffer.isBuffer(value)) writer.uint32(TAG.buffer).bytes(bytes);
    else {
      const [found] = Object.entries(views).find(([, view]) => value instanceof view) ?? [""];
      if (found === "") this.lossy = true;
      writer.uint32(TAG.array_buffer_view).string(found).bytes(bytes);
    }
    return value;
  }

  #map(value: Map<unknown, unknown>, writer: Writer, name: string, depth: number): unknown {
    writer.uint32(TAG.map).uint32(value.size);
    for (const [key, item] of value) {
      this.#plain(key, writer, name, depth);
      this.#plain(item, writer, name, depth);
    }
    return value;
  }

  #set(value: Set<unknown>, writer: Writer, name: string, depth: number): unknown {
    writer.uint32(TAG.set).uint32(value.size);
    for (const item of value) this.#plain(item, writer, name, depth);
    return value;
  }

  /** What stands in a map or a set cannot be replaced. */
  #plain(value: unknown, writer: Writer, name: string, depth: number): void {
    if (this.#write(value, writer, name, depth + 1) !== value) this.lossy = true;
  }

  #ref(value: Ref, writer: Writer): unknown {
    const { node, path, incarnation } = value.address;
    const { node_address = "" } = value as { node_address?: string };
    writer.uint32(TAG.ref).string(node).string(path).string(incarnation.toString());
    writer.string(node_address);
    return value;
  }

  #error(value: Error, writer: Writer): unknown {
    if (value instanceof AskError) writer.uint32(TAG.ask_error).string(value.code);
    else writer.uint32(TAG.error);
    writer.string(value.message);
    return value;
  }

  #instance(value: object, own: readonly string[], writer: Writer, name: string): unknown {
    const fields = Object.entries(value).filter(([, each]) => typeof each === "function");
    const methods = own.filter((method) => isMethod(value, method));
    const all = [...methods, ...fields.map(([field]) => field)];
    writer.uint32(TAG.instance).string(name).uint32(all.length);
    for (const method of all) writer.string(method);
    if (this.#sees !== undefined) return this.#sees.instance(value, name, all);
    this.lossy = true;
    return value;
  }

  #fields(value: object, writer: Writer, name: string, depth: number): unknown {
    const keys = Object.keys(value);
    writer.uint32(TAG.object).uint32(keys.length);
    let changed: Record<string, unknown> | undefined;
    for (const key of keys) {
      const item = (value as Record<string, unknown>)[key];
      writer.string(key);
      const seen = this.#write(item, writer, name === "" ? key : `${name}.${key}`, depth + 1);
      if (seen === item) continue;
      changed ??= { ...value };
      changed[key] = seen;
    }
    return changed ?? value;
  }
}

function isMethod(value: object, name: string): boolean {
  for (
    let at: object | null = value;
    at !== null;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    const member = Object.getOwnPropertyDescriptor(at, name);
    if (member !== undefined) return typeof member.value === "function";
  }
  return false;
}

/** Throws RangeError on bytes that are no value. */
export function readValue(reader: Reader, stands: Stands): unknown {
  const tag = reader.uint32();
  switch (tag) {
    case TAG.undefined:
    case TAG.cut:
      return undefined;
    case TAG.null:
      return null;
    case TAG.false:
      return false;
    case TAG.true:
      return true;
    case TAG.whole:
      return reader.uint32();
    case TAG.number:
      return reader.double();
    case TAG.text:
      return reader.string();
    case TAG.bigint:
      return BigInt(reader.string());
    case TAG.function:
      return stands.function(reader.string());
    case TAG.instance: {
      const name = reader.string();
      return stands.instance(
        name,
        many(reader, () => reader.string()),
      );
    }
    case TAG.error:
      return new Error(reader.string());
    case TAG.ask_error: {
      const code = reader.string() as AskErrorCode;
      return new AskError(code, reader.string().slice(code.length + 2));
    }
    default:
      return readContainer(tag, reader, stands);
  }
}

function readContainer(tag: number, reader: Reader, stands: Stands): unknown {
  const one = () => readValue(reader, stands);
  switch (tag) {
    case TAG.buffer:
      return Buffer.from(reader.bytes());
    case TAG.array_buffer_view:
      return viewOf(reader.string(), reader.bytes());
    case TAG.array:
      return many(reader, one);
    case TAG.object:
      return Object.fromEntries(many(reader, () => [reader.string(), one()] as const));
    case TAG.map:
      return new Map(many(reader, () => [one(), one()] as const));
    case TAG.set:
      return new Set(many(reader, one));
    case TAG.ref: {
      const node = reader.string();
      const path = reader.string();
      const incarnation = BigInt(reader.string());
      return stands.ref({ node, path, incarnation }, reader.string());
    }
    default:
      throw new RangeError(`no value has the tag ${tag}`);
  }
}

function many<T>(reader: Reader, one: () => T): T[] {
  const count = reader.uint32();
  if (count > reader.len) throw new RangeError(`${count} values do not fit into the record`);
  return Array.from({ length: count }, one);
}

/** A copy: the record's bytes may lie anywhere, and wide numbers want their place. */
function viewOf(name: string, bytes: Uint8Array): unknown {
  const view = views[name as ViewName];
  const { buffer } = Uint8Array.from(bytes);
  if (view === undefined) return new Uint8Array(buffer);
  return new view(buffer);
}
