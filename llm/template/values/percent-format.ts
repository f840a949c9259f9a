/** `"%s of %d" % (a, b)`: Python's older formatting. */
import { fail } from "../errors.ts";
import { formatNumber, formatText, type Spec } from "./format-spec.ts";
import { bigOf, isFloat, isNumeric, numberOf } from "./numbers.ts";
import { repr, show } from "./show.ts";
import { getKey, hasKey, isMapping, Range, Tuple, typeName } from "./values.ts";

const DIRECTIVE = /%(?:\(([^)]*)\))?([-#0 +]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/gsu;

/** `args`: a tuple of values, one value, or a mapping for `%(name)s`. */
export function percentFormat(text: string, args: unknown): string {
  const list: readonly unknown[] = args instanceof Tuple ? args : [args];
  let used = 0;
  let named = false;
  const take = (): unknown => {
    if (used >= list.length) fail("not enough arguments for format string");
    used += 1;
    return list[used - 1];
  };
  const result = text.replace(DIRECTIVE, (whole, name, flags, width, precision, letter) => {
    if (letter === undefined) return fail("incomplete format");
    if (letter === "%") return "%";
    const wide = width === "*" ? Number(take()) : Number(width ?? 0);
    const dotted = /\.(\*|\d+)?[hlL]?.$/su.test(whole);
    const places = !dotted
      ? undefined
      : precision === "*"
        ? Number(take())
        : Number(precision ?? 0);
    let value: unknown;
    if (name === undefined) value = take();
    else {
      named = true;
      if (!isMapping(args)) return fail("format requires a mapping");
      if (!hasKey(args, name)) return fail(`format: there is no key '${name}'`);
      value = getKey(args, name);
    }
    return formatOne(value, specOf(flags as string, wide, places, letter as string));
  });
  // As in Python, an argument that has `[]` (but no tuple and no string) may be left unused.
  const indexed = isMapping(args) || args === undefined || args instanceof Range;
  const ignored = indexed || (Array.isArray(args) && !(args instanceof Tuple));
  if (used < list.length && !named && !ignored) {
    fail("not all arguments converted during string formatting");
  }
  return result;
}

function specOf(flags: string, width: number, precision: number | undefined, kind: string): Spec {
  const left = flags.includes("-") || width < 0;
  const zeros = flags.includes("0") && !left;
  return {
    fill: zeros ? "0" : " ",
    align: left ? "<" : zeros ? "=" : ">",
    sign: flags.includes("+") ? "+" : flags.includes(" ") ? " " : "-",
    alternate: flags.includes("#"),
    width: Math.abs(width),
    grouping: "",
    precision,
    kind,
  };
}

function formatOne(value: unknown, spec: Spec): string {
  const { kind } = spec;
  const plain = { ...spec, fill: " ", align: spec.align === "=" ? ">" : spec.align };
  switch (kind) {
    case "s":
      return formatText(show(value), { ...plain, kind: "s" });
    case "r":
    case "a":
      return formatText(repr(value), { ...plain, kind: "s" });
    case "c":
      if (typeof value === "string") return formatText(value, { ...plain, kind: "s" });
      break;
    case "d":
    case "i":
    case "u":
      return formatWhole(value, { ...spec, kind: "d" });
    case "x":
    case "X":
    case "o":
      if (isFloat(value)) fail(`%${kind} format: an integer is required, not float`);
      return formatWhole(value, spec);
    case "e":
    case "E":
    case "f":
    case "F":
    case "g":
    case "G":
      if (!isNumeric(value)) fail(`must be real number, not ${typeName(value)}`);
      return formatNumber(value, spec);
  }
  if (kind !== "c") fail(`unsupported format character '${kind}'`);
  return isNumeric(value) ? formatNumber(value, spec) : fail("%c requires int or char");
}

/** A precision of a whole number is the least count of its digits. */
function formatWhole(value: unknown, spec: Spec): string {
  if (!isNumeric(value)) {
    return fail(`%${spec.kind} format: a real number is required, not ${typeName(value)}`);
  }
  const whole = isFloat(value) ? bigOf(Math.trunc(numberOf(value))) : bigOf(value);
  if (spec.precision === undefined) return formatNumber(whole, spec);
  const digits = formatNumber(whole < 0n ? -whole : whole, {
    ...spec,
    precision: undefined,
    width: 0,
    sign: "-",
  });
  const sign = whole < 0n ? "-" : spec.sign === "-" ? "" : spec.sign;
  const text = sign + digits.padStart(spec.precision, "0");
  return formatText(text, {
    ...spec,
    kind: "s",
    precision: undefined,
    fill: " ",
    align: spec.align === "<" ? "<" : ">",
  });
}
