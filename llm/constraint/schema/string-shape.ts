/** The string part of a schema. */
import type { Json } from "./merge-schemas.ts";
import { parseRegex, type Regex, RegexError, regexLengths, wholeRegex } from "./regex.ts";
import { SchemaError } from "./schema-limits.ts";
import type { StringShape } from "./shape.ts";
import { STRING_FORMATS } from "./string-formats.ts";

/** Longer bounds than this are held as this one. */
export const MAX_COUNTED_CHARS = 4_096;

/** Throws SchemaError. */
export function stringShape(schema: Json, path: string, unheld: "refuse" | "ignore"): StringShape {
  const min = lengthOf(schema, "minLength", path) ?? 0;
  const max = lengthOf(schema, "maxLength", path);
  const regex = regexOf(schema, path, unheld);
  if (min > MAX_COUNTED_CHARS) {
    throw new SchemaError(key(path, "minLength"), `at most ${MAX_COUNTED_CHARS} can be held`);
  }
  const most = max === undefined ? undefined : Math.min(max, MAX_COUNTED_CHARS);
  if (regex === undefined) return { kind: "string", min, max: most, regex };
  const held = withLengths(regex, min, most);
  if (held === undefined && unheld === "refuse") {
    throw new SchemaError(
      key(path, max === undefined ? "minLength" : "maxLength"),
      "a length cannot be held beside this pattern; say it in the pattern: ^[a-z]{2,8}$",
    );
  }
  return { kind: "string", min: 0, max: undefined, regex: held ?? regex };
}

/** The pattern, else what stands for the format: libraries write both for one thing. */
function regexOf(schema: Json, path: string, unheld: "refuse" | "ignore"): Regex | undefined {
  const { pattern, format } = schema;
  const known =
    typeof format === "string" && Object.hasOwn(STRING_FORMATS, format)
      ? STRING_FORMATS[format]
      : undefined;
  if (pattern === undefined) {
    return known === undefined ? undefined : wholeRegex(parseRegex(known), "whole");
  }
  const where = key(path, "pattern");
  if (Array.isArray(pattern) && unheld === "refuse" && known === undefined) {
    throw new SchemaError(where, "two patterns cannot be held together");
  }
  const text: unknown = Array.isArray(pattern) ? pattern[0] : pattern;
  if (typeof text !== "string") throw new SchemaError(where, "it must be a string");
  try {
    return wholeRegex(parseRegex(text), "search");
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    if (known !== undefined) return wholeRegex(parseRegex(known), "whole");
    throw new SchemaError(where, error.message);
  }
}

/** Undefined: the lengths say more than the expression. */
function withLengths(regex: Regex, min: number, max: number | undefined): Regex | undefined {
  const own = regexLengths(regex);
  if (own.min >= min && own.max <= (max ?? Number.POSITIVE_INFINITY)) return regex;
  // One set of characters, so many times: the counts meet.
  const only = regex.kind === "row" && regex.parts.length === 1 ? regex.parts[0]! : regex;
  if (only.kind !== "times" || only.of.kind !== "chars") return undefined;
  const least = Math.max(only.min, min);
  const most = Math.min(only.max ?? Number.POSITIVE_INFINITY, max ?? Number.POSITIVE_INFINITY);
  if (least > most) return { kind: "chars", set: [] };
  return { ...only, min: least, max: Number.isFinite(most) ? most : undefined };
}

function lengthOf(schema: Json, name: string, path: string): number | undefined {
  const value = schema[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new SchemaError(key(path, name), "it must be a whole number of at least 0");
}

const key = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);
