/** Expressions → functions of a frame. */

import { joinedTexts, takeCharacters, takeReading } from "../budget.ts";
import { fail, TemplateRuntimeError } from "../errors.ts";
import { type Filter, filters } from "../library/filters.ts";
import { tests } from "../library/tests.ts";
import type { Arguments, CallOf, Comparison, Expression, FilterOf, TestOf } from "../syntax/ast.ts";
import {
  attributeReader,
  callValue,
  item,
  itemReader,
  methodCaller,
} from "../values/attributes.ts";
import { negated } from "../values/numbers.ts";
import { binaryOperator, compare, contains, equals, sliceOf } from "../values/operators.ts";
import { show } from "../values/show.ts";
import {
  Dict,
  entriesOf,
  isMapping,
  isTruthy,
  itemsOf,
  type Named,
  NO_NAMES,
  Tuple,
} from "../values/values.ts";
import type { Evaluate, Frame, Scope } from "./scope.ts";

/** The surroundings in which an expression is compiled. */
export type Place = {
  readonly scope: Scope;
  readonly globals: ReadonlyMap<string, unknown>;
};

/** `body`: the text to which the filter of a block is applied. */
export function compileExpression(expression: Expression, place: Place, body?: Evaluate): Evaluate {
  const inner = (child: Expression) => compileExpression(child, place, body);
  switch (expression.type) {
    case "const": {
      const { value } = expression;
      return () => value;
    }
    case "name":
      return place.scope.reader(expression.name, place.globals.get(expression.name));
    case "tuple": {
      const items = expression.items.map(inner);
      return (frame) => Tuple.fromList(items.map((read) => read(frame)));
    }
    case "list": {
      const items = expression.items.map(inner);
      return (frame) => items.map((read) => read(frame));
    }
    case "dict": {
      const pairs = expression.pairs.map(([key, value]) => [inner(key), inner(value)] as const);
      return (frame) => Dict.from(pairs.map(([key, value]) => [key(frame), value(frame)]));
    }
    case "if": {
      const [test, yes] = [inner(expression.test), inner(expression.yes)];
      const no = expression.no === undefined ? () => undefined : inner(expression.no);
      return (frame) => (isTruthy(test(frame)) ? yes(frame) : no(frame));
    }
    case "binary": {
      const left = inner(expression.left);
      const right = inner(expression.right);
      const operator = binaryOperator(expression.sign);
      if (expression.sign === "+") {
        return (frame) => {
          const a = left(frame);
          const b = right(frame);
          return typeof a === "string" && typeof b === "string"
            ? joinedTexts(a, b)
            : operator(a, b);
        };
      }
      return (frame) => operator(left(frame), right(frame));
    }
    case "and":
    case "or":
      return compileLogic(expression.type, inner(expression.left), inner(expression.right));
    case "not": {
      const value = inner(expression.value);
      return (frame) => !isTruthy(value(frame));
    }
    case "sign": {
      const { sign } = expression;
      const value = inner(expression.value);
      return (frame) => negated(value(frame), sign);
    }
    case "concat":
      return compileConcat(expression.items.map(inner));
    case "compare":
      return compileComparison(expression, inner);
    default:
      return compileAccess(expression, place, body);
  }
}

function compileAccess(
  expression: Exclude<Expression, { type: "const" }>,
  place: Place,
  body: Evaluate | undefined,
): Evaluate {
  const inner = (child: Expression) => compileExpression(child, place, body);
  const optional = (child: Expression | undefined): Evaluate =>
    child === undefined ? () => undefined : inner(child);
  switch (expression.type) {
    case "attribute": {
      const read = attributeReader(expression.name);
      return checked(expression.object, inner(expression.object), expression.name, read);
    }
    case "item": {
      const { key: by } = expression;
      if (by.type === "const" && typeof by.value === "string") {
        const name = by.value;
        const object = inner(expression.object);
        return checked(expression.object, object, name, itemReader(name));
      }
      const [object, key] = [inner(expression.object), inner(by)];
      return (frame) => item(object(frame), key(frame));
    }
    case "slice": {
      const object = inner(expression.object);
      const bounds = [expression.start, expression.stop, expression.step].map(optional);
      const [start, stop, step] = bounds as [Evaluate, Evaluate, Evaluate];
      return (frame) => sliceOf(object(frame), start(frame), stop(frame), step(frame));
    }
    case "call":
      return compileCall(expression, place, body);
    case "filter":
      return compileFilter(expression, place, body);
    case "test":
      return compileTest(expression, place, body);
  }
  throw new TypeError(`there is no expression of type ${expression.type}`);
}

/** As the template has it, for messages. */
function nameOf(expression: Expression): string {
  if (expression.type === "name") return expression.name;
  if (expression.type === "attribute") return `${nameOf(expression.object)}.${expression.name}`;
  if (expression.type === "item" && expression.key.type === "const") {
    return `${nameOf(expression.object)}[${JSON.stringify(expression.key.value)}]`;
  }
  return "the value";
}

/** Says which value was undefined when something of it is read. */
function checked(
  of: Expression,
  object: Evaluate,
  name: string,
  read: (value: unknown) => unknown,
): Evaluate {
  return (frame) => {
    const value = object(frame);
    if (value === undefined) fail(`${nameOf(of)} is undefined, so it has no '${name}'`);
    return read(value);
  };
}

function compileLogic(type: "and" | "or", left: Evaluate, right: Evaluate): Evaluate {
  if (type === "and") {
    return (frame) => {
      const value = left(frame);
      return isTruthy(value) ? right(frame) : value;
    };
  }
  return (frame) => {
    const value = left(frame);
    return isTruthy(value) ? value : right(frame);
  };
}

function compileConcat(items: readonly Evaluate[]): Evaluate {
  return (frame) => {
    let text = "";
    for (const read of items) text += show(read(frame));
    takeCharacters(text.length);
    return text;
  };
}

const comparisons: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  "==": equals,
  "!=": (a, b) => !equals(a, b),
  "<": (a, b) => compare(a, b, "<") < 0,
  "<=": (a, b) => compare(a, b, "<=") <= 0,
  ">": (a, b) => compare(a, b, ">") > 0,
  ">=": (a, b) => compare(a, b, ">=") >= 0,
  in: (a, b) => contains(b, a),
  "not in": (a, b) => !contains(b, a),
};

function compileComparison(
  { first, further }: Comparison,
  inner: (child: Expression) => Evaluate,
): Evaluate {
  const [second] = further;
  const left = inner(first);
  if (second?.value.type === "const" && further.length === 1) {
    const { value } = second.value;
    // A text equals only itself.
    if (typeof value === "string" && second.sign === "==") return (frame) => left(frame) === value;
    if (typeof value === "string" && second.sign === "!=") return (frame) => left(frame) !== value;
  }
  const steps = further.map(({ sign, value }) => ({
    holds: comparisons[sign] ?? fail(`there is no comparison ${sign}`),
    right: inner(value),
  }));
  const [only] = steps;
  if (only !== undefined && steps.length === 1) {
    const { holds, right } = only;
    return (frame) => holds(left(frame), right(frame));
  }
  return (frame) => {
    let a = left(frame);
    for (const { holds, right } of steps) {
      const b = right(frame);
      if (!holds(a, b)) return false;
      a = b;
    }
    return true;
  };
}

type Give = (frame: Frame) => { readonly args: readonly unknown[]; readonly named: Named };

const NOTHING = { args: [], named: NO_NAMES };

export function compileArguments(given: Arguments, place: Place, body?: Evaluate): Give {
  const args = given.args.map((child) => compileExpression(child, place, body));
  const named = given.named.map(
    ({ name, value }) => [name, compileExpression(value, place, body)] as const,
  );
  const rest = given.rest && compileExpression(given.rest, place, body);
  const named_rest = given.named_rest && compileExpression(given.named_rest, place, body);
  if (rest === undefined && named_rest === undefined) {
    if (args.length + named.length === 0) return () => NOTHING;
    const [only] = args;
    if (only !== undefined && args.length === 1 && named.length === 0) {
      return (frame) => ({ args: [only(frame)], named: NO_NAMES });
    }
    if (named.length === 0) {
      return (frame) => ({ args: args.map((read) => read(frame)), named: NO_NAMES });
    }
  }
  return (frame) => {
    const list = args.map((read) => read(frame));
    if (rest !== undefined) list.push(...itemsOf(rest(frame)));
    const names = new Map<string, unknown>();
    for (const [name, read] of named) names.set(name, read(frame));
    const more = named_rest?.(frame);
    if (isMapping(more)) for (const [key, value] of entriesOf(more)) names.set(show(key), value);
    else if (named_rest !== undefined) fail("what stands behind ** must be a mapping");
    return { args: list, named: names };
  };
}

export function compileCall({ callee, given }: CallOf, place: Place, body?: Evaluate): Evaluate {
  const give = compileArguments(given, place, body);
  const name = nameOf(callee);
  if (callee.type === "attribute") {
    const object = compileExpression(callee.object, place, body);
    const { name: method } = callee;
    const call = methodCaller(method);
    const of = callee.object;
    return (frame) => {
      const self = object(frame);
      if (self === undefined) fail(`${nameOf(of)} is undefined, so it has no '${method}'`);
      const { args, named } = give(frame);
      return call(self, args, named);
    };
  }
  const value = compileExpression(callee, place, body);
  return (frame) => {
    const called = value(frame);
    const { args, named } = give(frame);
    return callValue(called, args, named, name);
  };
}

/** An unknown filter is an error only when it is reached. */
export function filterNamed(name: string): Filter {
  return filters.get(name) ?? (() => fail(`there is no filter named '${name}'`));
}

function compileFilter(filter: FilterOf, place: Place, body: Evaluate | undefined): Evaluate {
  const value =
    filter.value === undefined ? (body ?? noBody) : compileExpression(filter.value, place, body);
  const give = compileArguments(filter.given, place, body);
  const apply = filterNamed(filter.name);
  return (frame) => {
    const { args, named } = give(frame);
    const of = value(frame);
    if (typeof of === "string") takeReading(of.length);
    const made = apply(of, args, named);
    if (typeof made === "string" && made !== of) takeCharacters(made.length);
    return made;
  };
}

const noBody = (): never => {
  throw new TemplateRuntimeError("a filter has nothing to work on");
};

function compileTest(test: TestOf, place: Place, body: Evaluate | undefined): Evaluate {
  const value = compileExpression(test.value, place, body);
  if (test.name === "defined") return (frame) => value(frame) !== undefined;
  if (test.name === "string") return (frame) => typeof value(frame) === "string";
  const give = compileArguments(test.given, place, body);
  const { name } = test;
  const holds = tests.get(name) ?? (() => fail(`there is no test named '${name}'`));
  return (frame) => {
    const { args, named } = give(frame);
    return holds(value(frame), args, named);
  };
}
