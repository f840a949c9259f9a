/**
 * JSON Schema (2020-12, as far as a grammar can hold it) → shapes. Where a grammar cannot say all
 * that a schema says, the shape is narrower, never wider; keywords that would make it wider are
 * refused or ignored, as is asked for.
 */

import { endingShapes } from "./ending-shapes.ts";
import {
  at,
  fitsType,
  impliedTypes,
  isStep,
  numberOf,
  numberShape,
  typesOf,
} from "./json-types.ts";
import { branchesOfBoth, isObject, type Json, mergeTwo, weightOf } from "./merge-schemas.ts";
import { checkSchemaSize, referenced, SchemaError, schemaLimits } from "./schema-limits.ts";
import {
  ANY_SHAPE,
  type ListShape,
  type ObjectShape,
  type Property,
  type Shape,
  type ShapeTable,
} from "./shape.ts";
import { stringShape } from "./string-shape.ts";

/** What happens to keywords that no grammar holds (`uniqueItems`, `not`, …). */
export type Unheld = "refuse" | "ignore";

/** Say what a grammar cannot hold; each with the values that say nothing, or what can be held. */
const NOT_HELD: Readonly<Record<string, (value: unknown) => boolean>> = {
  not: () => false,
  if: () => false,
  contains: () => false,
  uniqueItems: (value) => value !== true,
  multipleOf: isStep,
  dependentRequired: (value) => isObject(value) && Object.keys(value).length === 0,
  dependentSchemas: (value) => isObject(value) && Object.keys(value).length === 0,
  dependencies: (value) => isObject(value) && Object.keys(value).length === 0,
};

/** Keywords that say something of a value, beside those that hold other schemas. */
const SAYS = [
  ...["type", "enum", "const", "nullable", "pattern", "format", "minLength", "maxLength"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "items", "prefixItems"],
  ...["minItems", "maxItems", "properties", "required", "additionalProperties"],
  ...["patternProperties", "propertyNames", "minProperties", "maxProperties", "anyOf", "oneOf"],
  ...Object.keys(NOT_HELD),
];

/** Branches of `anyOf` beside others, multiplied out. */
const MAX_BRANCHES = 256;
const MAX_DEPTH = 96;
/** Keywords, names and values that are merged: a schema that all branches share counts in each. */
const MAX_MERGED = 200_000;

export type SchemaOptions = {
  readonly unheld: Unheld;
  /** The value is an object, whatever the schema says. */
  readonly object?: boolean | undefined;
};

/** Throws SchemaError. */
export function readSchema(schema: unknown, { unheld, object }: SchemaOptions): ShapeTable {
  checkSchemaSize(schema);
  const reader = new SchemaReader(schema, unheld);
  const root = object === true ? reader.objectShape(schema) : reader.shape(schema, "", 0);
  const table = { root, named: reader.named };
  const ending = endingShapes(table);
  if (ending !== undefined) return ending;
  throw new SchemaError("", "no value fits it: it contradicts itself, or never ends");
}

function referenceIn(schema: Json, path: string): string | undefined {
  const { $ref: reference } = schema;
  if (reference === undefined || typeof reference === "string") return reference;
  throw new SchemaError(at(path, "$ref"), "it must be a string (#/$defs/NAME)");
}

/** What `required` names. */
function namesOf(schema: Json, path: string): readonly string[] {
  const { required } = schema;
  if (required === undefined || required === null) return [];
  const isNames = (names: unknown): names is string[] =>
    Array.isArray(names) && names.every((name) => typeof name === "string");
  if (isNames(required)) return required;
  throw new SchemaError(at(path, "required"), "it must be a list of names");
}

const tooManyBranches = (path: string, branches: number) =>
  new SchemaError(path, `it has ${branches} branches; at most ${MAX_BRANCHES} are taken`);

class SchemaReader {
  readonly named = new Map<string, Shape>();
  readonly #root: unknown;
  readonly #unheld: Unheld;
  /** References that are being read. */
  readonly #reading = new Set<string>();
  /** Those of them that no object or list lies behind. */
  #unit: readonly string[] = [];
  #schemas = 0;
  #merged = 0;

  constructor(root: unknown, unheld: Unheld) {
    this.#root = root;
    this.#unheld = unheld;
  }

  /** The same, of objects alone. */
  objectShape(schema: unknown): Shape {
    try {
      return this.shape({ allOf: [schema, { type: "object" }] }, "", 0);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      throw new SchemaError(error.path.replace(/^allOf\[0\]\.?/, ""), error.message);
    }
  }

  shape(schema: unknown, path: string, depth: number): Shape {
    this.#schemas++;
    if (this.#schemas > schemaLimits.schemas || depth > MAX_DEPTH) {
      throw new SchemaError("", `it has more than ${schemaLimits.schemas} schemas within it`);
    }
    if (schema === true) return ANY_SHAPE;
    if (schema === false) return { kind: "or", shapes: [] };
    if (!isObject(schema)) throw new SchemaError(path, "a schema is an object, true or false");
    const reference = referenceIn(schema, path);
    const alone = !SAYS.some((key) => schema[key] !== undefined) && schema["allOf"] === undefined;
    if (reference !== undefined && alone) return this.#reference(reference, path, depth);
    const flat = this.#flat(schema, path, []);
    if (!SAYS.some((key) => flat[key] !== undefined)) return ANY_SHAPE;
    return this.#flatShape(flat, path, depth);
  }

  #reference(reference: string, path: string, depth: number): Shape {
    if (this.#unit.includes(reference)) {
      throw new SchemaError(
        at(path, "$ref"),
        `'${reference}' refers to itself and to nothing else`,
      );
    }
    if (!this.named.has(reference) && !this.#reading.has(reference)) {
      const target = this.#target(reference, path);
      const unit = this.#unit;
      this.#reading.add(reference);
      this.#unit = [...unit, reference];
      this.named.set(
        reference,
        this.shape(target, reference.slice(2).replaceAll("/", "."), depth + 1),
      );
      this.#unit = unit;
      this.#reading.delete(reference);
    }
    return { kind: "ref", name: reference };
  }

  #target(reference: string, path: string): unknown {
    const target = referenced(this.#root, reference);
    if (target !== undefined) return target;
    throw new SchemaError(
      at(path, "$ref"),
      `'${reference}' leads to nothing. References point into the schema itself (#/$defs/NAME)`,
    );
  }

  /** `allOf` and references that have something beside them, merged. */
  #flat(schema: Json, path: string, through: readonly string[]): Json {
    const { $ref: _, allOf: all, ...own } = schema;
    const reference = referenceIn(schema, path);
    let flat: Json = own;
    const parts: (readonly [unknown, string, readonly string[]])[] = [];
    if (reference !== undefined) {
      if (through.includes(reference)) {
        throw new SchemaError(at(path, "$ref"), `'${reference}' holds itself by 'allOf'`);
      }
      parts.push([this.#target(reference, path), path, [...through, reference]]);
    }
    if (Array.isArray(all)) {
      all.forEach((part, i) => {
        parts.push([part, at(path, `allOf[${i}]`), through]);
      });
    } else if (all !== undefined) throw new SchemaError(at(path, "allOf"), "it must be a list");
    for (const [part, where, seen] of parts) {
      this.#schemas++;
      if (part === false) flat = { enum: [] };
      else if (isObject(part)) flat = this.#both(flat, this.#flat(part, where, seen), where);
      else if (part !== true) throw new SchemaError(where, "a schema is an object, true or false");
      if (this.#schemas <= schemaLimits.schemas) continue;
      throw new SchemaError("", `it has more than ${schemaLimits.schemas} schemas within it`);
    }
    return flat;
  }

  /** The limits come first: two lists of branches would be multiplied out. */
  #both(a: Json, b: Json, path: string): Json {
    for (const key of ["anyOf", "oneOf"] as const) {
      const branches = branchesOfBoth(a, b, key);
      if (branches > MAX_BRANCHES) throw tooManyBranches(at(path, key), branches);
    }
    this.#merged += weightOf(a) + weightOf(b);
    if (this.#merged > MAX_MERGED) {
      const what =
        "what its branches share makes it too large. Ask for fewer branches, or for less";
      throw new SchemaError("", what);
    }
    return mergeTwo(a, b);
  }

  #flatShape(flat: Json, path: string, depth: number): Shape {
    const { anyOf, oneOf, ...base } = flat;
    for (const [key, branches] of [
      ["anyOf", anyOf],
      ["oneOf", oneOf],
    ] as const) {
      if (branches === undefined) continue;
      if (!Array.isArray(branches) || branches.length === 0) {
        throw new SchemaError(at(path, key), "it must be a list that is not empty");
      }
      if (branches.length > MAX_BRANCHES) throw tooManyBranches(at(path, key), branches.length);
      const rest = key === "anyOf" && oneOf !== undefined ? { ...base, oneOf } : base;
      const alone = !SAYS.some((word) => rest[word as keyof typeof rest] !== undefined);
      const shapes = branches.map((branch: unknown, i) =>
        this.shape(alone ? branch : { allOf: [rest, branch] }, at(path, `${key}[${i}]`), depth + 1),
      );
      return { kind: "or", shapes };
    }
    this.#checkHeld(base, path);
    return this.#valueShape(base, path, depth);
  }

  #checkHeld(schema: Json, path: string): void {
    if (this.#unheld === "ignore") return;
    for (const [key, saysNothing] of Object.entries(NOT_HELD)) {
      if (schema[key] === undefined || saysNothing(schema[key])) continue;
      throw new SchemaError(at(path, key), `'${key}' cannot be held while an answer is made`);
    }
  }

  #valueShape(schema: Json, path: string, depth: number): Shape {
    const types = typesOf(schema["type"], path);
    const { enum: listed } = schema;
    const values =
      "const" in schema ? [schema["const"]] : Array.isArray(listed) ? listed : undefined;
    if (listed !== undefined && !Array.isArray(listed)) {
      throw new SchemaError(at(path, "enum"), "it must be a list");
    }
    const shapes: Shape[] = [];
    if (values !== undefined) {
      for (const value of values) if (fitsType(value, types)) shapes.push({ kind: "value", value });
    } else {
      const inner = this.#unit;
      this.#unit = [];
      for (const type of types ?? impliedTypes(schema)) {
        shapes.push(this.#typedShape(type, schema, path, depth));
      }
      this.#unit = inner;
    }
    if (schema["nullable"] === true && types !== undefined) shapes.push({ kind: "null" });
    return shapes.length === 1 ? shapes[0]! : { kind: "or", shapes };
  }

  #typedShape(type: string, schema: Json, path: string, depth: number): Shape {
    switch (type) {
      case "string":
        return stringShape(schema, path, this.#unheld);
      case "number":
      case "integer":
        return numberShape(schema, path, type === "integer");
      case "array":
        return this.#list(schema, path, depth);
      case "object":
        return this.#object(schema, path, depth);
      case "boolean":
        return { kind: "boolean" };
      default:
        return { kind: "null" };
    }
  }

  #list(schema: Json, path: string, depth: number): ListShape {
    const { prefixItems, items, additionalItems } = schema;
    // Before 2020-12 a list of schemas stood in `items`.
    const before = Array.isArray(items);
    const listed: unknown[] = before ? items : Array.isArray(prefixItems) ? prefixItems : [];
    const rest = before ? additionalItems : items;
    const key = before ? "items" : "prefixItems";
    const first = listed.map((item, i) => this.shape(item, at(path, `${key}[${i}]`), depth + 1));
    const closed = rest === false || (rest === undefined && first.length > 0);
    const min = numberOf(schema, "minItems", path) ?? 0;
    return {
      kind: "list",
      first,
      items: closed ? undefined : this.shape(rest ?? true, at(path, "items"), depth + 1),
      min,
      max: numberOf(schema, "maxItems", path),
    };
  }

  #object(schema: Json, path: string, depth: number): ObjectShape {
    const required = new Set(namesOf(schema, path));
    const given = schema["properties"];
    if (given !== undefined && !isObject(given)) {
      throw new SchemaError(at(path, "properties"), "it must be an object");
    }
    const properties: Property[] = Object.entries(given ?? {}).map(([name, inner]) => ({
      name,
      shape: this.shape(inner, at(path, `properties.${name}`), depth + 1),
      required: required.has(name),
    }));
    const { additionalProperties: rest } = schema;
    const others = this.#others(schema, properties, path, depth);
    const named = new Set(properties.map(({ name }) => name));
    for (const name of required) {
      if (named.has(name)) continue;
      if (rest === false) {
        throw new SchemaError(
          at(path, "required"),
          `it wants '${name}', which 'additionalProperties': false rules out`,
        );
      }
      const where = at(path, "additionalProperties");
      properties.push({ name, shape: this.shape(rest ?? true, where, depth + 1), required: true });
    }
    return {
      kind: "object",
      properties,
      others,
      ...this.#counts(schema, properties, others, path),
    };
  }

  /** Names beside the properties; none where there are properties and no word of others. */
  #others(
    schema: Json,
    properties: Property[],
    path: string,
    depth: number,
  ): ObjectShape["others"] {
    const { additionalProperties: rest, patternProperties: patterns, propertyNames } = schema;
    const names = Object.entries(isObject(patterns) ? patterns : {});
    if (names.length > 0) {
      return names.map(([pattern, inner]) => ({
        name: stringShape({ pattern }, at(path, "patternProperties"), this.#unheld),
        shape: this.shape(inner, at(path, `patternProperties.${pattern}`), depth + 1),
      }));
    }
    const closed = schema["unevaluatedProperties"] === false;
    const said = schema["properties"] !== undefined || closed;
    const open = rest === undefined ? !said : rest !== false;
    if (!open) return [];
    if (properties.length === 0 && rest === undefined && schema["required"] !== undefined) {
      const { required } = schema;
      if (Array.isArray(required) && required.length > 0) return [];
    }
    const where = at(path, "additionalProperties");
    const shape = this.shape(rest ?? true, where, depth + 1);
    const named = isObject(propertyNames) ? propertyNames : {};
    if (Array.isArray(named["enum"])) {
      const known = new Set(properties.map((each) => each.name));
      for (const name of named["enum"]) {
        if (typeof name !== "string" || known.has(name)) continue;
        properties.push({ name, shape, required: false });
      }
      return [];
    }
    return [{ name: stringShape(named, at(path, "propertyNames"), this.#unheld), shape }];
  }

  #counts(
    schema: Json,
    properties: readonly Property[],
    others: ObjectShape["others"],
    path: string,
  ): Pick<ObjectShape, "min" | "max"> {
    const min = numberOf(schema, "minProperties", path) ?? 0;
    const max = numberOf(schema, "maxProperties", path);
    if (properties.length === 0) return { min, max };
    const surely = properties.filter((property) => property.required).length;
    const held =
      min <= surely && (max === undefined || (others.length === 0 && properties.length <= max));
    if (held || this.#unheld === "ignore") return { min: 0, max: undefined };
    throw new SchemaError(
      at(path, min > surely ? "minProperties" : "maxProperties"),
      "a number of properties cannot be held beside 'properties'; make them required instead",
    );
  }
}
