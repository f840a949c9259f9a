/** Families with a notation of their own for a call's arguments: Gemma 4, and Python's. */
import { type Expression, either, literal, maybe, row, times } from "../schema/rules.ts";
import type { ObjectShape } from "../schema/shape.ts";
import { ValueRules } from "../values/value-rules.ts";
import { gemmaStyle, pythonStyle } from "../values/value-style.ts";
import {
  type Calls,
  callsWith,
  objectsOf,
  repeated,
  type ToolFamily,
  unwritable,
} from "./family.ts";

const GEMMA_OPEN = "<|tool_call>";
const GEMMA_CLOSE = "<tool_call|>";

const gemmaBehind = (calls: Calls): Expression =>
  calls.book.rule(
    either(
      callsWith(calls, gemmaStyle('<|"|>'), (name, given) =>
        row(literal(`call:${name}`), given, literal(GEMMA_CLOSE)),
      ),
    ),
  );

export const gemmaFamily: ToolFamily = {
  all: (calls) =>
    repeated(calls.book.rule(row(literal(GEMMA_OPEN), gemmaBehind(calls))), "", calls.many),
  behind: (calls) => [[GEMMA_OPEN, gemmaBehind(calls)]],
};

/** `f(`, what stands in the brackets, and `)`. */
function pythonCalls(calls: Calls): readonly (readonly [string, Expression])[] {
  return calls.tools.map(({ name, table }, i) => {
    const values = new ValueRules(calls.book, table, pythonStyle());
    const objects = objectsOf(table) ?? [];
    const given = objects.flatMap((object) => keywords(object, values, calls) ?? []);
    // A name with a hyphen is none of Python's.
    if (given.length === 0 || !WORD.test(name)) throw unwritable(i);
    return [`${name}(`, calls.book.rule(row(either(given), '")"'))];
  });
}

/** `[f(a="x", n=3), g()]`. In free text a bracket and a tool's name open a call. */
export const pythonicFamily: ToolFamily = {
  all: (calls) => {
    const choices = pythonCalls(calls).map(([open, rest]) => row(literal(open), rest));
    return row('"["', repeated(calls.book.rule(either(choices)), ", ", calls.many), '"]"');
  },
  behind: (calls) => {
    const all = pythonCalls(calls);
    const one = calls.book.rule(either(all.map(([open, rest]) => row(literal(open), rest))));
    const more = calls.many ? times(calls.book.rule(row('", "', one)), 0, undefined) : '""';
    return all.map(([open, rest]) => [`[${open}`, calls.book.rule(row(rest, more, '"]"'))]);
  },
};

const WORD = /^[\p{L}_][\p{L}\p{N}_.]*$/u;

/** `a=1, b="x"`; undefined: a property that has to be there cannot be written. */
function keywords(
  { properties, others }: ObjectShape,
  values: ValueRules,
  { book }: Calls,
): Expression | undefined {
  if (properties.length === 0 && others.length > 0) return anyKeywords(others, values, book);
  let tail: Expression = '""';
  let begin: Expression = '""';
  for (const { name, shape, required } of [...properties].reverse()) {
    const value = WORD.test(name) ? values.value(shape) : undefined;
    if (value === undefined) {
      if (required) return undefined;
      continue;
    }
    const entry = book.rule(row(literal(`${name}=`), value));
    const next = row('", "', entry);
    begin = book.rule(required ? row(entry, tail) : either([row(entry, tail), begin]));
    tail = book.rule(row(required ? next : maybe(next), tail));
  }
  return begin;
}

function anyKeywords(
  others: ObjectShape["others"],
  values: ValueRules,
  book: Calls["book"],
): Expression {
  const choices = others.flatMap(({ shape }) => {
    const value = values.value(shape);
    return value === undefined ? [] : row('[a-zA-Z_] [a-zA-Z0-9_]* "="', value);
  });
  if (choices.length === 0) return '""';
  const entry = book.rule(either(choices));
  return maybe(book.rule(row(entry, times(book.rule(row('", "', entry)), 0, undefined))));
}
