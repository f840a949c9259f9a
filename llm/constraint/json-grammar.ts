/** A JSON schema as a grammar of its JSON texts. */
import { readSchema, type SchemaOptions } from "./schema/read-schema.ts";
import { type Expression, type RuleBook, RuleBook as Rules } from "./schema/rules.ts";
import { SchemaError } from "./schema/schema-limits.ts";
import { ValueRules } from "./values/value-rules.ts";
import { jsonStyle } from "./values/value-style.ts";

export type JsonGrammarOptions = SchemaOptions & {
  /** Other forms may stand in the same place: see `ValueRules`. */
  readonly unrolled?: boolean | undefined;
};

/** EBNF whose root is the value. Throws SchemaError or GrammarSizeError. */
export function jsonGrammar(schema: unknown, options: JsonGrammarOptions): string {
  const book = new Rules();
  return book.text(jsonRules(schema, options, book));
}

/** The same as an expression. */
export function jsonRules(
  schema: unknown,
  options: JsonGrammarOptions,
  book: RuleBook,
): Expression {
  const table = readSchema(schema, options);
  const rules = new ValueRules(book, table, jsonStyle(), options.unrolled);
  const value = rules.value(table.root);
  if (value === undefined) throw new SchemaError("", "no value fits it");
  return value;
}
