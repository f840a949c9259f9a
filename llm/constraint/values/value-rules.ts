/** Shapes → grammars of the texts that stand for their values, in one format's style. */

import { ALL_CHARS, type CharSet } from "../schema/char-set.ts";
import { clash } from "../schema/clashes.ts";
import { limitMark, type StringLimit } from "../schema/counted.ts";
import { multipleRules } from "../schema/multiple-rules.ts";
import { numberRules } from "../schema/number-rules.ts";
import { regexRules } from "../schema/regex-rules.ts";
import {
  type Expression,
  either,
  literal,
  maybe,
  NOTHING,
  type RuleBook,
  row,
  times,
} from "../schema/rules.ts";
import {
  ANY_OBJECT,
  ANY_SHAPE,
  ANY_STRING,
  type ListShape,
  type ObjectShape,
  type Shape,
  type ShapeTable,
  type StringShape,
} from "../schema/shape.ts";
import { otherName } from "./text-rules.ts";
import type { ValueStyle } from "./value-style.ts";

/** More items than this are held as this many. */
export const MAX_COUNTED_ITEMS = 512;

/** Undefined in place of an expression: no text stands for such a value. */
export class ValueRules {
  readonly book: RuleBook;
  readonly #table: ShapeTable;
  readonly #style: ValueStyle;
  readonly #refs = new Map<string, string>();
  #any: string | undefined;
  #free: Expression | undefined;
  /**
   * Counts are written out. Where texts may be of two shapes at a time, the one count beside the
   * grammar (schema/counted.ts) could be of the other one.
   */
  #unrolled: boolean;

  constructor(book: RuleBook, table: ShapeTable, style: ValueStyle, unrolled = false) {
    this.book = book;
    this.#table = table;
    this.#style = style;
    this.#unrolled = unrolled;
  }

  value(shape: Shape): Expression | undefined {
    const { words } = this.#style;
    switch (shape.kind) {
      case "any":
        return this.#anything();
      case "boolean":
        return either([literal(words.yes), literal(words.no)]);
      case "null":
        return literal(words.none);
      case "value": {
        const text = this.#style.written(shape.value);
        return text === undefined ? undefined : literal(text);
      }
      case "string":
        return this.#string(shape);
      case "number":
        return shape.step === undefined
          ? numberRules(shape)
          : multipleRules(shape, shape.step, this.book);
      case "list":
        return this.#list(shape);
      case "object":
        return this.object(shape);
      case "or": {
        const choices = this.#where(clash(shape.shapes, this.#table), () =>
          shape.shapes.flatMap((each) => this.value(each) ?? []),
        );
        return choices.length === 0 ? undefined : this.book.rule(either(choices));
      }
      case "ref":
        return this.#reference(shape.name);
    }
  }

  #where<Made>(unrolled: boolean, make: () => Made): Made {
    const before = this.#unrolled;
    this.#unrolled ||= unrolled;
    const made = make();
    this.#unrolled = before;
    return made;
  }

  #reference(name: string): Expression | undefined {
    const key = `${this.#unrolled ? "unrolled" : "counted"} ${name}`;
    const known = this.#refs.get(key);
    if (known !== undefined) return known;
    const shape = this.#table.named.get(name);
    if (shape === undefined) return undefined;
    const rule = this.book.declare();
    this.#refs.set(key, rule);
    const body = this.value(shape);
    // An undefined body is a value that this format cannot write: the rule is one of no text.
    this.book.define(rule, body ?? NEVER_ENDS(rule));
    return rule;
  }

  #anything(): Expression {
    if (this.#any !== undefined) return this.#any;
    const rule = this.book.declare();
    this.#any = rule;
    const { words } = this.#style;
    const parts = [
      this.object(ANY_OBJECT),
      this.#list({ kind: "list", first: [], items: ANY_SHAPE, min: 0, max: undefined }),
      this.#string(ANY_STRING),
      numberRules({
        ...{ kind: "number", whole: false, min: undefined, max: undefined },
        ...{ above: undefined, below: undefined },
      }),
      ...[words.yes, words.no, words.none].map(literal),
    ];
    this.book.define(rule, either(parts.flatMap((part) => part ?? [])));
    return rule;
  }

  #string(shape: StringShape): Expression | undefined {
    const { open, close, write, free } = this.#style.string;
    if (open.length > 1) this.book.mention(open);
    const { min, max, regex } = shape;
    if (isAny(shape)) {
      this.#free ??= free(this.book);
      return row(literal(open), this.#free);
    }
    const counted = this.#counted(shape);
    if (counted !== undefined) return counted;
    const char = write(ALL_CHARS) ?? NOTHING;
    const inner =
      regex === undefined
        ? times(this.book.rule(char), min, max)
        : regexRules(regex, write, this.book);
    if (inner === undefined) return undefined;
    return this.book.rule(row(literal(open), inner, literal(close)));
  }

  /** A string with a limit that is counted beside the grammar, where that can be. */
  #counted(shape: StringShape): Expression | undefined {
    const { open, close, units } = this.#style.string;
    const chars = units === undefined || this.#unrolled ? undefined : charsOf(shape);
    if (chars === undefined || sizeOf(chars.set) <= FEW_CHARS) return undefined;
    if (chars.min === 0 && chars.max === undefined) return undefined;
    const choices = units!(chars.set);
    if (choices.length === 0) return undefined;
    const name = this.book.shared(`counted ${choices.join("|")} ${chars.min} ${chars.max}`, () => {
      const rest = this.book.declare();
      const [plain, ...escaped] = choices;
      const nexts = [literal(close), row(plain!, rest)];
      if (escaped.length > 0) nexts.push(row(this.book.rule(either(escaped)), rest));
      this.book.define(rest, either([...nexts, limitMark(chars, this.book)]));
      return rest;
    });
    return row(literal(open), name);
  }

  #list({ first, items, min, max }: ListShape): Expression | undefined {
    const most = max === undefined ? undefined : Math.min(max, Math.max(min, MAX_COUNTED_ITEMS));
    const comma = this.#between(",");
    const rest = items === undefined ? undefined : this.value(items);
    const item = rest === undefined ? undefined : this.book.rule(row(comma, rest));
    const listed = first.map((each) => this.value(each));
    const end = listed.indexOf(undefined);
    const fixed = (end < 0 ? listed : listed.slice(0, end)).slice(0, most) as Expression[];
    const more = end < 0 ? item : undefined;
    if (min > fixed.length && more === undefined) return undefined;
    // From the back: what follows so many items.
    let tail: Expression = NOTHING;
    if (more !== undefined) {
      const least = Math.max(0, min - Math.max(1, fixed.length));
      const left = most === undefined ? undefined : most - Math.max(1, fixed.length);
      if (left === undefined || left > 0) tail = times(more, least, left);
    }
    for (let at = fixed.length - 1; at >= 1; at--) {
      const next = row(comma, fixed[at]!, tail);
      tail = at >= min ? maybe(this.book.rule(next)) : next;
    }
    const begin = fixed[0] ?? (most === 0 ? undefined : rest);
    const inner = begin === undefined ? NOTHING : row(begin, tail);
    const content = begin !== undefined && min === 0 ? maybe(this.book.rule(inner)) : inner;
    return this.book.rule(row('"["', this.#space(), content, this.#space(), '"]"'));
  }

  object(shape: ObjectShape): Expression | undefined {
    const { properties, others } = shape;
    // A name may be of two patterns, or one of the properties'.
    const alike =
      others.length > 1 || (properties.length > 0 && !others.every(({ name }) => isAny(name)));
    return this.#where(alike, () => this.#object(shape));
  }

  #object({ properties, others, min, max }: ObjectShape): Expression | undefined {
    const comma = this.#between(",");
    const names = properties.map(({ name }) => name);
    const other = this.#other(others, names);
    let begin: Expression | undefined;
    let tail: Expression;
    if (properties.length === 0) {
      if (other === undefined) {
        if (min > 0) return undefined;
        return this.book.rule(row('"{"', this.#space(), '"}"'));
      }
      const most = max === undefined ? undefined : Math.min(max, MAX_COUNTED_ITEMS);
      const next = this.book.rule(row(comma, other));
      const left = most === undefined ? undefined : most - 1;
      tail = times(next, Math.max(0, min - 1), left);
      begin = most === 0 ? NOTHING : row(other, tail);
      if (min === 0) begin = maybe(this.book.rule(begin));
    } else {
      // From the back: what may follow once a member stands there, and what may stand first.
      tail = other === undefined ? NOTHING : times(this.book.rule(row(comma, other)), 0, undefined);
      begin = other === undefined ? NOTHING : maybe(this.book.rule(row(other, tail)));
      for (const { name, shape: inner, required } of [...properties].reverse()) {
        const member = this.#member(name, inner);
        if (member === undefined) {
          if (required) return undefined;
          continue;
        }
        const entry = this.book.rule(member);
        const first = row(entry, tail);
        begin = required ? first : either([first, begin]);
        const next = row(comma, entry);
        tail = this.book.rule(row(required ? next : maybe(next), tail));
        begin = this.book.rule(begin);
      }
    }
    return this.book.rule(row('"{"', this.#space(), begin, this.#space(), '"}"'));
  }

  #member(name: string, shape: Shape): Expression | undefined {
    const key = this.#style.key(name);
    const value = this.value(shape);
    if (key === undefined || value === undefined) return undefined;
    return row(literal(key), '":"', this.#space(), value);
  }

  /** A member whose name is not one of the schema's. */
  #other(others: ObjectShape["others"], taken: readonly string[]): Expression | undefined {
    const { open, close, first, chars } = this.#style.names;
    const choices = others.flatMap(({ name, shape }) => {
      const value = this.value(shape);
      const plain = isAny(name);
      const quoted = open !== "";
      const key =
        plain && (taken.length > 0 || !quoted)
          ? row(literal(open), otherName(taken, first, chars, literal(close), this.book))
          : this.#string(name);
      if (key === undefined || value === undefined) return [];
      return [row(this.book.rule(key), '":"', this.#space(), value)];
    });
    return choices.length === 0 ? undefined : this.book.rule(either(choices));
  }

  #space(): Expression {
    return this.#style.space(this.book);
  }

  #between(mark: string): Expression {
    return row(literal(mark), this.#space());
  }
}

const isAny = ({ min, max, regex }: StringShape): boolean =>
  regex === undefined && min === 0 && max === undefined;

/** Sets of so few characters are cheap to write out: few tokens begin with them. */
const FEW_CHARS = 16;

const sizeOf = (set: CharSet): number => set.reduce((sum, [from, to]) => sum + to - from + 1, 0);

/** A text of nothing but these characters; undefined: it is anything else. */
function charsOf({ min, max, regex }: StringShape): (StringLimit & { set: CharSet }) | undefined {
  if (regex === undefined) return { set: ALL_CHARS, min, max };
  const only = regex.kind === "row" && regex.parts.length === 1 ? regex.parts[0]! : regex;
  if (only.kind !== "times" || only.of.kind !== "chars") return undefined;
  return { set: only.of.set, min: only.min, max: only.max };
}

/** A rule that no text fits: it needs itself. */
const NEVER_ENDS = (rule: string): Expression => `"\\u0000" ${rule}`;
