/** The types of JSON Schema: which a schema names or means, and its numbers. */
import type { Json } from "./merge-schemas.ts";
import { MOST_STEP } from "./multiple-rules.ts";
import { SchemaError } from "./schema-limits.ts";
import type { NumberShape } from "./shape.ts";

const TYPES = ["string", "number", "integer", "boolean", "null", "array", "object"];

export const at = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

/** Undefined: the schema does not say. Throws SchemaError. */
export function typesOf(type: unknown, path: string): readonly string[] | undefined {
  if (type === undefined) return undefined;
  const types: unknown[] = Array.isArray(type) ? type : [type];
  const unknown = types.find((each) => typeof each !== "string" || !TYPES.includes(each));
  if (unknown !== undefined) {
    throw new SchemaError(
      at(path, "type"),
      `there is no type ${JSON.stringify(unknown)?.slice(0, 80)}; types are ${TYPES.join(", ")}`,
    );
  }
  const all = types as readonly string[];
  return all.includes("number") ? all.filter((each) => each !== "integer") : all;
}

/** A schema without a type is mostly meant for the type that its keywords speak of. */
export function impliedTypes(schema: Json): readonly string[] {
  const has = (...keys: string[]) => keys.some((key) => schema[key] !== undefined);
  if (has("properties", "required", "additionalProperties", "patternProperties", "propertyNames")) {
    return ["object"];
  }
  if (has("items", "prefixItems", "minItems", "maxItems")) return ["array"];
  if (has("pattern", "format", "minLength", "maxLength")) return ["string"];
  if (has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")) return ["number"];
  return TYPES.filter((type) => type !== "integer");
}

/** Whether the value is of one of the types. */
export function fitsType(value: unknown, types: readonly string[] | undefined): boolean {
  if (types === undefined) return true;
  if (value === null) return types.includes("null");
  if (Array.isArray(value)) return types.includes("array");
  if (Number.isInteger(value) && types.includes("integer")) return true;
  return types.includes(typeof value);
}

export function numberShape(schema: Json, path: string, whole: boolean): NumberShape {
  const bound = (key: string) => numberOf(schema, key, path);
  // Before draft 6 the exclusive bounds were flags.
  const flag = (key: string) => schema[key] === true;
  const min = bound("minimum");
  const max = bound("maximum");
  const step = isStep(schema["multipleOf"]) ? schema["multipleOf"] : undefined;
  return {
    kind: "number",
    whole: whole || step !== undefined,
    step: step === 1 ? undefined : step,
    min: flag("exclusiveMinimum") ? undefined : min,
    max: flag("exclusiveMaximum") ? undefined : max,
    above: flag("exclusiveMinimum") ? min : bound("exclusiveMinimum"),
    below: flag("exclusiveMaximum") ? max : bound("exclusiveMaximum"),
  };
}

/** What `multipleOf` can be held. */
export const isStep = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_STEP;

export function numberOf(schema: Json, key: string, path: string): number | undefined {
  const value = schema[key];
  if (value === undefined || typeof value === "boolean") return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new SchemaError(at(path, key), "it must be a number");
}
