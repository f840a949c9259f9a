/** Expressions of a template, with the precedence that Jinja2 gives their operators. */

import { TemplateSyntaxError } from "../errors.ts";
import type { Arguments, Expression, SliceOf, Target } from "./ast.ts";
import type { TokenStream } from "./token-stream.ts";

/** `a`, or `a, b` for a tuple. */
export function parseTuple(stream: TokenStream, conditional = true, end?: string): Expression {
  const items: Expression[] = [];
  let is_tuple = false;
  for (;;) {
    if (items.length > 0 && is_tuple === false) {
      if (!stream.skipSign(",")) break;
      is_tuple = true;
    } else if (items.length > 0 && !stream.skipSign(",")) break;
    if (endsTuple(stream, end)) break;
    items.push(conditional ? parseExpression(stream) : parseOr(stream));
  }
  const [only] = items;
  if (!is_tuple && only !== undefined) return only;
  if (items.length === 0 && !stream.isSign(")")) throw stream.error("expected an expression");
  return { type: "tuple", items };
}

const endsTuple = (stream: TokenStream, end: string | undefined): boolean =>
  stream.current.kind === "end" ||
  stream.isSign(")") ||
  (end !== undefined && stream.isName(end, "if"));

export function parseExpression(stream: TokenStream): Expression {
  let value = parseOr(stream);
  while (stream.skipName("if")) {
    const test = parseOr(stream);
    const no = stream.skipName("else") ? parseExpression(stream) : undefined;
    value = { type: "if", test, yes: value, no };
  }
  return value;
}

export function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream);
  while (stream.skipName("or")) left = { type: "or", left, right: parseAnd(stream) };
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream);
  while (stream.skipName("and")) left = { type: "and", left, right: parseNot(stream) };
  return left;
}

function parseNot(stream: TokenStream): Expression {
  if (stream.skipName("not")) return { type: "not", value: parseNot(stream) };
  return parseComparison(stream);
}

const comparisons = ["==", "!=", "<", "<=", ">", ">="];

function parseComparison(stream: TokenStream): Expression {
  const first = parseSum(stream);
  const further: { sign: string; value: Expression }[] = [];
  for (;;) {
    const sign = comparisonSign(stream);
    if (sign === undefined) break;
    further.push({ sign, value: parseSum(stream) });
  }
  return further.length === 0 ? first : { type: "compare", first, further };
}

function comparisonSign(stream: TokenStream): string | undefined {
  const { kind, text } = stream.current;
  if (kind === "sign" && comparisons.includes(text)) return stream.next().text;
  if (stream.skipName("in")) return "in";
  const { following } = stream;
  if (stream.isName("not") && following.kind === "name" && following.text === "in") {
    stream.next();
    stream.next();
    return "not in";
  }
  return undefined;
}

type Parse = (stream: TokenStream) => Expression;

/** Operators of one rank, from left to right. */
const level =
  (signs: readonly string[], operand: Parse): Parse =>
  (stream) => {
    let left = operand(stream);
    while (stream.current.kind === "sign" && signs.includes(stream.current.text)) {
      const sign = stream.next().text;
      left = { type: "binary", sign, left, right: operand(stream) };
    }
    return left;
  };

const parsePower = level(["**"], (stream) => parseSigned(stream, true));
const parseProduct = level(["*", "/", "//", "%"], parsePower);
const parseSum = level(["+", "-"], parseConcat);

function parseConcat(stream: TokenStream): Expression {
  const first = parseProduct(stream);
  if (!stream.isSign("~")) return first;
  const items = [first];
  while (stream.skipSign("~")) items.push(parseProduct(stream));
  return { type: "concat", items };
}

function parseSigned(stream: TokenStream, filtered: boolean): Expression {
  let value: Expression;
  if (stream.skipSign("-")) value = { type: "sign", sign: "-", value: parseSigned(stream, false) };
  else if (stream.skipSign("+")) {
    value = { type: "sign", sign: "+", value: parseSigned(stream, false) };
  } else value = parsePrimary(stream);
  value = parsePostfix(stream, value);
  return filtered ? parseFilters(stream, value) : value;
}

const constants: Readonly<Record<string, boolean | null>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

function parsePrimary(stream: TokenStream): Expression {
  const { kind, text, value } = stream.current;
  switch (kind) {
    case "name":
      stream.next();
      if (Object.hasOwn(constants, text)) return { type: "const", value: constants[text] };
      return { type: "name", name: text };
    case "string": {
      let whole = "";
      while (stream.current.kind === "string") whole += stream.next().text;
      return { type: "const", value: whole };
    }
    case "number":
      stream.next();
      return { type: "const", value };
    case "sign":
      if (stream.skipSign("(")) {
        const inner = parseTuple(stream);
        stream.takeSign(")");
        return inner;
      }
      if (stream.skipSign("[")) return { type: "list", items: parseItems(stream, "]") };
      if (stream.skipSign("{")) return parseDict(stream);
  }
  throw stream.error("expected a value");
}

function parseItems(stream: TokenStream, end: string): Expression[] {
  const items: Expression[] = [];
  while (!stream.isSign(end)) {
    if (items.length > 0) {
      stream.takeSign(",");
      if (stream.isSign(end)) break;
    }
    items.push(parseExpression(stream));
  }
  stream.takeSign(end);
  return items;
}

function parseDict(stream: TokenStream): Expression {
  const pairs: [Expression, Expression][] = [];
  while (!stream.isSign("}")) {
    if (pairs.length > 0) {
      stream.takeSign(",");
      if (stream.isSign("}")) break;
    }
    const key = parseExpression(stream);
    stream.takeSign(":");
    pairs.push([key, parseExpression(stream)]);
  }
  stream.takeSign("}");
  return { type: "dict", pairs };
}

function parsePostfix(stream: TokenStream, first: Expression): Expression {
  let value = first;
  for (;;) {
    if (stream.skipSign(".")) value = parseAttribute(stream, value);
    else if (stream.skipSign("[")) value = parseSubscript(stream, value);
    else if (stream.isSign("(")) value = parseCall(stream, value);
    else return value;
  }
}

function parseAttribute(stream: TokenStream, object: Expression): Expression {
  const { kind, text, value } = stream.current;
  if (kind === "name") {
    stream.next();
    return { type: "attribute", object, name: text };
  }
  if (kind !== "number" || !/^\d+$/.test(text)) throw stream.error("expected a name or a number");
  stream.next();
  return { type: "item", object, key: { type: "const", value } };
}

function parseSubscript(stream: TokenStream, object: Expression): Expression {
  const keys: (Expression | Omit<SliceOf, "type" | "object">)[] = [];
  while (!stream.isSign("]")) {
    if (keys.length > 0) {
      stream.takeSign(",");
      if (stream.isSign("]")) break;
    }
    keys.push(parseKey(stream));
  }
  stream.takeSign("]");
  const [only] = keys;
  if (only === undefined) throw stream.error("expected an index");
  if (keys.length === 1 && !("type" in only)) return { type: "slice", object, ...only };
  const items = keys.map((key) => {
    if ("type" in key) return key;
    throw stream.error("expected one slice alone");
  });
  if (items.length === 1) return { type: "item", object, key: items[0] as Expression };
  return { type: "item", object, key: { type: "tuple", items } };
}

function parseKey(stream: TokenStream): Expression | Omit<SliceOf, "type" | "object"> {
  const bound = (): Expression | undefined =>
    stream.isSign(":") || stream.isSign("]") || stream.isSign(",")
      ? undefined
      : parseExpression(stream);
  const start = bound();
  if (!stream.skipSign(":")) {
    if (start === undefined) throw stream.error("expected an index");
    return start;
  }
  const stop = bound();
  const step = stream.skipSign(":") ? bound() : undefined;
  return { start, stop, step };
}

export function parseCall(stream: TokenStream, callee: Expression): Expression {
  return { type: "call", callee, given: parseArguments(stream) };
}

const NONE: Arguments = { args: [], named: [], rest: undefined, named_rest: undefined };

export function parseArguments(stream: TokenStream): Arguments {
  stream.takeSign("(");
  const args: Expression[] = [];
  const named: { name: string; value: Expression }[] = [];
  let rest: Expression | undefined;
  let named_rest: Expression | undefined;
  for (let first = true; !stream.isSign(")"); first = false) {
    if (!first) {
      stream.takeSign(",");
      if (stream.isSign(")")) break;
    }
    if (stream.skipSign("**")) named_rest = parseExpression(stream);
    else if (stream.skipSign("*")) rest = parseExpression(stream);
    else if (stream.current.kind === "name" && isAssign(stream)) {
      const name = stream.takeName();
      stream.takeSign("=");
      named.push({ name, value: parseExpression(stream) });
    } else {
      if (named.length > 0) throw stream.error("arguments by place come first: expected a name");
      args.push(parseExpression(stream));
    }
  }
  stream.takeSign(")");
  return { args, named, rest, named_rest };
}

const isAssign = (stream: TokenStream): boolean =>
  stream.following.kind === "sign" && stream.following.text === "=";

function parseFilters(stream: TokenStream, first: Expression): Expression {
  let value = first;
  for (;;) {
    if (stream.skipSign("|")) value = parseFilter(stream, value);
    else if (stream.skipName("is")) value = parseTest(stream, value);
    else if (stream.isSign("(")) value = parseCall(stream, value);
    else return value;
  }
}

export function parseFilter(stream: TokenStream, value: Expression | undefined): Expression {
  const name = dottedName(stream);
  const given = stream.isSign("(") ? parseArguments(stream) : NONE;
  return { type: "filter", value, name, given };
}

/** `upper | trim` of a block: its text goes through them in turn. */
export function parseFilterChain(stream: TokenStream): Expression {
  let value = parseFilter(stream, undefined);
  while (stream.skipSign("|")) value = parseFilter(stream, value);
  return value;
}

function dottedName(stream: TokenStream): string {
  let name = stream.takeName();
  while (stream.skipSign(".")) name += `.${stream.takeName()}`;
  return name;
}

/** Words that go on with the expression behind a test without an argument. */
const no_argument = ["else", "or", "and", "is", "if", "in", "not", "recursive"];

function parseTest(stream: TokenStream, value: Expression): Expression {
  const negated = stream.skipName("not");
  const name = dottedName(stream);
  let given = NONE;
  const { kind } = stream.current;
  if (stream.isSign("(")) given = parseArguments(stream);
  else if (kind === "string" || kind === "number" || stream.isSign("[") || stream.isSign("{")) {
    given = { ...NONE, args: [parsePostfix(stream, parsePrimary(stream))] };
  } else if (kind === "name" && !stream.isName(...no_argument)) {
    given = { ...NONE, args: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { type: "test", value, name, given };
  return negated ? { type: "not", value: test } : test;
}

/** Parses the target on the left of `=` or `in`. */
export function parseTarget(stream: TokenStream, fields: boolean): Target {
  const items: Target[] = [parseOneTarget(stream, fields)];
  let is_tuple = false;
  while (stream.skipSign(",")) {
    is_tuple = true;
    if (stream.isName("in") || stream.isSign("=") || stream.isSign(")")) break;
    items.push(parseOneTarget(stream, fields));
  }
  return is_tuple ? { type: "tuple", items } : (items[0] as Target);
}

function parseOneTarget(stream: TokenStream, fields: boolean): Target {
  if (stream.skipSign("(")) {
    const inner = parseTarget(stream, fields);
    stream.takeSign(")");
    return inner;
  }
  const { line } = stream.current;
  const name = stream.takeName();
  if (Object.hasOwn(constants, name)) {
    throw new TemplateSyntaxError(`nothing can be assigned to ${name}`, line);
  }
  if (fields && stream.skipSign(".")) {
    return { type: "field", object: name, name: stream.takeName() };
  }
  return { type: "name", name };
}
