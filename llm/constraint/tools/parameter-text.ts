/**
 * One parameter as text between tags, for families that do not write what a value is: the parser
 * reads the type out of the schema, so a text must be read as what the schema allows.
 */
import {
  BOOLEAN,
  jsonOfText,
  LIST,
  NULL,
  NUMBER,
  OBJECT,
  STRING,
  type Types,
} from "../../parsers/scan/schema-types.ts";
import {
  ALL_CHARS,
  type CharSet,
  charSet,
  charsOf,
  intersection,
  without,
} from "../schema/char-set.ts";
import { clash } from "../schema/clashes.ts";
import { regexRules } from "../schema/regex-rules.ts";
import {
  type Expression,
  either,
  literal,
  oneOf,
  type RuleBook,
  row,
  times,
} from "../schema/rules.ts";
import type { Shape, ShapeTable, StringShape } from "../schema/shape.ts";
import { textUntil } from "../values/text-rules.ts";
import { ValueRules } from "../values/value-rules.ts";
import { jsonStyle } from "../values/value-style.ts";

export type TextFrame = {
  /** Ends the value. */
  readonly mark: string;
  /** Stands before and behind a value and is no part of it. */
  readonly line: string;
  /** White space around a string is no part of it either. */
  readonly trims: boolean;
  /** How the parser reads a value of which the schema says nothing. */
  readonly unknown: "json" | "string";
};

const SPACES = charsOf(" \t\n\r\v\f");
const LINE_SPACES = charsOf("\t\n\r\v\f");
/** Letters: texts that begin with one are no number, list or object. */
const LETTERS = charSet([65, 90], [97, 122]);

export class ParameterText {
  readonly #frame: TextFrame;
  readonly #book: RuleBook;
  readonly #table: ShapeTable;
  readonly #json: ValueRules;
  /** For values that may be of several shapes at a time: see ValueRules. */
  readonly #json_alike: ValueRules;
  readonly #plain: CharSet;
  #free: Expression | undefined;

  constructor(book: RuleBook, table: ShapeTable, frame: TextFrame) {
    this.#book = book;
    this.#frame = frame;
    this.#table = table;
    this.#json = new ValueRules(book, table, jsonStyle(frame.mark));
    this.#json_alike = new ValueRules(book, table, jsonStyle(frame.mark), true);
    this.#plain = without(ALL_CHARS, charsOf([...frame.mark][0]!));
  }

  /** The value and its mark; undefined: no text is read as a value of the shape. */
  value(shape: Shape): Expression | undefined {
    const shapes = this.alternatives(shape);
    if (shapes.some(({ kind }) => kind === "any")) return this.freeText();
    const types = shapes.reduce((all, each) => all | typesOfShape(each), 0);
    const alike = clash(shapes, this.#table);
    const choices = shapes.flatMap((each) => this.#alternative(each, types, alike) ?? []);
    return choices.length === 0 ? undefined : this.#book.rule(either(choices));
  }

  /** Any text, and the mark. */
  freeText(): Expression {
    this.#free ??= textUntil(this.#frame.mark, this.#book);
    return row(literal(this.#frame.line), this.#free);
  }

  /** Strings alone, whatever they look like, and the mark. */
  strings(shapes: readonly Shape[]): Expression | undefined {
    const choices = shapes.flatMap((each) => this.#alternative(each, STRING, true) ?? []);
    return choices.length === 0 ? undefined : this.#book.rule(either(choices));
  }

  /** A value as JSON, and the mark. */
  json(shape: Shape, alike = true): Expression | undefined {
    const value = (alike ? this.#json_alike : this.#json).value(shape);
    return value === undefined ? undefined : this.#framed(value);
  }

  /** Without references and without alternatives in alternatives. */
  alternatives(shape: Shape, seen: ReadonlySet<string> = new Set()): readonly Shape[] {
    if (shape.kind === "or") return shape.shapes.flatMap((each) => this.alternatives(each, seen));
    if (shape.kind !== "ref") return [shape];
    const target = this.#table.named.get(shape.name);
    if (target === undefined || seen.has(shape.name)) return [];
    return this.alternatives(target, new Set([...seen, shape.name]));
  }

  #framed(value: Expression): Expression {
    const { line, mark } = this.#frame;
    return row(literal(line), value, literal(`${line}${mark}`));
  }

  #alternative(shape: Shape, types: Types, alike: boolean): Expression | undefined {
    if (shape.kind === "string") return this.#string(shape, types);
    if (shape.kind !== "value" || typeof shape.value !== "string") return this.json(shape, alike);
    const { value } = shape;
    const { mark, trims, unknown } = this.#frame;
    if (value.includes(mark) || (trims && value !== value.trim())) return undefined;
    if (types !== STRING && jsonOfText(value, types, unknown) !== JSON.stringify(value)) {
      return undefined;
    }
    return this.#framed(literal(value));
  }

  #string(shape: StringShape, types: Types): Expression | undefined {
    const { line } = this.#frame;
    const { min, max, regex } = shape;
    const isPlain = regex === undefined && min === 0 && max === undefined;
    if (types !== STRING) {
      // What begins with a letter is read as a string, but for words of types that fit too.
      if (!isPlain)
        return (types & ~(STRING | NULL | BOOLEAN)) === 0 ? this.#bounded(shape) : undefined;
      this.#free ??= textUntil(this.#frame.mark, this.#book);
      return row(literal(line), oneOf(LETTERS)!, this.#free);
    }
    return isPlain ? this.freeText() : this.#bounded(shape);
  }

  #bounded({ min, max, regex }: StringShape): Expression | undefined {
    const write = (set: CharSet) => oneOf(intersection(set, this.#plain));
    const inner =
      regex === undefined
        ? this.#counted(min, max)
        : regexRules(regex, this.#frame.trims ? trimmed(write) : write, this.#book);
    return inner === undefined ? undefined : this.#framed(inner);
  }

  /** Where white space is cut off, it counts for nothing at the ends. */
  #counted(min: number, max: number | undefined): Expression {
    const any = oneOf(this.#plain)!;
    if (!this.#frame.trims) return times(any, min, max);
    const solid = oneOf(without(this.#plain, SPACES))!;
    const choices: Expression[] = [];
    if (min === 0) choices.push('""');
    if (min <= 1 && max !== 0) choices.push(solid);
    if (max === undefined || max >= 2) {
      const most = max === undefined ? undefined : max - 2;
      choices.push(row(solid, times(any, Math.max(0, min - 2), most), solid));
    }
    return either(choices);
  }
}

/** Blank space at the ends of what a pattern draws is cut off, so it draws as little as may be. */
const trimmed =
  (write: (set: CharSet) => Expression | undefined) =>
  (set: CharSet): Expression | undefined =>
    write(without(set, LINE_SPACES));

export function typesOfShape(shape: Shape): Types {
  switch (shape.kind) {
    case "string":
      return STRING;
    case "number":
      return NUMBER;
    case "boolean":
      return BOOLEAN;
    case "null":
      return NULL;
    case "list":
      return LIST;
    case "object":
      return OBJECT;
    case "value":
      return typesOfValue(shape.value);
    default:
      return 0;
  }
}

function typesOfValue(value: unknown): Types {
  if (value === null) return NULL;
  if (Array.isArray(value)) return LIST;
  const type = typeof value;
  if (type === "string") return STRING;
  if (type === "number") return NUMBER;
  return type === "boolean" ? BOOLEAN : OBJECT;
}
