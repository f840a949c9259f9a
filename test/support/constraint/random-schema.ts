/** Random JSON schemas of what a grammar can hold. */
import fc from "fast-check";

type Json = { readonly [key: string]: unknown };

const NAMES = ["a", "b", "city", "list_of", "x-y", "Größe", "ab", 'q"uote', "some name"];
const PATTERNS = ["^[a-z]{2,5}$", "^(yes|no)+$", "[0-9]", "^[^x]*$", "^\\d+\\.\\d$", '^"[^"]*"$'];
const FORMATS = ["date", "date-time", "time", "email", "uuid", "ipv4", "ipv6", "uri", "hostname"];

const bounds = (least: number, most: number) =>
  fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: 0, max: most - least }));

const text: fc.Arbitrary<Json> = fc.oneof(
  fc.constant({ type: "string" }),
  bounds(0, 6).map(([min, more]) => ({ type: "string", minLength: min, maxLength: min + more })),
  fc.integer({ min: 0, max: 5 }).map((maxLength) => ({ type: "string", maxLength })),
  fc.constantFrom(...PATTERNS).map((pattern) => ({ type: "string", pattern })),
  fc.constantFrom(...FORMATS).map((format) => ({ type: "string", format })),
);

const decimal = fc
  .tuple(fc.integer({ min: -3000, max: 3000 }), fc.constantFrom(1, 4, 10, 1000))
  .map(([value, unit]) => value / unit);

const number: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>({ type: "number" }, { type: "integer" }),
  fc.integer({ min: 2, max: 60 }).map((multipleOf) => ({ type: "integer", multipleOf })),
  fc
    .tuple(fc.constantFrom("integer", "number"), decimal, fc.integer({ min: 1, max: 900 }))
    .map(([type, minimum, more]) => ({ type, minimum, maximum: minimum + more })),
  fc
    .tuple(fc.constantFrom("integer", "number"), decimal)
    .map(([type, exclusiveMinimum]) => ({ type, exclusiveMinimum })),
  fc
    .tuple(fc.constantFrom("integer", "number"), decimal, fc.integer({ min: 2, max: 9 }))
    .map(([type, low, more]) => ({ type, minimum: low, exclusiveMaximum: low + more })),
);

const values = fc.constantFrom<unknown>("red", "b l", 'q"', 1, -2.5, true, null, "<b>", "é");

const scalar: fc.Arbitrary<Json> = fc.oneof(
  text,
  number,
  fc.constantFrom<Json>({ type: "boolean" }, { type: "null" }, { type: ["string", "null"] }),
  fc.uniqueArray(values, { minLength: 1, maxLength: 4 }).map((listed) => ({ enum: listed })),
  values.map((value) => ({ const: value })),
);

const { schema } = fc.letrec<{ schema: Json; list: Json; object: Json; either: Json }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthIdentifier: "schema" },
    scalar,
    tie("object"),
    tie("list"),
    tie("either"),
  ),
  list: fc.oneof(
    fc.tuple(tie("schema"), bounds(0, 3)).map(([items, [min, more]]) => ({
      type: "array",
      items,
      minItems: min,
      maxItems: min + more,
    })),
    tie("schema").map((items) => ({ type: "array", items })),
    fc
      .tuple(tie("schema"), scalar, scalar)
      .map(([first, second, items]) => ({ type: "array", prefixItems: [first, second], items })),
  ),
  object: fc
    .tuple(
      fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 }),
      fc.array(tie("schema"), { minLength: 4, maxLength: 4 }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      fc.option(fc.oneof(fc.boolean(), scalar), { nil: undefined }),
    )
    .map(([names, schemas, required, additionalProperties]) => ({
      type: "object",
      properties: Object.fromEntries(names.map((name, i) => [name, schemas[i]])),
      required: names.filter((_, i) => required[i]),
      ...(additionalProperties === undefined ? {} : { additionalProperties }),
    })),
  either: fc.tuple(tie("schema"), tie("schema")).map(([left, right]) => ({ anyOf: [left, right] })),
}));

export const anySchema: fc.Arbitrary<Json> = schema;

/** Parameters of a function. */
export const anyParameters: fc.Arbitrary<Json> = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom("city", "n", "tags", "deep_one", "unit"), { maxLength: 4 }),
    fc.array(schema, { minLength: 4, maxLength: 4 }),
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  )
  .map(([names, schemas, required]) => ({
    type: "object",
    properties: Object.fromEntries(names.map((name, i) => [name, schemas[i]])),
    required: names.filter((_, i) => required[i]),
    additionalProperties: false,
  }));
