/** MiniMax M3: every tag carries a mark, parameters are named by their tag, and values nest. */
import { LIST, OBJECT, type Types } from "../../parsers/scan/schema-types.ts";
import { type Expression, either, literal, maybe, row, times } from "../schema/rules.ts";
import type { Shape } from "../schema/shape.ts";
import { MAX_COUNTED_ITEMS } from "../values/value-rules.ts";
import type { Calls, ReadTool, ToolFamily } from "./family.ts";
import { ParameterText, typesOfShape } from "./parameter-text.ts";
import { parametersOf } from "./tag-families.ts";

const MARK = "]<]minimax[>[";
const OPEN = `${MARK}<tool_call>`;
const INVOKE = `${MARK}<invoke name=`;
const TAG_NAME = /^[a-zA-Z_][\w.-]*$/;

class NestedText {
  readonly #calls: Calls;
  readonly #text: ParameterText;
  readonly #known = new Map<string, string>();

  constructor(calls: Calls, { table }: ReadTool) {
    this.#calls = calls;
    this.#text = new ParameterText(calls.book, table, {
      ...{ mark: MARK, line: "", trims: false, unknown: "string" },
    });
  }

  /** `M<name>…M</name>`; a name that is no text is one of the schema's others. */
  tag(name: string, shape: Shape): Expression | undefined {
    const inner = this.#inner(shape);
    if (inner === undefined || !TAG_NAME.test(name)) return undefined;
    return row(literal(`${MARK}<${name}>`), inner, literal(`</${name}>`));
  }

  /** The value and the mark of the tag that ends it. */
  #inner(shape: Shape): Expression | undefined {
    if (shape.kind === "ref") {
      const known = this.#known.get(shape.name);
      if (known !== undefined) return known;
      const rule = this.#calls.book.declare();
      this.#known.set(shape.name, rule);
      const shapes = this.#text.alternatives(shape);
      const body = this.#inner(shapes.length === 1 ? shapes[0]! : { kind: "or", shapes });
      this.#calls.book.define(rule, body ?? `"\\u0000" ${rule}`);
      return body === undefined ? undefined : rule;
    }
    const shapes = this.#text.alternatives(shape);
    const types: Types = shapes.reduce((all, each) => all | typesOfShape(each), 0);
    const nested = shapes.every(({ kind }) => kind === "list" || kind === "object");
    if (!nested || (types !== LIST && types !== OBJECT)) return this.#text.value(shape);
    const choices = shapes.flatMap((each) => this.#nested(each) ?? []);
    return choices.length === 0 ? undefined : this.#calls.book.rule(either(choices));
  }

  #nested(shape: Shape): Expression | undefined {
    const end = literal(MARK);
    if (shape.kind === "list") {
      // Items of different schemas have no place in the parser's reading of tags.
      if (shape.first.length > 0) return this.#text.json(shape);
      const item = shape.items && this.tag("item", shape.items);
      const most = Math.min(shape.max ?? MAX_COUNTED_ITEMS, MAX_COUNTED_ITEMS);
      const unbounded = shape.max === undefined;
      if (item === undefined) return shape.min === 0 ? end : undefined;
      const rule = this.#calls.book.rule(item);
      return row(times(rule, shape.min, unbounded ? undefined : most), end);
    }
    if (shape.kind !== "object") return undefined;
    const { properties, others } = shape;
    if (properties.length === 0 && others.length > 0) return this.#text.json(shape);
    const parts: Expression[] = [];
    for (const { name, shape: inner, required } of properties) {
      const tag = this.tag(name, inner);
      if (tag !== undefined) parts.push(required ? tag : maybe(this.#calls.book.rule(tag)));
      else if (required) return undefined;
    }
    return row(...parts, end);
  }
}

const invokes = (calls: Calls, written = ""): Expression => {
  const choices = calls.tools.map((tool, i) => {
    const text = new NestedText(calls, tool);
    const names = new Map<string, Expression | undefined>();
    const parameters = parametersOf(calls, tool, i, (name, shape) => {
      const plain = /^"([^"\\]*)"$/.exec(name)?.[1];
      if (plain === undefined) return undefined;
      if (!names.has(plain)) names.set(plain, text.tag(plain, shape));
      return names.get(plain);
    });
    const head = `${INVOKE}"${tool.name}">`.slice(written.length);
    return row(literal(head), parameters, literal(`${MARK}</invoke>`));
  });
  return calls.book.rule(either(choices));
};

const LINE = maybe('"\\u000a"');

const behindOpen = (calls: Calls): Expression => {
  const one = calls.book.rule(row(invokes(calls), LINE));
  const all = calls.many ? times(one, 1, undefined) : one;
  return row(LINE, all, literal(`${MARK}</tool_call>`));
};

export const minimaxM3Family: ToolFamily = {
  all: (calls) => row(literal(OPEN), behindOpen(calls)),
  behind: (calls) => [
    [OPEN, calls.book.rule(behindOpen(calls))],
    [INVOKE, invokes(calls, INVOKE)],
  ],
};
