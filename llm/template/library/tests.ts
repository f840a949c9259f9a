/** Tests: what stands behind `is`. */

import { fail } from "../errors.ts";
import { isCallable } from "../values/attributes.ts";
import { isFloat, isInteger, isNumeric } from "../values/numbers.ts";
import { binaryOperator, compare, contains, equals } from "../values/operators.ts";
import { show } from "../values/show.ts";
import { stringMethods } from "../values/string-methods.ts";
import {
  isIterable,
  isMapping,
  isTruthy,
  type Named,
  NO_NAMES,
  sizeOf,
  View,
} from "../values/values.ts";

export type Test = (value: unknown, args: readonly unknown[], named: Named) => boolean;

type Of = (value: unknown, other: unknown) => boolean;

const remainder = (value: unknown, by: unknown): unknown => binaryOperator("%")(value, by);

const isText = (value: unknown, method: string): boolean =>
  isTruthy(stringMethods.get(method)?.(show(value), [], NO_NAMES));

const order =
  (sign: string, holds: (order: number) => boolean): Of =>
  (a, b) =>
    holds(compare(a, b, sign));

const comparisons: readonly (readonly [Of, readonly string[]])[] = [
  [equals, ["eq", "equalto", "=="]],
  [(a, b) => !equals(a, b), ["ne", "!="]],
  [order("<", (x) => x < 0), ["lt", "lessthan", "<"]],
  [order("<=", (x) => x <= 0), ["le", "<="]],
  [order(">", (x) => x > 0), ["gt", "greaterthan", ">"]],
  [order(">=", (x) => x >= 0), ["ge", ">="]],
];

/** Names that `is filter` knows; told by the filters, which stand on the tests. */
let filter_names: ReadonlySet<string> = new Set();
export function knowFilters(names: ReadonlySet<string>): void {
  filter_names = names;
}

const kinds: readonly (readonly [string, Of])[] = [
  ["defined", (value) => value !== undefined],
  ["undefined", (value) => value === undefined],
  ["none", (value) => value === null],
  ["boolean", (value) => typeof value === "boolean"],
  ["true", (value) => value === true],
  ["false", (value) => value === false],
  ["string", (value) => typeof value === "string"],
  ["number", (value) => isNumeric(value)],
  ["integer", (value) => isInteger(value)],
  ["float", (value) => isFloat(value)],
  ["mapping", (value) => isMapping(value)],
  ["sequence", (value) => sizeOf(value) !== undefined && !(value instanceof View)],
  ["iterable", (value) => isIterable(value)],
  // Jinja's undefined value has the method that Python looks for.
  ["callable", (value) => value === undefined || isCallable(value)],
  ["escaped", () => false],
  ["lower", (value) => isText(value, "islower")],
  ["upper", (value) => isText(value, "isupper")],
  ["odd", (value) => equals(remainder(value, 2), 1)],
  ["even", (value) => equals(remainder(value, 2), 0)],
  ["divisibleby", (value, by) => equals(remainder(value, by), 0)],
  ["sameas", (value, other) => value === other],
  ["in", (value, container) => contains(container, value)],
  ["filter", (value) => filter_names.has(show(value))],
  ["test", (value) => tests.has(show(value))],
];

const without_argument = new Set(
  kinds.map(([name]) => name).filter((name) => !["divisibleby", "sameas", "in"].includes(name)),
);

function test(name: string, of: Of): Test {
  const most = without_argument.has(name) ? 0 : 1;
  return (value, args, named) => {
    const other = args.length > 0 ? args[0] : [...named.values()][0];
    const given = args.length + named.size;
    if (given !== most) fail(`the test '${name}' takes ${most} argument(s), not ${given}`);
    return of(value, other);
  };
}

export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ...kinds.map(([name, of]) => [name, test(name, of)] as const),
  ...comparisons.flatMap(([of, names]) => names.map((name) => [name, test(name, of)] as const)),
]);
