/** Several schemas that hold at once, as one: `allOf`, and what stands beside a reference. */

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The larger of two bounds, the smaller one, … by keyword. */
const HIGHEST = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const LOWEST = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/** Schemas that both hold. */
const BOTH = ["items", "additionalProperties", "propertyNames"];

/** A schema that nothing fits. */
export const NEVER: Json = { enum: [] };

/** Branches that a list of both would have, each with each; 1: at least one has none. */
export function branchesOfBoth(a: Json, b: Json, key: "anyOf" | "oneOf"): number {
  const left = a[key];
  const right = b[key];
  return Array.isArray(left) && Array.isArray(right) ? left.length * right.length : 1;
}

/** What merging a schema costs: its keywords, names and listed values. */
export function weightOf(schema: Json): number {
  let weight = 1;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "enum") weight += sizeOf(value);
    else if (Array.isArray(value)) weight += 1 + value.length;
    else weight += 1 + (isObject(value) ? Object.keys(value).length : 0);
  }
  return weight;
}

/** Values in a value, itself too. */
function sizeOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce<number>((size, inner) => size + sizeOf(inner), 1);
}

/** Both schemas are objects without references and without `allOf`. */
export function mergeTwo(a: Json, b: Json): Json {
  const merged: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const own = merged[key];
    if (key === "properties" || key === "patternProperties" || own === undefined) continue;
    merged[key] = mergedKeyword(key, own, value);
  }
  for (const [key, value] of Object.entries(b)) merged[key] ??= value;
  const properties = mergedProperties(a, b);
  if (properties !== undefined) merged["properties"] = properties;
  if (isObject(a["patternProperties"]) && isObject(b["patternProperties"])) {
    merged["patternProperties"] = { ...a["patternProperties"], ...b["patternProperties"] };
  }
  return merged;
}

function mergedKeyword(key: string, own: unknown, value: unknown): unknown {
  if (key === "type") return commonTypes(own, value);
  if (key === "enum" && Array.isArray(own) && Array.isArray(value)) {
    return commonValues(own, value);
  }
  if (key === "required" && Array.isArray(own) && Array.isArray(value)) {
    return [...new Set([...own, ...value])];
  }
  if (HIGHEST.includes(key)) return Math.max(Number(own), Number(value));
  if (LOWEST.includes(key)) return Math.min(Number(own), Number(value));
  if (BOTH.includes(key)) {
    if (own === false || value === false) return false;
    return own === true ? value : value === true ? own : { allOf: [own, value] };
  }
  if (key === "pattern" && own !== value) return [own, value].flat();
  if ((key === "anyOf" || key === "oneOf") && Array.isArray(own) && Array.isArray(value)) {
    return own.flatMap((left) => value.map((right) => ({ allOf: [left, right] })));
  }
  if (key === "uniqueItems") return own === true || value === true;
  if (key === "multipleOf" && isCount(own) && isCount(value)) return commonMultiple(own, value);
  return own;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0;

function commonMultiple(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}

/** Only lists and objects are compared as texts, which costs most. */
function commonValues(own: readonly unknown[], value: readonly unknown[]): readonly unknown[] {
  const isPlain = (item: unknown) => typeof item !== "object" || item === null;
  const plain = new Set(value.filter(isPlain));
  const texts = new Set(value.filter((item) => !isPlain(item)).map((item) => JSON.stringify(item)));
  return own.filter((item) => (isPlain(item) ? plain.has(item) : texts.has(JSON.stringify(item))));
}

function commonTypes(own: unknown, value: unknown): unknown {
  const left: unknown[] = Array.isArray(own) ? own : [own];
  const right: unknown[] = Array.isArray(value) ? value : [value];
  const common = left.filter(
    (type) => right.includes(type) || (type === "integer" && right.includes("number")),
  );
  if (left.includes("number") && right.includes("integer") && !common.includes("integer")) {
    common.push("integer");
  }
  return common;
}

/** A side that is closed takes no names of the other one. */
function mergedProperties(a: Json, b: Json): Json | undefined {
  const left = isObject(a["properties"]) ? a["properties"] : undefined;
  const right = isObject(b["properties"]) ? b["properties"] : undefined;
  if (left === undefined && right === undefined) return undefined;
  const merged: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(left ?? {}), ...Object.keys(right ?? {})])) {
    const inLeft = left !== undefined && Object.hasOwn(left, name);
    const inRight = right !== undefined && Object.hasOwn(right, name);
    if (inLeft && inRight) merged[name] = { allOf: [left[name], right[name]] };
    else if (inLeft && (b["additionalProperties"] ?? true) !== false) merged[name] = left[name];
    else if (inRight && (a["additionalProperties"] ?? true) !== false) merged[name] = right![name];
  }
  return merged;
}
