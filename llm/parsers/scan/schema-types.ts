/**
 * Which JSON types a schema allows, and a value's text as JSON of such a type: for formats that
 * write values without saying what they are.
 */
import { parseJson } from "./json-scan.ts";
import { looseJson } from "./loose-value.ts";
import type { ToolShape } from "./reader.ts";

export const STRING = 1;
export const NUMBER = 2;
export const BOOLEAN = 4;
export const NULL = 8;
export const LIST = 16;
export const OBJECT = 32;
/** A set of the above; 0 says nothing is known. */
export type Types = number;

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** References in a row, and schemas that one question looks at: each of them once. */
const MAX_REFERENCES = 16;
const MAX_SCHEMAS = 1_024;

/** What was looked at: schemas may hold themselves, in as many branches as they like. */
type Seen = Set<unknown>;

function isNew(schema: Json, seen: Seen): boolean {
  if (seen.has(schema) || seen.size >= MAX_SCHEMAS) return false;
  seen.add(schema);
  return true;
}

const NAMED: Readonly<Record<string, Types>> = {
  string: STRING,
  integer: NUMBER,
  number: NUMBER,
  boolean: BOOLEAN,
  null: NULL,
  array: LIST,
  object: OBJECT,
};

/** The schema of one parameter, or undefined. */
export function parameterSchema(tool: ToolShape | undefined, name: string): unknown {
  return propertySchema(tool?.parameters, name, tool?.parameters);
}

/** The schema of one property of an object's schema. */
export function propertySchema(
  schema: unknown,
  name: string,
  root: unknown,
  seen: Seen = new Set(),
): unknown {
  const own = resolved(schema, root);
  if (!isObject(own) || !isNew(own, seen)) return undefined;
  const properties = own["properties"];
  if (isObject(properties) && Object.hasOwn(properties, name)) return properties[name];
  for (const key of ["allOf", "anyOf", "oneOf"]) {
    const branches = own[key];
    if (!Array.isArray(branches)) continue;
    for (const branch of branches) {
      const found = propertySchema(branch, name, root, seen);
      if (found !== undefined) return found;
    }
  }
  return isObject(own["additionalProperties"]) ? own["additionalProperties"] : undefined;
}

/** The schema of a list's items. */
export function itemSchema(schema: unknown, root: unknown, seen: Seen = new Set()): unknown {
  const own = resolved(schema, root);
  if (!isObject(own) || !isNew(own, seen)) return undefined;
  if (own["items"] !== undefined) return own["items"];
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    const branches = own[key];
    if (!Array.isArray(branches)) continue;
    for (const branch of branches) {
      const found = itemSchema(branch, root, seen);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** @param root where local `$ref`s point */
export function typesOf(schema: unknown, root: unknown, seen: Seen = new Set()): Types {
  const own = resolved(schema, root);
  if (!isObject(own) || !isNew(own, seen)) return 0;
  let types = 0;
  const { type } = own;
  if (typeof type === "string") types |= NAMED[type] ?? 0;
  else if (Array.isArray(type)) for (const name of type) types |= NAMED[String(name)] ?? 0;
  if (own["nullable"] === true) types |= NULL;
  if (types === 0 && own["const"] !== undefined) types |= typeOfValue(own["const"]);
  if (types === 0 && Array.isArray(own["enum"])) {
    for (const value of own["enum"]) types |= typeOfValue(value);
  }
  if (types === 0) {
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      const branches = own[key];
      if (!Array.isArray(branches)) continue;
      for (const branch of branches) types |= typesOf(branch, root, seen);
    }
  }
  if (types === 0 && isObject(own["properties"])) types = OBJECT;
  if (types === 0 && own["items"] !== undefined) types = LIST;
  return types;
}

function typeOfValue(value: unknown): Types {
  if (value === null) return NULL;
  if (Array.isArray(value)) return LIST;
  return NAMED[typeof value] ?? OBJECT;
}

/** Follows local references; a cycle or a foreign one gives undefined. */
function resolved(schema: unknown, root: unknown): unknown {
  let own = schema;
  for (let steps = 0; isObject(own) && typeof own["$ref"] === "string"; steps++) {
    const reference = own["$ref"];
    if (steps > MAX_REFERENCES || !reference.startsWith("#")) return undefined;
    own = root;
    for (const part of reference.slice(1).split("/").slice(1)) {
      const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
      if (!isObject(own) || !Object.hasOwn(own, key)) return undefined;
      own = own[key];
    }
  }
  return own;
}

const NUMBER_TEXT = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * A value's text as JSON of one of the types; a JSON string where nothing else fits.
 * @param unknown what to do where no type is known: read what is JSON, or take all as strings
 */
export function jsonOfText(text: string, types: Types, unknown: "json" | "string"): string {
  const allowed = types === 0 && unknown === "json" ? ~STRING : types;
  const trimmed = text.trim();
  const lower = trimmed.toLowerCase();
  if (allowed & NULL && (lower === "null" || lower === "none")) return "null";
  if (allowed & BOOLEAN && (lower === "true" || lower === "false")) return lower;
  if (allowed & NUMBER) {
    const number = numberText(trimmed);
    if (number !== undefined) return number;
  }
  if (allowed & (LIST | OBJECT)) {
    const first = trimmed[0];
    if ((first === "[" && allowed & LIST) || (first === "{" && allowed & OBJECT)) {
      if (parseJson(trimmed) !== undefined) return trimmed;
      const loose = looseJson(trimmed);
      if (loose !== undefined) return loose;
    }
  }
  return JSON.stringify(text);
}

function numberText(text: string): string | undefined {
  if (NUMBER_TEXT.test(text)) return text;
  const plain = text.startsWith("+") ? text.slice(1) : text;
  const padded = plain.replace(/^(-?)\./, "$10.").replace(/\.$/, "");
  return plain !== "" && NUMBER_TEXT.test(padded) ? padded : undefined;
}
