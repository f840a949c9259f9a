/** How large a schema may be, checked before anything else looks at it. */
import { isObject } from "./merge-schemas.ts";

/** What is wrong with a schema; `path` is where in it: `properties.city.pattern`, "" for all of it. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
  readonly path: string;

  constructor(path: string, what: string) {
    super(what);
    this.path = path;
  }
}

export const schemaLimits = {
  /** Characters of names and texts, and one for each other value. */
  chars: 131_072,
  /** Levels of objects and lists. */
  depth: 48,
  /** Values of one `enum`. */
  enum_values: 2_000,
  /** Schemas within it, references followed once and merged ones counted each. */
  schemas: 2_000,
} as const;

/** Stops at the first limit that is reached, so a large schema costs no more. */
export function checkSchemaSize(schema: unknown): void {
  new Measure().value(schema, "", 0);
}

class Measure {
  #chars = 0;

  value(value: unknown, path: string, depth: number): void {
    this.#add(typeof value === "string" ? value.length + 1 : 1);
    if (typeof value !== "object" || value === null) return;
    if (depth >= schemaLimits.depth) {
      throw new SchemaError(path, `it is nested deeper than ${schemaLimits.depth} levels`);
    }
    if (Array.isArray(value)) {
      for (const item of value) this.value(item, path, depth + 1);
      return;
    }
    for (const [key, inner] of Object.entries(value)) {
      this.#add(key.length + 1);
      const where = path === "" ? key : `${path}.${key}`;
      if (key === "enum" && Array.isArray(inner) && inner.length > schemaLimits.enum_values) {
        throw new SchemaError(
          where,
          `it has ${inner.length} values; at most ${schemaLimits.enum_values} are taken`,
        );
      }
      this.value(inner, where, depth + 1);
    }
  }

  #add(chars: number): void {
    this.#chars += chars;
    if (this.#chars <= schemaLimits.chars) return;
    throw new SchemaError("", `it has more than ${schemaLimits.chars} characters`);
  }
}

/** What a local reference (`#/$defs/x`) points to; undefined: nothing. */
export function referenced(root: unknown, reference: string): unknown {
  if (reference === "#") return root;
  if (!reference.startsWith("#/")) return undefined;
  let at: unknown = root;
  for (const part of reference.slice(2).split("/")) {
    const key = decoded(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
    else return undefined;
  }
  return at;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
