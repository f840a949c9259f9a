/** Turns an unknown JSON value into a typed request, or says what is wrong with which field. */
import type { z } from "zod";
import { requestLimits } from "../../../llm/model/request-limits.ts";
import {
  type ApiError,
  clip,
  invalidType,
  invalidValue,
  missingParameter,
  unknownParameter,
  unsupported,
} from "./api-error.ts";
import type { Fields, FieldTables } from "./request-fields.ts";

export type UnknownFields = "refuse" | "ignore";

/**
 * `where` prefixes the names in errors: "messages[2]". Throws ApiError (400).
 * A value of null counts as absent, as in OpenAI's own requests.
 */
export function checkNames(
  value: object,
  fields: Fields,
  unknown: UnknownFields,
  where = "",
): void {
  let ignored = 0;
  for (const name in value) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined && unknown === "ignore") {
      ignored += 1;
      if (ignored > requestLimits.unknown_fields) throw tooManyUnknown(where);
      continue;
    }
    const path = where === "" ? name : `${where}.${name}`;
    if (field === undefined) throw unknownParameter(clip(path));
    const given: unknown = (value as Record<string, unknown>)[name];
    if (field.items_max !== undefined) checkLength(given, field.items_max, path);
    if (field.treatment === "used") checkProto(given, path);
    if (field.treatment !== "refused") continue;
    if (given === null || given === undefined || field.harmless?.is(given) === true) continue;
    const or = field.harmless === undefined ? "" : `, or send ${field.harmless.as}`;
    throw unsupported(`'${path}' is not supported. ${field.note} Remove the field${or}.`, path);
  }
}

/** Every name of a body, those of the objects inside it too. Throws ApiError (400). */
export function checkAllNames(body: object, tables: FieldTables, unknown: UnknownFields): void {
  checkNames(body, tables.fields, unknown);
  for (const { name, fields, is_list, ignores_unknown } of tables.nested) {
    const value: unknown = (body as Record<string, unknown>)[name];
    const rule = ignores_unknown ? "ignore" : unknown;
    if (!is_list) {
      if (isObject(value)) checkNames(value, fields, rule, name);
    } else if (Array.isArray(value)) {
      value.forEach((item: unknown, i) => {
        if (isObject(item)) checkNames(item, fields, rule, `${name}[${i}]`);
      });
    }
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function tooManyUnknown(where: string): ApiError {
  return invalidValue(
    `${where === "" ? "The body" : `'${where}'`} has more than ${requestLimits.unknown_fields} ` +
      "fields that this server does not know; leave them out.",
    where === "" ? null : where,
  );
}

/** JSON may name anything `__proto__`, and zod passes over it where a field takes any name. */
function checkProto(value: unknown, path: string): void {
  if (!isObject(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === "__proto__") throw unknownParameter(clip(`${path}.${name}`));
    checkProto(inner, `${path}.${name}`);
  }
}

function checkLength(value: unknown, items_max: number, param: string): void {
  if (typeof value !== "object" || value === null) return;
  const length = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (length <= items_max) return;
  throw invalidValue(`'${param}' has ${length} items; at most ${items_max} are taken.`, param);
}

/** Throws ApiError (400) for the first thing that is wrong. */
export function checkShape<S extends z.ZodType>(value: unknown, shape: S): z.infer<S> {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const [issue, next] = result.error.issues;
  if (issue === undefined) throw invalidValue("The request is not valid.", null);
  // For a whole number zod names the bound of all whole numbers before the field's own bound.
  const own = next?.code === issue.code && pathText(next.path) === pathText(issue.path);
  const first = own && "origin" in issue && issue.origin === "int" ? next : issue;
  throw explain(first, value, []);
}

export function checkObject(value: unknown): object {
  if (isObject(value)) return value;
  throw invalidType(`The body must be a JSON object, not ${nameOf(value)}.`, null);
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, root: unknown, base: readonly PropertyKey[]): ApiError {
  const path = [...base, ...issue.path];
  const param = pathText(path);
  const value = valueAt(root, path);
  if (isAbsent(value, path)) return missingParameter(param);
  switch (issue.code) {
    case "invalid_type":
      if (isUnreadable(value) && ["number", "int"].includes(issue.expected)) {
        return tooLargeToRead(param);
      }
      return invalidType(
        `Invalid type for '${param}': expected ${article(issue.expected)}, got ${nameOf(value)}.`,
        param,
      );
    case "too_big":
      return invalidValue(
        `'${param}' is too ${big(issue.origin)}: at most ${issue.maximum}${units(issue.origin, Number(issue.maximum))}, ` +
          `got ${shown(value)}.`,
        param,
      );
    case "too_small":
      return invalidValue(
        `'${param}' is too ${small(issue.origin)}: ${issue.inclusive ? "at least" : "more than"} ` +
          `${issue.minimum}${units(issue.origin, Number(issue.minimum))}, got ${shown(value)}.`,
        param,
      );
    case "invalid_key":
      return invalidValue(`Invalid name '${param}': ${issue.issues[0]?.message}.`, param);
    case "invalid_value":
      if (!issue.message.startsWith("Invalid")) {
        return invalidValue(`'${param}' is ${shown(value)}, but ${issue.message}.`, param);
      }
      return invalidValue(
        `'${param}' must be one of ${issue.values.map((v) => `'${String(v)}'`).join(", ")}, ` +
          `got ${shown(value)}.`,
        param,
      );
    case "invalid_union":
      return explainUnion(issue, root, path);
    default:
      return invalidValue(`Invalid value for '${param}': ${issue.message}.`, param);
  }
}

/** Null counts as absent, but not as an item of a list, where it takes a place. */
const isAbsent = (value: unknown, path: readonly PropertyKey[]): boolean =>
  value === undefined || (value === null && typeof path.at(-1) === "string");

const isUnreadable = (value: unknown): boolean =>
  typeof value === "number" && !Number.isFinite(value);

/** JSON may spell a number that no double can hold, as 1e999; it is read as infinity. */
const tooLargeToRead = (param: string): ApiError =>
  invalidValue(
    `'${param}' is a number beyond what can be read (about 1.8e308); send a smaller one.`,
    param,
  );

/** The branch that got furthest into the value is the one that the client meant. */
function explainUnion(
  issue: Extract<Issue, { code: "invalid_union" }>,
  root: unknown,
  path: readonly PropertyKey[],
): ApiError {
  let deepest: Issue | undefined;
  for (const branch of issue.errors) {
    for (const inner of branch) {
      if (inner.path.length > (deepest?.path.length ?? 0)) deepest = inner;
    }
  }
  if (deepest !== undefined && issue.errors.length > 0) return explain(deepest, root, path);
  const param = pathText(path);
  const value = valueAt(root, path);
  return invalidType(
    `Invalid value for '${param}': ${issue.message}, got ${nameOf(value)}.`,
    param,
  );
}

export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return clip(text);
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  return article(typeof value);
}

function article(word: string): string {
  const plain = word === "int" ? "integer" : word === "record" ? "object" : word;
  return /^[aeiou]/.test(plain) ? `an ${plain}` : `a ${plain}`;
}

function shown(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") {
    return value.length > 40 ? `${value.length} characters` : `'${clip(value)}'`;
  }
  return Array.isArray(value) ? `${value.length}` : nameOf(value);
}

const big = (origin: string) =>
  origin === "array" || origin === "string" || origin === "set" ? "long" : "large";
const small = (origin: string) =>
  origin === "array" || origin === "string" || origin === "set" ? "short" : "small";
function units(origin: string, count: number): string {
  if (origin !== "array" && origin !== "string") return "";
  const word = origin === "array" ? "item" : "character";
  return count === 1 ? ` ${word}` : ` ${word}s`;
}
