/** `"{0} and {name!r:>8}".format(…)`: Python's newer formatting. */
import { fail } from "../errors.ts";
import { formatValue } from "./format-spec.ts";
import { itemAt } from "./operators.ts";
import { repr, show } from "./show.ts";
import type { Named } from "./values.ts";

/** How a field reaches an attribute: the engine's own, with what templates may not see left out. */
export type Attribute = (object: unknown, name: string) => unknown;

type State = {
  readonly args: readonly unknown[];
  /** Undefined where there is no such name. */
  readonly named: (name: string) => unknown;
  readonly attribute: Attribute;
  next: number;
};

export function strFormat(
  text: string,
  args: readonly unknown[],
  named: Named | ((name: string) => unknown),
  attribute: Attribute,
): string {
  const look =
    typeof named === "function"
      ? named
      : (name: string) => (named.has(name) ? named.get(name) : fail(`format: no value '${name}'`));
  return filled(text, { args, named: look, attribute, next: 0 }, 2);
}

function filled(text: string, state: State, depth: number): string {
  if (depth < 0) fail("Max string recursion exceeded");
  let result = "";
  let at = 0;
  while (at < text.length) {
    const char = text[at] as string;
    if (char !== "{" && char !== "}") {
      result += char;
      at += 1;
    } else if (text[at + 1] === char) {
      result += char;
      at += 2;
    } else if (char === "}") {
      fail("Single '}' encountered in format string");
    } else {
      const end = closing(text, at);
      result += replaced(text.slice(at + 1, end), state, depth);
      at = end + 1;
    }
  }
  return result;
}

/** Where the field that opens at `start` ends. */
function closing(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i += 1) {
    if (text[i] === "{") depth += 1;
    if (text[i] === "}") depth -= 1;
    if (depth === 0) return i;
  }
  return fail("expected '}' before end of string");
}

const FIELD_FORM = /^((?:[^[\]!:{}]|\[[^\]]*\])*)(?:!([rsa]))?(?::(.*))?$/s;

function replaced(field: string, state: State, depth: number): string {
  const match = FIELD_FORM.exec(field);
  if (match === null) return fail(`a field of a format string cannot be read: {${field}}`);
  const [, name = "", conversion, spec = ""] = match;
  const value = fieldValue(name, state);
  const shown = conversion === undefined ? value : conversion === "s" ? show(value) : repr(value);
  return formatValue(shown, filled(spec, state, depth - 1));
}

function fieldValue(name: string, state: State): unknown {
  const [, first = "", path = ""] = /^([^.[]*)(.*)$/s.exec(name) ?? [];
  let value: unknown;
  if (first === "" || /^\d+$/.test(first)) {
    const index = first === "" ? state.next++ : Number(first);
    if (index >= state.args.length) fail(`format: there is no value ${index}`);
    value = state.args[index];
  } else {
    value = state.named(first);
  }
  for (const [, attribute, key] of path.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
    if (attribute !== undefined) value = state.attribute(value, attribute);
    else value = itemAt(value, /^\d+$/.test(key ?? "") ? Number(key) : key);
  }
  return value;
}
