/** Shapes that no value fits, taken out: what contradicts itself, and what never ends. */
import type { ListShape, ObjectShape, Shape, ShapeTable } from "./shape.ts";

/** The table without them; undefined: nothing fits the root. */
export function endingShapes({ root, named }: ShapeTable): ShapeTable | undefined {
  const ends = new Set<string>();
  for (let grew = true; grew; ) {
    grew = false;
    for (const [name, shape] of named) {
      if (ends.has(name) || !canEnd(shape, ends)) continue;
      ends.add(name);
      grew = true;
    }
  }
  const pruned = prune(root, ends);
  if (pruned === undefined) return undefined;
  const kept = new Map<string, Shape>();
  for (const name of ends) kept.set(name, prune(named.get(name)!, ends)!);
  return { root: pruned, named: kept };
}

function canEnd(shape: Shape, ends: ReadonlySet<string>): boolean {
  switch (shape.kind) {
    case "or":
      return shape.shapes.some((each) => canEnd(each, ends));
    case "ref":
      return ends.has(shape.name);
    case "list":
      return listCanEnd(shape, ends);
    case "object":
      return objectCanEnd(shape, ends);
    case "string":
      return shape.max === undefined || shape.min <= shape.max;
    default:
      return true;
  }
}

function listCanEnd({ first, items, min, max }: ListShape, ends: ReadonlySet<string>): boolean {
  if (max !== undefined && min > max) return false;
  if (!first.slice(0, min).every((each) => canEnd(each, ends))) return false;
  return min <= first.length || (items !== undefined && canEnd(items, ends));
}

function objectCanEnd(shape: ObjectShape, ends: ReadonlySet<string>): boolean {
  const { properties, others, min, max } = shape;
  if (max !== undefined && min > max) return false;
  const some = others.some((other) => canEnd(other.name, ends) && canEnd(other.shape, ends));
  if (min > 0 && properties.length === 0 && !some) return false;
  return properties.every((each) => !each.required || canEnd(each.shape, ends));
}

/** Undefined: no value fits it. */
function prune(shape: Shape, ends: ReadonlySet<string>): Shape | undefined {
  if (!canEnd(shape, ends)) return undefined;
  switch (shape.kind) {
    case "or":
      return { kind: "or", shapes: shape.shapes.flatMap((each) => prune(each, ends) ?? []) };
    case "list": {
      const first: Shape[] = [];
      for (const each of shape.first) {
        const kept = prune(each, ends);
        if (kept === undefined) return { ...shape, first, items: undefined };
        first.push(kept);
      }
      const items = shape.items === undefined ? undefined : prune(shape.items, ends);
      return { ...shape, first, items };
    }
    case "object":
      return {
        ...shape,
        properties: shape.properties.flatMap((property) => {
          const kept = prune(property.shape, ends);
          return kept === undefined ? [] : { ...property, shape: kept };
        }),
        others: shape.others.flatMap((other) => {
          const kept = prune(other.shape, ends);
          return kept === undefined ? [] : { ...other, shape: kept };
        }),
      };
    default:
      return shape;
  }
}
