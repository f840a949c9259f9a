/** Python's format specifications: what stands behind the colon of `{:>8.2f}`. */
import { fail } from "../errors.ts";
import { bigOf, fixed, floatText, isFloat, isNumeric, type Numeric, numberOf } from "./numbers.ts";
import { show } from "./show.ts";
import { cut, lengthOfText, repeated } from "./text.ts";
import { typeName } from "./values.ts";

export type Spec = {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly kind: string;
};

const FORM =
  /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su;

const WIDTH_MAX = 100_000;

export function readSpec(text: string): Spec {
  const match = FORM.exec(text);
  if (match === null) return fail(`Invalid format specifier '${text}'`);
  const [, fill, align, sign, , alternate, zero, width, grouping, precision, kind] = match;
  if (Number(width ?? 0) > WIDTH_MAX || Number(precision ?? 0) > WIDTH_MAX) {
    fail("a format specification is too wide");
  }
  return {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero === undefined ? "" : "="),
    sign: sign ?? "-",
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: grouping ?? "",
    precision: precision === undefined ? undefined : Number(precision),
    kind: kind ?? "",
  };
}

/** `format(value, spec)`. */
export function formatValue(value: unknown, spec: string): string {
  if (spec === "") return show(value);
  const read = readSpec(spec);
  if (typeof value === "string") return formatText(value, read);
  if (isNumeric(value)) {
    const named = typeof value === "boolean" && read.kind === "";
    return named && spec.length === 0 ? show(value) : formatNumber(value, read);
  }
  return fail(`unsupported format string passed to ${typeName(value)}.__format__`);
}

export function formatText(value: string, spec: Spec): string {
  if (spec.kind !== "" && spec.kind !== "s") {
    fail(`Unknown format code '${spec.kind}' for object of type 'str'`);
  }
  if (spec.align === "=") fail("'=' alignment not allowed in string format specifier");
  const text = spec.precision === undefined ? value : cut(value, 0, spec.precision);
  return padded("", text, { ...spec, align: spec.align || "<" });
}

export function formatNumber(value: Numeric, spec: Spec): string {
  const float_kind = "eEfFgG%".includes(spec.kind) && spec.kind !== "";
  if (spec.kind === "s") fail(`Unknown format code 's' for object of type '${typeName(value)}'`);
  const float = isFloat(value) || float_kind;
  if (float && "bcdoxX".includes(spec.kind) && spec.kind !== "") {
    fail(`Unknown format code '${spec.kind}' for object of type 'float'`);
  }
  if (spec.kind === "c") return padded("", String.fromCodePoint(Number(bigOf(value))), spec);
  const negative = numberOf(value) < 0 || Object.is(numberOf(value), -0);
  const digits = float
    ? floatDigits(Math.abs(numberOf(value)), spec)
    : wholeDigits(bigOf(value), spec);
  const sign = negative ? "-" : spec.sign === "-" ? "" : spec.sign;
  const align = spec.align || ">";
  // Zeros in front of a number are grouped with it.
  if (align === "=" && spec.fill === "0" && spec.grouping !== "") {
    return sign + grouped(digits, spec, spec.width - sign.length);
  }
  return padded(sign, grouped(digits, spec, 0), { ...spec, align });
}

const bases: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function wholeDigits(value: bigint, spec: Spec): string {
  if (spec.precision !== undefined) fail("Precision not allowed in integer format specifier");
  const base = bases[spec.kind] ?? 10;
  const digits = (value < 0n ? -value : value).toString(base);
  const prefix = spec.alternate && base !== 10 ? `0${spec.kind}` : "";
  return prefix + (spec.kind === "X" ? digits.toUpperCase() : digits);
}

function floatDigits(value: number, spec: Spec): string {
  const { kind, precision } = spec;
  if (!Number.isFinite(value)) {
    const text = floatText(value) + (kind === "%" ? "%" : "");
    return "EFG".includes(kind) && kind !== "" ? text.toUpperCase() : text;
  }
  switch (kind) {
    case "f":
    case "F":
      return fixed(value, precision ?? 6);
    case "%":
      return `${fixed(value * 100, precision ?? 6)}%`;
    case "e":
    case "E":
      return exponential(value, precision ?? 6, kind);
    case "":
      if (precision === undefined) return floatText(value);
      return general(value, precision, "g", true);
    default:
      return general(value, precision ?? 6, kind === "G" ? "G" : "g", spec.alternate);
  }
}

function exponential(value: number, digits: number, kind: string): string {
  const [head = "", power = "0"] = value.toExponential(Math.min(100, digits)).split("e");
  const exponent = Number(power);
  const text = `${head}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return kind === "E" ? text.toUpperCase() : text;
}

/** At most so many digits, zeros at the end dropped; `pointed`: a float shows that it is one. */
function general(value: number, precision: number, kind: string, pointed: boolean): string {
  const digits = Math.max(1, precision);
  const exponent = Number(value.toExponential(Math.min(100, digits - 1)).split("e")[1]);
  if (exponent < -4 || exponent >= digits) {
    const text = exponential(value, digits - 1, "e").replace(/\.?0*e/, "e");
    return kind === "G" ? text.toUpperCase() : text;
  }
  const text = fixed(value, Math.max(0, digits - 1 - exponent));
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return pointed && !short.includes(".") ? `${short}.0` : short;
}

function grouped(digits: string, spec: Spec, width: number): string {
  if (spec.grouping === "") return digits;
  const size = spec.kind in bases ? 4 : 3;
  const [, head = "", tail = ""] = /^([0-9a-fA-F]+)(.*)$/s.exec(digits) ?? [];
  let whole = head;
  let text = group(whole, size, spec.grouping);
  while (text.length + tail.length < width) {
    whole = `0${whole}`;
    text = group(whole, size, spec.grouping);
  }
  return text + tail;
}

function group(digits: string, size: number, sign: string): string {
  const groups: string[] = [];
  for (let end = digits.length; end > 0; end -= size) {
    groups.unshift(digits.slice(Math.max(0, end - size), end));
  }
  return groups.join(sign);
}

function padded(sign: string, text: string, spec: Spec): string {
  const missing = spec.width - lengthOfText(sign + text);
  if (missing <= 0) return sign + text;
  switch (spec.align) {
    case "=":
      return sign + repeated(spec.fill, missing) + text;
    case "<":
      return sign + text + repeated(spec.fill, missing);
    case "^": {
      const left = Math.floor(missing / 2);
      return repeated(spec.fill, left) + sign + text + repeated(spec.fill, missing - left);
    }
    default:
      return repeated(spec.fill, missing) + sign + text;
  }
}
