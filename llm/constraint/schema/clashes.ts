/** Which alternatives of a value may be written alike for a while, before they differ. */
import type { ObjectShape, Shape, ShapeTable } from "./shape.ts";

/** True: what is written so far may be of two of the shapes, also within a string. */
export function clash(shapes: readonly Shape[], table: ShapeTable): boolean {
  const seen = new Map<string, (ObjectShape | undefined)[]>();
  for (const shape of shapes) {
    const begins = beginnings(shape, table, new Set());
    const object = shape.kind === "object" ? shape : undefined;
    for (const begin of begins) {
      const others = seen.get(begin) ?? [];
      if (others.some((other) => !differSoon(other, object))) return true;
      others.push(object);
      seen.set(begin, others);
    }
  }
  return false;
}

const ANY = ["string", "object", "list", "number", "true", "false", "null"];

/** Kinds of values, each of which begins in its own way. */
function beginnings(shape: Shape, table: ShapeTable, seen: Set<string>): readonly string[] {
  switch (shape.kind) {
    case "any":
      return ANY;
    case "boolean":
      return ["true", "false"];
    case "value":
      return [kindOf(shape.value)];
    case "or":
      return [...new Set(shape.shapes.flatMap((each) => beginnings(each, table, seen)))];
    case "ref": {
      if (seen.has(shape.name)) return [];
      seen.add(shape.name);
      const target = table.named.get(shape.name);
      return target === undefined ? [] : beginnings(target, table, seen);
    }
    default:
      return [shape.kind];
  }
}

function kindOf(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "list";
  return typeof value;
}

/** By the name of their first member, or its value where that is one of a few. */
function differSoon(a: ObjectShape | undefined, b: ObjectShape | undefined): boolean {
  const [one, two] = [a?.properties[0], b?.properties[0]];
  if (one?.required !== true || two?.required !== true) return false;
  if (one.name !== two.name) return true;
  const [ones, twos] = [valuesOf(one.shape), valuesOf(two.shape)];
  return ones !== undefined && twos !== undefined && !ones.some((each) => twos.includes(each));
}

/** As JSON; undefined: not just these. */
function valuesOf(shape: Shape): readonly string[] | undefined {
  if (shape.kind === "value") return [JSON.stringify(shape.value)];
  if (shape.kind !== "or") return undefined;
  const values = shape.shapes.map(valuesOf);
  return values.includes(undefined) ? undefined : values.flatMap((each) => each ?? []);
}
