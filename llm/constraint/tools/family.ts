/** What a family of models writes when it calls functions, as a grammar: the form of one family. */
import { readSchema } from "../schema/read-schema.ts";
import { type Expression, literal, type RuleBook, row, times } from "../schema/rules.ts";
import { SchemaError } from "../schema/schema-limits.ts";
import type { ObjectShape, Shape, ShapeTable } from "../schema/shape.ts";
import { ValueRules } from "../values/value-rules.ts";
import type { ValueStyle } from "../values/value-style.ts";

/** A function of the request. */
export type Tool = {
  readonly name: string;
  /** Undefined: it takes none. */
  readonly parameters: unknown;
  /** Keywords of the schema that no grammar holds are refused, else they are ignored. */
  readonly strict: boolean;
};

/** Tools, their schemas read, and where the rules go. */
export type Calls = {
  readonly book: RuleBook;
  readonly tools: readonly ReadTool[];
  /** Several calls may follow each other. */
  readonly many: boolean;
};

export type ReadTool = { readonly name: string; readonly table: ShapeTable };

export type ToolFamily = {
  /** All calls of an answer, which has nothing but them. */
  all(calls: Calls): Expression;
  /**
   * Free text with calls in it: what has to follow each opener. Undefined: an opener is as well
   * text, so that nothing can be held before the call is whole.
   */
  readonly behind?: (calls: Calls) => readonly (readonly [string, Expression])[];
  /** How an answer begins that is one call from its first character on, where it may be one. */
  readonly first?: string;
};

/** A function that this family cannot write a call of. */
export class ToolSchemaError extends Error {
  override readonly name = "ToolSchemaError";
  /** The number of the tool, and where in its parameters. */
  readonly tool: number;
  readonly path: string;

  constructor(tool: number, path: string, what: string) {
    super(what);
    this.tool = tool;
    this.path = path;
  }
}

/** Throws ToolSchemaError. */
export function readTools(tools: readonly Tool[]): readonly ReadTool[] {
  return tools.map(({ name, parameters, strict }, i) => {
    try {
      const schema = parameters ?? { type: "object", properties: {} };
      const unheld = strict ? "refuse" : "ignore";
      return { name, table: readSchema(schema, { unheld, object: true }) };
    } catch (error) {
      if (error instanceof SchemaError) throw new ToolSchemaError(i, error.path, error.message);
      throw error;
    }
  });
}

/** Each tool's arguments as a value in this style, put into a call. Throws ToolSchemaError. */
export function callsWith(
  { book, tools }: Calls,
  style: ValueStyle,
  call: (name: string, given: Expression) => Expression,
): readonly Expression[] {
  return tools.map(({ name, table }, i) => {
    const given = new ValueRules(book, table, style).value(table.root);
    if (given === undefined) throw unwritable(i);
    return call(name, book.rule(given));
  });
}

export const unwritable = (tool: number, path = ""): ToolSchemaError =>
  new ToolSchemaError(
    tool,
    path,
    "the format in which this model writes calls cannot hold it (a name or a value of it)",
  );

/** One of these, or several with a text in between. */
export function repeated(one: Expression, between: string, many: boolean): Expression {
  if (!many) return one;
  const more = row(between === "" ? '""' : literal(between), one);
  return row(one, times(`(${more})`, 0, undefined));
}

/** Objects that the root allows, one a branch; undefined: it is no object. */
export function objectsOf({ root, named }: ShapeTable): readonly ObjectShape[] | undefined {
  const objects: ObjectShape[] = [];
  const seen = new Set<string>();
  const visit = (shape: Shape): boolean => {
    if (shape.kind === "object") objects.push(shape);
    else if (shape.kind === "or") return shape.shapes.every(visit);
    else if (shape.kind === "ref" && !seen.has(shape.name)) {
      seen.add(shape.name);
      const target = named.get(shape.name);
      return target !== undefined && visit(target);
    } else return shape.kind === "ref";
    return true;
  };
  return visit(root) ? objects : undefined;
}
