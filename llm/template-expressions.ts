/** Compiles expressions of a chat template to functions of a frame. Throws UNKNOWN. */
import type { Binary, Call, Expression, Identifier, List, Member, Slice } from "./template-ast.ts";
import { calledFilters, callMethod, filters, type Given, tests } from "./template-filters.ts";
import { type Evaluate, type Frame, type Scope, UNKNOWN } from "./template-scope.ts";
import {
  add,
  field,
  isIn,
  isMapping,
  isTruthy,
  item,
  join,
  looselyEqual,
  Namespace,
  negate,
  numberOperator,
  SURPRISE,
  slice,
} from "./template-values.ts";

/** A macro as a value; told apart from functions that come with the variables by its mark. */
export type MacroFunction = ((given: Given, caller: Frame, site: Scope) => string) & {
  readonly is_macro: true;
};

export function compileExpression(node: Expression, scope: Scope): Evaluate {
  switch (node.type) {
    case "StringLiteral":
    case "IntegerLiteral":
      return constant(node.value);
    case "FloatLiteral":
      if (Number.isInteger(node.value)) throw UNKNOWN;
      return constant(node.value);
    case "Identifier":
      return scope.reader(node.value);
    case "ArrayLiteral":
      return compileList(node, scope);
    case "ObjectLiteral":
      return compileObject(node.value, scope);
    case "MemberExpression":
      return compileMember(node, scope);
    case "CallExpression":
      return compileCall(node, scope);
    case "BinaryExpression":
      return compileBinary(node, scope);
    case "FilterExpression":
      return compileFilter(compileExpression(node.operand, scope), node.filter, scope);
    default:
      return compileChoice(node, scope);
  }
}

/** What asks about a value, or takes one of two. */
function compileChoice(node: Expression, scope: Scope): Evaluate {
  switch (node.type) {
    case "UnaryExpression":
      return compileUnary(node.operator.value, compileExpression(node.argument, scope));
    case "TestExpression": {
      const operand = compileExpression(node.operand, scope);
      const test = tests.get(node.test.value);
      if (test === undefined) throw UNKNOWN;
      return node.negate ? (frame) => !test(operand(frame)) : (frame) => test(operand(frame));
    }
    case "Ternary": {
      const condition = compileExpression(node.condition, scope);
      const yes = compileExpression(node.trueExpr, scope);
      const no = compileExpression(node.falseExpr, scope);
      return (frame) => (isTruthy(condition(frame)) ? yes(frame) : no(frame));
    }
    case "SelectExpression": {
      const condition = compileExpression(node.test, scope);
      const value = compileExpression(node.lhs, scope);
      return (frame) => (isTruthy(condition(frame)) ? value(frame) : undefined);
    }
    default:
      throw UNKNOWN;
  }
}

const constant =
  (value: unknown): Evaluate =>
  () =>
    value;

function compileUnary(sign: string, argument: Evaluate): Evaluate {
  if (sign === "not") return (frame) => !isTruthy(argument(frame));
  const factor = sign === "-" ? -1 : 1;
  return (frame) => negate(argument(frame), factor);
}

/**
 * Where the library treats a tuple as a list, it is one; elsewhere it is refused, for it differs
 * when it is printed or kept.
 */
export function compileListOr(node: Expression, scope: Scope): Evaluate {
  return node.type === "TupleLiteral" ? compileList(node, scope) : compileExpression(node, scope);
}

function compileList(node: List, scope: Scope): Evaluate {
  const items = node.value.map((item) => compileExpression(item, scope));
  return (frame) => items.map((item) => item(frame));
}

/** Objects sort keys that look like indices; such an object is left to the library. */
function compileObject(entries: ReadonlyMap<Expression, Expression>, scope: Scope): Evaluate {
  const pairs = [...entries].map(
    ([key, value]) => [compileExpression(key, scope), compileExpression(value, scope)] as const,
  );
  return (frame) => {
    const object: Record<string, unknown> = Object.create(null);
    for (const [key, value] of pairs) {
      const name = key(frame);
      if (typeof name !== "string" || /^\d+$/.test(name)) throw SURPRISE;
      object[name] = value(frame);
    }
    return object;
  };
}

function compileMember(node: Member, scope: Scope): Evaluate {
  const object = compileExpression(node.object, scope);
  const { property } = node;
  if (property.type === "SliceExpression") return compileSlice(object, property, scope);
  const name = fieldName(node);
  if (name !== undefined) return (frame) => field(object(frame), name);
  const key = compileExpression(property, scope);
  return (frame) => {
    const owner = object(frame);
    return item(owner, key(frame));
  };
}

/** The name in `object.name` and `object["name"]`. */
function fieldName({ computed, property }: Member): string | undefined {
  const named = computed ? property.type === "StringLiteral" : property.type === "Identifier";
  return named ? (property as Identifier).value : undefined;
}

function compileSlice(object: Evaluate, node: Slice, scope: Scope): Evaluate {
  const bound = (expression: Expression | undefined): Evaluate =>
    expression === undefined ? constant(undefined) : compileExpression(expression, scope);
  const [start, stop, step] = [bound(node.start), bound(node.stop), bound(node.step)];
  return (frame) => {
    const value = object(frame);
    return slice(value, start(frame), stop(frame), step(frame));
  };
}

function compileBinary(node: Binary, scope: Scope): Evaluate {
  const left = compileExpression(node.left, scope);
  const membership = node.operator.value === "in" || node.operator.value === "not in";
  const right = (membership ? compileListOr : compileExpression)(node.right, scope);
  switch (node.operator.value) {
    case "and":
      return (frame) => {
        const value = left(frame);
        return isTruthy(value) ? right(frame) : value;
      };
    case "or":
      return (frame) => {
        const value = left(frame);
        return isTruthy(value) ? value : right(frame);
      };
    case "==":
      return (frame) => looselyEqual(left(frame), right(frame));
    case "!=":
      return (frame) => !looselyEqual(left(frame), right(frame));
    case "+":
      return (frame) => add(left(frame), right(frame));
    case "~":
      return (frame) => join(left(frame), right(frame));
    case "in":
      return (frame) => isIn(left(frame), right(frame));
    case "not in":
      return (frame) => !isIn(left(frame), right(frame));
    default: {
      const operator = numberOperator(node.operator.value);
      if (operator === undefined) throw UNKNOWN;
      return (frame) => operator(left(frame), right(frame));
    }
  }
}

/** Values by place come before all values by name, as in the library; one may be a tuple. */
function compileArguments(
  args: Call["args"],
  scope: Scope,
  tuple_name?: string,
): (frame: Frame) => Given {
  const places: Evaluate[] = [];
  const names = new Map<string, Evaluate>();
  for (const argument of args) {
    if (argument.type === "SpreadExpression") throw UNKNOWN;
    if (argument.type !== "KeywordArgumentExpression") {
      places.push(compileExpression(argument, scope));
    } else {
      if (names.has(argument.key.value)) throw UNKNOWN;
      const compile = argument.key.value === tuple_name ? compileListOr : compileExpression;
      names.set(argument.key.value, compile(argument.value, scope));
    }
  }
  const no_names = new Map<string, unknown>();
  return (frame) => {
    const values = places.map((place) => place(frame));
    if (names.size === 0) return { args: values, named: no_names };
    return {
      args: values,
      named: new Map([...names].map(([name, value]) => [name, value(frame)])),
    };
  };
}

export function compileFilter(operand: Evaluate, node: Identifier | Call, scope: Scope): Evaluate {
  if (node.type === "Identifier") {
    const filter = filters.get(node.value);
    if (filter === undefined) throw UNKNOWN;
    return (frame) => filter(operand(frame));
  }
  const filter =
    node.callee.type === "Identifier" ? calledFilters.get(node.callee.value) : undefined;
  if (filter === undefined) throw UNKNOWN;
  const { value: name } = node.callee as Identifier;
  const literal = node.args.every((argument) => argument.type === "StringLiteral");
  if (name.endsWith("attr") && !literal) throw UNKNOWN;
  const given = compileArguments(node.args, scope, "separators");
  return (frame) => {
    const value = operand(frame);
    return filter(value, given(frame));
  };
}

function compileCall(node: Call, scope: Scope): Evaluate {
  const { callee } = node;
  if (callee.type === "MemberExpression") return compileMethodCall(callee, node.args, scope);
  if (callee.type !== "Identifier") throw UNKNOWN;
  const given = compileArguments(node.args, scope);
  if (callee.value === "namespace") return (frame) => makeNamespace(given(frame));
  const callable = scope.reader(callee.value);
  return (frame) => {
    const values = given(frame);
    const called = callable(frame);
    if (typeof called !== "function") throw SURPRISE;
    return "is_macro" in called
      ? (called as MacroFunction)(values, frame, scope)
      : callForeign(called as (...args: unknown[]) => unknown, values);
  };
}

/** Arguments are worked out before the object whose method is called, as in the library. */
function compileMethodCall(callee: Member, args: Call["args"], scope: Scope): Evaluate {
  const name = fieldName(callee);
  const touches = name === "startswith" || name === "endswith";
  if (name === undefined) throw UNKNOWN;
  const object = compileExpression(callee.object, scope);
  const places = args.map((argument) => {
    if (argument.type === "SpreadExpression") throw UNKNOWN;
    if (argument.type === "KeywordArgumentExpression") throw UNKNOWN;
    return (touches ? compileListOr : compileExpression)(argument, scope);
  });
  return (frame) => {
    const values = places.map((place) => place(frame));
    return callMethod(object(frame), name, values);
  };
}

function makeNamespace({ args, named }: Given): Namespace {
  const fields = new Map<string, unknown>();
  const [source] = args;
  if (args.length > 1 || (args.length === 1 && !isMapping(source))) throw SURPRISE;
  if (isMapping(source))
    for (const [name, value] of Object.entries(source)) fields.set(name, value);
  for (const [name, value] of named) fields.set(name, value);
  return new Namespace(fields);
}

/** Functions of the variables (`range`, `raise_exception`, `strftime_now`) take plain values. */
function callForeign(called: (...args: unknown[]) => unknown, { args, named }: Given): unknown {
  const plain = args.every((value) => value === null || typeof value !== "object");
  if (named.size > 0 || !plain || args.some((value) => typeof value === "function")) throw SURPRISE;
  return called(...args) ?? null;
}
