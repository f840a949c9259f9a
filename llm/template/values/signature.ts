/** Arguments of built-in functions: by place or by name, checked for their kinds. */
import { fail } from "../errors.ts";
import { isInteger } from "./numbers.ts";
import { type Named, typeName } from "./values.ts";

/**
 * Arguments by place in the order of `names`; undefined for those that were not given. Throws
 * where there are too many, or one has an unknown name.
 */
export function placed(
  what: string,
  names: readonly string[],
  args: readonly unknown[],
  named: Named,
): readonly unknown[] {
  if (args.length > names.length) {
    fail(`${what}() takes at most ${names.length} arguments (${args.length} given)`);
  }
  if (named.size === 0) return args;
  const all = [...args];
  for (const [name, value] of named) {
    const place = names.indexOf(name);
    if (place === -1) fail(`${what}() got an unexpected keyword argument '${name}'`);
    if (place < args.length) fail(`${what}() got multiple values for argument '${name}'`);
    all[place] = value;
  }
  return all;
}

export function textArgument(what: string, value: unknown): string {
  if (typeof value === "string") return value;
  return fail(`${what}: a str is required, not ${typeName(value)}`);
}

/** None and nothing count as not given. */
export function optionalText(what: string, value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : textArgument(what, value);
}

export function wholeArgument(what: string, value: unknown, otherwise?: number): number {
  if (value === undefined && otherwise !== undefined) return otherwise;
  if (typeof value === "boolean" || isInteger(value)) return Number(value);
  return fail(`${what}: '${typeName(value)}' object cannot be interpreted as an integer`);
}
